// The SQL of the organisations that sessions are for.
import Audit
package import Postgres
import Primitives

/// Statements on the organisations of sessions.
package enum SessionOrganisationStore {
    /// Whether the account `$account` may act in `$organisation`.
    private static func mayAct(_ account: Int, in organisation: Int) -> String {
        """
        EXISTS (SELECT
                  FROM organisation_members m
                  JOIN organisations o ON o.id = m.organisation_id
                 WHERE m.account_id = $\(account)
                   AND m.organisation_id = $\(organisation)
                   AND o.state = 'active')
        """
    }

    /// The organisation `$2`, if account `$1` may act in it.
    static let find = Statement(
        "sessions.find_organisation",
        "SELECT $2::uuid WHERE \(mayAct(1, in: 2))",
        binds: AccountID.self,
        OrganisationID.self,
        decode: { try $0.get(0, as: OrganisationID.self) }
    )

    /// Makes session `$1` of account `$2` one for organisation `$3`, NULL for none; tells whether
    /// the account may act there, and whether the session lives.
    ///
    /// Locks the signature, then the session, as refreshing does.
    static let choose = Statement(
        "sessions.choose_organisation",
        """
        WITH allowed AS MATERIALIZED (
            SELECT true AS is_allowed
             WHERE $3::uuid IS NULL
                OR \(mayAct(2, in: 3))
        ), signature AS MATERIALIZED (
            SELECT g.account_id, g.generation
              FROM account_signatures g
             WHERE g.account_id = $2
               AND (SELECT is_allowed FROM allowed)
               FOR SHARE
        ), living AS MATERIALIZED (
            SELECT s.id
              FROM sessions s
              JOIN signature g ON g.account_id = s.account_id
             WHERE s.id = $1
               AND s.signature_generation = g.generation
               AND s.revoked_at IS NULL
               FOR NO KEY UPDATE OF s
        ), chosen AS (
            UPDATE sessions s
               SET organisation_id = $3
              FROM living l
             WHERE s.id = l.id
               AND s.organisation_id IS DISTINCT FROM $3
            RETURNING s.id, s.account_id, s.organisation_id
        ), \(AuditLog.append(
            as: "audited",
            .organisationChosen,
            account: "chosen.account_id",
            session: "chosen.id",
            detail: "jsonb_build_object('organisation_id', chosen.organisation_id)",
            from: "chosen",
            binds: 4
        ))
        SELECT EXISTS (SELECT FROM allowed), EXISTS (SELECT FROM living)
        """,
        kind: .solo,
        binds: SessionID.self,
        AccountID.self,
        OrganisationID?.self,
        AuditBinds.self,
        decode: {
            (isAllowed: try $0.get(0, as: Bool.self), isChosen: try $0.get(1, as: Bool.self))
        }
    )

    /// All statements, for the test that prepares them.
    package static var statements: [StatementInfo] { [find.info, choose.info] }
}

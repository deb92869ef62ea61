// The SQL by which administrators change accounts. Each change carries the version of the account's
// rights under which it was allowed, so that nobody is changed who was promoted meanwhile, and is
// recorded with its actor (W9).
import Access
import Audit
import Messaging
package import Postgres
package import Primitives
import Revocation

/// What matters of an account that is to be changed.
package struct AccountStanding: Sendable {
    /// The version of its rights.
    package let rightsVersion: Int64
    /// The roles that it holds anywhere.
    package let roles: [RoleID]
    /// Whether it is a member of an organisation other than the administrator's.
    package let isElsewhere: Bool
}

/// Statements of administration.
package enum AdministrationStore {
    /// Whether the account `a` is in the realm `$organisation`; NULL is everywhere.
    package static func isInRealm(_ organisation: Int) -> String {
        """
        ($\(organisation)::uuid IS NULL OR EXISTS (
                   SELECT FROM organisation_members m
                    WHERE m.organisation_id = $\(organisation)
                      AND m.account_id = a.id
               ))
        """
    }

    /// The standing of an account in a realm.
    package static let findStanding = Statement(
        "accounts.find_standing",
        """
        SELECT a.rights_version,
               ARRAY(SELECT DISTINCT ar.role_id
                       FROM account_roles ar
                      WHERE ar.account_id = a.id
                        AND (ar.expires_at IS NULL OR ar.expires_at > $4)),
               $3::uuid IS NOT NULL AND EXISTS (
                   SELECT FROM organisation_members o
                    WHERE o.account_id = a.id
                      AND o.organisation_id <> $3
               )
          FROM accounts a
         WHERE a.id = $1
           AND a.kind = $2
           AND a.state <> 'deleted'
           AND \(isInRealm(3))
        """,
        binds: AccountID.self,
        String.self,
        OrganisationID?.self,
        Timestamp.self,
        decode: { row in
            AccountStanding(
                rightsVersion: try row.get(0, as: Int64.self),
                roles: try row.get(1, as: [RoleID].self),
                isElsewhere: try row.get(2, as: Bool.self)
            )
        }
    )

    /// Locks the signature of an account: the first lock of whatever ends its tokens.
    static let lockSignature = Statement(
        "accounts.lock_signature",
        """
        SELECT g.account_id
          FROM account_signatures g
         WHERE g.account_id = $1
           FOR NO KEY UPDATE
        """,
        kind: .solo,
        binds: AccountID.self
    )

    /// Locks the role whose last holder must not go: of two who take administrators away at the
    /// same time, the second counts after the first has committed (W12).
    static let lockAdministration = Statement(
        "roles.lock_administration",
        """
        SELECT r.id
          FROM roles r
         WHERE r.id = $1
           FOR UPDATE
        """,
        kind: .solo,
        binds: RoleID.self
    )

    /// The account `$1` if nothing has changed since it was looked at, and whether it is the last
    /// administrator.
    ///
    /// After `lockAdministration`, in a statement of its own: it counts what is committed by then.
    static let target = """
        target AS MATERIALIZED (
            SELECT a.id, a.state,
                   a.state = 'active' AND EXISTS (
                       SELECT FROM account_roles h
                        WHERE h.account_id = a.id
                          AND h.role_id = $5
                          AND h.scope = ''
                   ) AND NOT EXISTS (
                       SELECT FROM account_roles o
                         JOIN accounts p ON p.id = o.account_id
                        WHERE o.role_id = $5
                          AND o.account_id <> a.id
                          AND o.scope = ''
                          AND o.expires_at IS NULL
                          AND p.state = 'active'
                          AND p.kind = 'person'
                   ) AS is_last
              FROM accounts a
             WHERE a.id = $1
               AND a.kind = $2
               AND a.rights_version = $3
               AND a.state <> 'deleted'
               AND \(isInRealm(4))
               FOR NO KEY UPDATE OF a
        )
        """

    /// Outdates every token of the account in `changed`, as a change of its state (W3).
    static var outdate: RevokingSQL {
        """
        signature AS (
            UPDATE account_signatures g
               SET generation = \(GrowingVersion.next("g.generation")), rotated_at = $8
              FROM changed c
             WHERE g.account_id = c.id
            RETURNING g.account_id, g.generation
        ), \(RevocationLog.append(
            as: "logged",
            .accountState,
            subject: "signature.account_id",
            version: "signature.generation",
            from: "signature"
        ))
        """
    }

    /// All statements, for the test that prepares them.
    package static var statements: [StatementInfo] {
        [
            findStanding.info, lockSignature.info, lockAdministration.info,
            AccountStateStore.disable.info, AccountStateStore.enable.info,
            AccountStateStore.delete.info,
        ] + AccountListStore.statements
    }
}

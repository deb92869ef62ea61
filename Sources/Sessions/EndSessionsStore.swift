// The SQL of what administrators do to sessions and sign-ins of others. As in `SessionStore`, what
// ends something appends to the revocation log in the same breath, after its locks (W3).
import Access
import Accounts
import Audit
import Messaging
package import Postgres
import Primitives
import Revocation

/// Statements on sessions of others.
package enum EndSessionsStore {
    /// Ends one session; no row: it is none of the account's.
    ///
    /// `$1` session, `$2` account, `$3` actor, `$4` on the audit, `$8` from how many on ends are
    /// collapsed.
    static let one = RevokingStatement(
        "sessions.end_of_another",
        """
        ended AS (
            UPDATE sessions s
               SET revoked_at = COALESCE(s.revoked_at, $5),
                   end_reason = COALESCE(s.end_reason, 'ended-by-administrator')
             WHERE s.id = $1
               AND s.account_id = $2
            RETURNING s.id, s.account_id
        ), \(RevocationLog.appendEnd(as: "logged", from: "ended", limit: 8)), \(AuditLog.append(
            as: "audited",
            .sessionEnded,
            account: "ended.account_id",
            session: "ended.id",
            actor: "$3::uuid",
            detail: "jsonb_build_object('reason', 'ended-by-administrator')",
            from: "ended",
            binds: 4
        )), \(Outbox.append(
            as: "announced",
            .sessionEnded,
            account: "ended.account_id",
            payload: """
                jsonb_build_object('session_id', ended.id, 'reason', 'ended-by-administrator')
                """,
            from: "ended",
            entry: 4,
            at: 5
        ))
        """,
        answer: "SELECT id FROM ended",
        binds: SessionID.self,
        AccountID.self,
        AccountID?.self,
        EntryID.self,
        Timestamp.self,
        String.self,
        RequestID.self,
        Int32.self,
        decode: { try $0.get(0, as: SessionID.self) }
    )

    /// Outdates every token of an account.
    ///
    /// `$1` account, `$2` actor, `$3` on the audit.
    static let all = RevokingStatement(
        "sessions.end_all_of_another",
        """
        signature AS (
            UPDATE account_signatures g
               SET generation = \(GrowingVersion.next("g.generation")), rotated_at = $4
             WHERE g.account_id = $1
            RETURNING g.account_id, g.generation
        ), \(RevocationLog.append(
            as: "logged",
            .signature,
            subject: "signature.account_id",
            version: "signature.generation",
            from: "signature"
        )), \(AuditLog.append(
            as: "audited",
            .allSessionsEnded,
            account: "signature.account_id",
            actor: "$2::uuid",
            from: "signature",
            binds: 3
        )), \(Outbox.append(
            as: "announced",
            .loggedOutEverywhere,
            account: "signature.account_id",
            payload: "'{}'::jsonb",
            from: "signature",
            entry: 3,
            at: 4
        ))
        """,
        answer: "SELECT account_id FROM signature",
        binds: AccountID.self,
        AccountID?.self,
        EntryID.self,
        Timestamp.self,
        String.self,
        RequestID.self,
        decode: { try $0.get(0, as: AccountID.self) }
    )

    /// Records that the throttle of an account is lifted; with the parameters of `all`.
    static let unlock = Statement(
        "accounts.unlock",
        """
        WITH target AS MATERIALIZED (
            SELECT a.id FROM accounts a WHERE a.id = $1
        ), \(AuditLog.append(
            as: "audited",
            .accountUnlocked,
            account: "target.id",
            actor: "$2::uuid",
            from: "target",
            binds: 3
        ))
        SELECT id FROM target
        """,
        kind: .solo,
        binds: AccountID.self,
        AccountID?.self,
        EntryID.self,
        Timestamp.self,
        String.self,
        RequestID.self,
        decode: { try $0.get(0, as: AccountID.self) }
    )

    /// All statements, for the test that prepares them.
    package static var statements: [StatementInfo] {
        [
            one.info, all.info, unlock.info, ImpersonateStore.findActor.info,
            ImpersonateStore.open.info,
        ]
    }
}

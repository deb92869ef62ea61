// The SQL of lifting the throttle of somebody: its record, for the count is in Redis; and how many
// codes of his authenticator were wrong. Must not be committed where Redis was not asked.
import Audit
package import Postgres
import Primitives

/// Statements of unlocking.
package enum UnlockStore {
    /// Records that the throttle of an account is lifted.
    ///
    /// `$1` account, `$2` actor, `$3` on the audit.
    static let unlock = Statement(
        "accounts.unlock",
        """
        WITH target AS MATERIALIZED (
            SELECT a.id FROM accounts a WHERE a.id = $1
        ), reopened AS (
            UPDATE second_factors f
               SET failed_codes = 0
              FROM target t
             WHERE f.account_id = t.id
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
        AuditBinds.self,
        decode: { try $0.get(0, as: AccountID.self) }
    )

    /// All statements, for the test that prepares them.
    package static var statements: [StatementInfo] { [unlock.info] }
}

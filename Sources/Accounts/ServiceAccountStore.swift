// The SQL of making accounts of services; they are shown, disabled and deleted as all accounts are.
import Audit
import Messaging
package import Postgres
import Primitives

/// Statements on accounts of services.
package enum ServiceAccountStore {
    static let insert = Statement(
        "accounts.insert_service",
        """
        WITH made AS (
            INSERT INTO accounts (
                id, kind, username, username_canonical, created_at, updated_at
            )
            VALUES ($1, 'service', $2, $3, $6, $6)
            RETURNING id
        ), \(AccountStore.signature(at: 6)), \(AuditLog.append(
            as: "audited",
            .accountCreated,
            account: "made.id",
            actor: "$4::uuid",
            detail: "jsonb_build_object('kind', 'service')",
            from: "made",
            binds: 5
        )), \(Outbox.append(
            as: "announced",
            .accountChanged,
            account: "made.id",
            payload: "jsonb_build_object('kind', 'service')",
            from: "made",
            entry: 5,
            at: 6
        ))
        SELECT id FROM made
        """,
        kind: .solo,
        binds: AccountID.self,
        String.self,
        String.self,
        AccountID.self,
        AuditBinds.self,
        decode: { try $0.get(0, as: AccountID.self) }
    )

    /// All statements, for the test that prepares them.
    package static var statements: [StatementInfo] { [insert.info] }
}

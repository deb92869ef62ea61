// The SQL of API keys, but for the statement that makes claims of one (`Sessions/KeyStore`).
import Audit
import Messaging
import Postgres
import Primitives
import Revocation

/// Statements on API keys.
enum APIKeyStore {
    /// Whether a service account is there.
    static let findAccount = Statement(
        "api_keys.find_account",
        """
        SELECT a.id
          FROM accounts a
         WHERE a.id = $1
           AND a.kind = 'service'
           AND a.state <> 'deleted'
        """,
        binds: AccountID.self,
        decode: { try $0.get(0, as: AccountID.self) }
    )

    static let count = Statement(
        "api_keys.count",
        """
        SELECT count(*)
          FROM api_keys k
         WHERE k.account_id = $1
           AND k.revoked_at IS NULL
           AND (k.expires_at IS NULL OR k.expires_at > $2)
        """,
        binds: AccountID.self,
        Timestamp.self,
        decode: { try $0.get(0, as: Int64.self) }
    )

    private static let columns = """
        k.id, k.name, k.permissions, k.created_at, k.created_by, k.expires_at, k.last_used_at,
               k.revoked_at
        """

    static let list = Statement(
        "api_keys.list",
        """
        SELECT \(columns)
          FROM api_keys k
         WHERE k.account_id = $1
           AND k.id > $2
         ORDER BY k.id
         LIMIT $3
        """,
        kind: .list,
        binds: AccountID.self,
        APIKeyID.self,
        Int32.self,
        decode: view
    )

    static let insert = Statement(
        "api_keys.insert",
        """
        WITH k AS (
            INSERT INTO api_keys (
                id, account_id, name, digest, permissions, expires_at, created_by, created_at
            )
            SELECT $1, a.id, $3, $4, $5, $6, $7, $9
              FROM accounts a
             WHERE a.id = $2
               AND a.kind = 'service'
               AND a.state <> 'deleted'
            RETURNING id, account_id, name, permissions, created_at, created_by, expires_at,
                      last_used_at, revoked_at
        ), \(AuditLog.append(
            as: "audited",
            .apiKeyCreated,
            account: "k.account_id",
            actor: "$7::uuid",
            detail: """
                jsonb_build_object('key_id', k.id, 'name', k.name,
                    'permissions', to_jsonb(k.permissions), 'expires_at', k.expires_at)
                """,
            from: "k",
            binds: 8
        )), \(Outbox.append(
            as: "announced",
            .apiKeyCreated,
            account: "k.account_id",
            payload: "jsonb_build_object('key_id', k.id)",
            from: "k",
            entry: 8,
            at: 9
        ))
        SELECT \(columns) FROM k
        """,
        kind: .solo,
        binds: APIKeyID.self,
        AccountID.self,
        String.self,
        [UInt8].self,
        [String]?.self,
        Timestamp?.self,
        AccountID?.self,
        AuditBinds.self,
        decode: view
    )

    /// Takes back key `$1` of account `$2`.
    ///
    /// The lock on its row is what claims are made of it under, so those end before the entry does.
    static let revoke = RevokingStatement(
        "api_keys.revoke",
        """
        revoked AS (
            UPDATE api_keys k
               SET revoked_at = COALESCE(k.revoked_at, $5)
             WHERE k.id = $1
               AND k.account_id = $2
            RETURNING k.id, k.account_id, k.name
        ), \(RevocationLog.append(
            as: "logged",
            .token,
            subject: "revoked.id",
            from: "revoked"
        )), \(AuditLog.append(
            as: "audited",
            .apiKeyRevoked,
            account: "revoked.account_id",
            actor: "$3::uuid",
            detail: "jsonb_build_object('key_id', revoked.id, 'name', revoked.name)",
            from: "revoked",
            binds: 4
        )), \(Outbox.append(
            as: "announced",
            .apiKeyRevoked,
            account: "revoked.account_id",
            payload: "jsonb_build_object('key_id', revoked.id)",
            from: "revoked",
            entry: 4,
            at: 5
        ))
        """,
        answer: "SELECT id FROM revoked",
        binds: APIKeyID.self,
        AccountID.self,
        AccountID?.self,
        AuditBinds.self,
        decode: { try $0.get(0, as: APIKeyID.self) }
    )

    @Sendable private static func view(_ row: PostgresRow) throws -> APIKeyView {
        APIKeyView(
            id: try row.get(0, as: APIKeyID.self),
            name: try row.get(1, as: String.self),
            permissions: try row.get(2, as: [String]?.self),
            createdAt: try row.get(3, as: Timestamp.self),
            createdBy: try row.get(4, as: AccountID?.self),
            expiresAt: try row.get(5, as: Timestamp?.self),
            lastUsedAt: try row.get(6, as: Timestamp?.self),
            revokedAt: try row.get(7, as: Timestamp?.self)
        )
    }

    static var statements: [StatementInfo] {
        [findAccount.info, count.info, list.info, insert.info, revoke.info]
    }
}

// The SQL of acting as somebody else.
import Audit
import Messaging
package import Postgres
import Primitives

/// Statements of impersonation.
package enum ImpersonateStore {
    /// The version of what `$1` may do, who is to act for somebody; no row where he may not be
    /// used, his tokens of generation `$2` are outdated by now, or his session `$3` is over.
    static let findActor = Statement(
        "sessions.find_actor",
        """
        SELECT a.rights_version
          FROM accounts a
          JOIN account_signatures g ON g.account_id = a.id
          JOIN sessions s ON s.account_id = a.id
         WHERE a.id = $1
           AND a.state = 'active'
           AND g.generation = $2
           AND s.id = $3
           AND s.revoked_at IS NULL
        """,
        binds: AccountID.self,
        Int64.self,
        SessionID.self,
        decode: { try $0.get(0, as: Int64.self) }
    )

    /// Opens a session in which `$3` acts, in a transaction that has locked the account's
    /// signature; no row: the account may not be used.
    ///
    /// `$1` session, `$2` account, `$4` digest of a nonce nobody has, `$5` user agent, `$6` when it
    /// ends, `$7` lifetime of tokens, `$8` on the audit.
    static let open = Statement(
        "sessions.open_for_actor",
        """
        WITH account AS MATERIALIZED (
            SELECT a.id, a.rights_version
              FROM accounts a
             WHERE a.id = $2
               AND a.state = 'active'
               FOR SHARE
        ), opened AS (
            INSERT INTO sessions (
                id, account_id, signature_generation, nonce_digest, transport, ip_address,
                user_agent, created_at, authenticated_at, last_used_at, idle_expires_at,
                expires_at, actor_id
            )
            SELECT $1, g.account_id, g.generation, $4, 'body', $10::text,
                   $5, $9, $9, $9, $6, $6, $3::uuid
              FROM account_signatures g
              JOIN account a ON a.id = g.account_id
            RETURNING id, account_id, signature_generation, refresh_generation,
                      authenticated_at, idle_expires_at, expires_at, organisation_id, actor_id,
                      second_factor
        ), \(AuditLog.append(
            as: "audited",
            .impersonated,
            account: "opened.account_id",
            session: "opened.id",
            actor: "$3::uuid",
            from: "opened",
            binds: 8
        )), \(Outbox.append(
            as: "announced",
            .impersonated,
            account: "opened.account_id",
            payload: "jsonb_build_object('session_id', opened.id, 'actor_id', $3::uuid)",
            from: "opened",
            entry: 8,
            at: 9
        ))
        SELECT \(MintRow.columns(session: "o", account: "a", lifetime: 7))
          FROM opened o
          JOIN account a ON a.id = o.account_id
        """,
        kind: .solo,
        binds: SessionID.self,
        AccountID.self,
        AccountID.self,
        [UInt8].self,
        String.self,
        Timestamp.self,
        Int32.self,
        AuditBinds.self,
        decode: MintRow.init
    )

    /// All statements, for the test that prepares them.
    package static var statements: [StatementInfo] { [findActor.info, open.info] }
}

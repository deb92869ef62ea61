// The SQL of signing in.
import Accounts
import Audit
import Messaging
package import Postgres
import Primitives
import Revocation

/// Statements of sign-in.
package enum SignInStore {
    /// The parts that open a session for the account in `password`, with the generation of a part
    /// that holds its signature, for the organisation of parameter `organisation`, and record it.
    ///
    /// `auth_time` is of the database's clock, as `iat` is: a node whose clock is ahead must not
    /// make a sign-in that stays recent (row 178).
    private static func opening(with generation: String, organisation: Int) -> String {
        """
        opened AS (
            INSERT INTO sessions (
                id, account_id, signature_generation, nonce_digest, transport, ip_address,
                user_agent, created_at, authenticated_at, last_used_at, idle_expires_at, expires_at,
                organisation_id, second_factor
            )
            SELECT $1, g.account_id, g.generation, $4, $5, $15::text,
                   $6, $14, clock_timestamp(), $14, $7, $8, $\(organisation)::uuid,
                   $10::text <> '\(SignInFactors.password.rawValue)'
              FROM \(generation) g
              JOIN password p ON p.account_id = g.account_id
            RETURNING id, account_id, signature_generation, refresh_generation,
                      authenticated_at, idle_expires_at, expires_at, organisation_id, actor_id,
                      second_factor
        ), history AS (
            INSERT INTO login_history (
                id, account_id, at, ip_address, user_agent, outcome, session_id
            )
            SELECT $9, o.account_id, $14, $15::text, $6, 'signed-in', o.id
              FROM opened o
        ), \(AuditLog.append(
            as: "audited",
            .signedIn,
            account: "opened.account_id",
            session: "opened.id",
            detail: "jsonb_build_object('factors', $10::text, 'transport', $5)",
            from: "opened",
            binds: 13
        )), \(Outbox.append(
            as: "announced",
            .signedIn,
            account: "opened.account_id",
            payload: """
                jsonb_build_object('session_id', opened.id, 'ip_address', $15::text,
                    'user_agent', $6, 'client', $12::text)
                """,
            from: "opened",
            entry: 13,
            at: 14
        ))
        """
    }

    /// Whether the factors of `$10` are those that the account `a` has now: a second factor may
    /// have been added, or removed, since they were looked at.
    private static let isOpenedWhole = """
        \(AccountStore.hasSecondFactor)
                   = ($10::text <> '\(SignInFactors.password.rawValue)')
        """

    /// The session that `opening` has opened, for tokens of lifetime `$11`.
    private static let opened = """
        SELECT \(MintRow.columns(session: "o", account: "a", lifetime: 11))
          FROM opened o
          JOIN account a ON a.id = o.account_id
        """

    /// Opens a session.
    ///
    /// Locks the signature row, then the account, then the password, then writes the session;
    /// refuses (no row) if the account was disabled or its password or second factor changed since
    /// they were checked.
    static let open = Statement(
        "sessions.open",
        """
        WITH signature AS MATERIALIZED (
            SELECT g.account_id, g.generation
              FROM account_signatures g
             WHERE g.account_id = $2
               FOR SHARE
        ), account AS (
            UPDATE accounts a
               SET last_login_at = $14
              FROM signature g
             WHERE a.id = g.account_id
               AND a.state = 'active'
            RETURNING a.id, a.rights_version
        ), password AS MATERIALIZED (
            SELECT p.account_id
              FROM account_passwords p
              JOIN account a ON a.id = p.account_id
             WHERE p.phc = $3
               AND NOT p.must_change
               AND \(isOpenedWhole)
               FOR SHARE OF p
        ), \(opening(with: "signature", organisation: 17))
        \(opened)
        """,
        kind: .solo,
        binds: SessionID.self,
        AccountID.self,
        String.self,
        [UInt8].self,
        String.self,
        String.self,
        Timestamp.self,
        Timestamp.self,
        EntryID.self,
        String.self,
        Int32.self,
        String.self,
        AuditBinds.self,
        OrganisationID?.self,
        decode: MintRow.init
    )

    /// Opens a session and replaces the password, for an account that must; every other session
    /// ends (S4-T10).
    ///
    /// As `open`, with `$17` the new hash, `$18` on the audit of the change and `$22` the
    /// organisation. Refuses (no row) if the account was disabled or its password changed since it
    /// was checked.
    static let openAnew = RevokingStatement(
        "sessions.open_anew",
        """
        signature AS MATERIALIZED (
            SELECT g.account_id
              FROM account_signatures g
             WHERE g.account_id = $2
               FOR NO KEY UPDATE
        ), account AS (
            UPDATE accounts a
               SET last_login_at = $14, version = a.version + 1
              FROM signature g
             WHERE a.id = g.account_id
               AND a.state = 'active'
            RETURNING a.id, a.rights_version
        ), password AS (
            UPDATE account_passwords p
               SET phc = $17, changed_at = $14, must_change = false
              FROM account a
             WHERE p.account_id = a.id
               AND p.phc = $3
               AND p.must_change
               AND \(isOpenedWhole)
            RETURNING p.account_id
        ), rotated AS (
            UPDATE account_signatures g
               SET generation = \(SessionStore.nextGeneration), rotated_at = $14
              FROM password p
             WHERE g.account_id = p.account_id
            RETURNING g.account_id, g.generation
        ), \(RevocationLog.append(
            as: "logged",
            .signature,
            subject: "rotated.account_id",
            version: "rotated.generation",
            from: "rotated"
        )), \(opening(with: "rotated", organisation: 22)), \(AuditLog.append(
            as: "audited_change",
            .passwordChanged,
            account: "opened.account_id",
            session: "opened.id",
            from: "opened",
            binds: 18
        )), \(Outbox.append(
            as: "announced_change",
            .passwordChanged,
            account: "opened.account_id",
            payload: "jsonb_build_object('session_id', opened.id)",
            from: "opened",
            entry: 18,
            at: 19
        ))
        """,
        answer: opened,
        binds: SessionID.self,
        AccountID.self,
        String.self,
        [UInt8].self,
        String.self,
        String.self,
        Timestamp.self,
        Timestamp.self,
        EntryID.self,
        String.self,
        Int32.self,
        String.self,
        AuditBinds.self,
        String.self,
        AuditBinds.self,
        OrganisationID?.self,
        decode: MintRow.init
    )

    /// Records an attempt that failed.
    ///
    /// The account is NULL where nobody is known by that name; what was typed is not kept, because
    /// people type passwords into the wrong field (checklist row 306).
    static let recordFailure = Statement(
        "sessions.record_failure",
        """
        WITH known AS (
            SELECT a.id
              FROM (VALUES ($1::uuid)) AS v (id)
              LEFT JOIN accounts a ON a.id = v.id
        ), history AS (
            INSERT INTO login_history (id, account_id, at, ip_address, user_agent, outcome)
            SELECT $2, k.id, $6, $7::text, $3, $4::text
              FROM known k
             WHERE k.id IS NOT NULL
        ), \(AuditLog.append(
            as: "audited",
            .signInFailed,
            account: "known.id",
            detail: "jsonb_build_object('outcome', $4::text)",
            from: "known",
            binds: 5
        ))
        SELECT 1
        """,
        kind: .write,
        binds: AccountID?.self,
        EntryID.self,
        String.self,
        String.self,
        AuditBinds.self
    )

    /// All statements, for the test that prepares them.
    package static var statements: [StatementInfo] {
        [open.info, openAnew.info, recordFailure.info]
    }
}

// The SQL of ending and listing sessions. Every statement that ends something appends to the
// revocation log in the same breath (W3), after it has taken its locks, and appends again when the
// thing had ended before: the second caller must not be told so before the first revocation is
// out (revocation.md H19).
import Audit
import Messaging
package import Postgres
package import Primitives
import Revocation

/// A session as its owner sees it.
package struct SessionView: Sendable {
    /// The session.
    package let id: SessionID
    /// When somebody signed in.
    package let createdAt: Timestamp
    /// When it was last refreshed.
    package let lastUsedAt: Timestamp
    /// When it ends if it is not used again.
    package let expiresAt: Timestamp
    /// From where it was opened.
    package let address: String
    /// With what.
    package let userAgent: String
    /// The organisation that it is for.
    package let organisationID: OrganisationID?

    /// A session as its owner sees it.
    package init(
        id: SessionID,
        createdAt: Timestamp,
        lastUsedAt: Timestamp,
        expiresAt: Timestamp,
        address: String,
        userAgent: String,
        organisationID: OrganisationID?
    ) {
        self.id = id
        self.createdAt = createdAt
        self.lastUsedAt = lastUsedAt
        self.expiresAt = expiresAt
        self.address = address
        self.userAgent = userAgent
        self.organisationID = organisationID
    }
}

/// One line of the login history.
package struct LoginView: Sendable {
    /// The line.
    package let id: EntryID
    /// When.
    package let at: Timestamp
    /// From where.
    package let address: String
    /// With what.
    package let userAgent: String
    /// `signed-in`, or why nobody was.
    package let outcome: String

    /// One line of the history.
    package init(
        id: EntryID,
        at: Timestamp,
        address: String,
        userAgent: String,
        outcome: String
    ) {
        self.id = id
        self.at = at
        self.address = address
        self.userAgent = userAgent
        self.outcome = outcome
    }
}

/// Statements on sessions.
package enum SessionStore {
    /// The new generation of a signature.
    static let nextGeneration = GrowingVersion.next("g.generation")

    /// Ends one session of an account; beyond `$8` of them a minute they are collapsed (H25).
    ///
    /// `$9` is who does it: the owner, who acts for him, or who looks after him; `$10` the
    /// organisation whose delegate that is, who is not told of sessions for another (`list`).
    ///
    /// No row: there is none of that id, for him.
    static let end = ending(
        "sessions.end",
        """
        UPDATE sessions s
               SET revoked_at = COALESCE(s.revoked_at, $5),
                   end_reason = COALESCE(s.end_reason, $3)
             WHERE s.id = $1
               AND s.account_id = $2
               AND ($10::uuid IS NULL OR s.organisation_id IS NULL OR s.organisation_id = $10)
            RETURNING s.id, s.account_id
        """
    )

    /// Ends a session that the database has lost, of which there are tokens.
    ///
    /// No row is locked, because without one nothing mints another token of it.
    static let endLost = ending(
        "sessions.end_lost",
        """
        SELECT $1::uuid AS id, $2::uuid AS account_id
             WHERE NOT EXISTS (SELECT FROM sessions s WHERE s.id = $1)
               AND $10::uuid IS NULL
        """
    )

    typealias End = RevokingStatement<
        SessionID, SessionID, AccountID, String, AuditBinds, Int32, AccountID?, OrganisationID?
    >

    private static func ending(_ name: String, _ ended: String) -> End {
        RevokingStatement(
            name,
            """
            ended AS (
                \(ended)
            ), \(RevocationLog.appendEnd(as: "logged", from: "ended", limit: 8)), \(AuditLog.append(
                as: "audited",
                .sessionEnded,
                account: "ended.account_id",
                session: "ended.id",
                actor: "$9::uuid",
                detail: "jsonb_build_object('reason', $3)",
                from: "ended",
                binds: 4
            )), \(Outbox.append(
                as: "announced",
                .sessionEnded,
                account: "ended.account_id",
                payload: "jsonb_build_object('session_id', ended.id, 'reason', $3)",
                from: "ended",
                entry: 4,
                at: 5
            ))
            """,
            answer: """
                SELECT id FROM ended
                """,
            binds: SessionID.self,
            AccountID.self,
            String.self,
            AuditBinds.self,
            Int32.self,
            AccountID?.self,
            OrganisationID?.self,
            decode: { try $0.get(0, as: SessionID.self) }
        )
    }

    /// Outdates every token of an account: one row, whatever their number.
    ///
    /// Only a caller whose token is of the current generation may (S4-T2); no row otherwise.
    static let endAll = endingAll(
        "sessions.end_all",
        .loggedOutEverywhere,
        actor: "signature.account_id",
        unless: "g.generation <> $2",
        Int64.self
    )

    /// Outdates every token of somebody else's account; `$2` is who does it.
    static let endAllOfAnother = endingAll(
        "sessions.end_all_of_another",
        .allSessionsEnded,
        actor: "$2::uuid",
        unless: "false",
        AccountID?.self
    )

    /// Outdates every token of the account `$1`; `$3` on the audit.
    private static func endingAll<Second: PostgresBind>(
        _ name: String,
        _ action: AuditAction,
        actor: String,
        unless obstacle: String,
        _ second: Second.Type
    ) -> RevokingStatement<AccountID, AccountID, Second, AuditBinds> {
        RevokingStatement(
            name,
            """
            signature AS (
                UPDATE account_signatures g
                   SET generation = \(nextGeneration), rotated_at = $4
                 WHERE g.account_id = $1
                   AND NOT (\(obstacle))
                RETURNING g.account_id, g.generation
            ), \(RevocationLog.append(
                as: "logged",
                .signature,
                subject: "signature.account_id",
                version: "signature.generation",
                from: "signature"
            )), \(AuditLog.append(
                as: "audited",
                action,
                account: "signature.account_id",
                actor: actor,
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
            second,
            AuditBinds.self,
            decode: { try $0.get(0, as: AccountID.self) }
        )
    }

    /// The parts that rotate the signature and move the calling session to the new one with a new
    /// nonce, so that every older refresh token of it is dead too, without being reuse.
    ///
    /// `$1` is the account, `$2` its generation, `$3` the session, `$4` the digest of the new
    /// nonce, `$5` `now`; `gate` is a part whose row allows it. Where it is the password that was
    /// shown, its owner has proved who he is (`auth_time`).
    private static func restamp(gate: String, proves: Bool = false) -> RevokingSQL {
        """
        signature AS (
            UPDATE account_signatures g
               SET generation = \(nextGeneration), rotated_at = $5
              FROM \(gate) t
             WHERE g.account_id = t.account_id
            RETURNING g.account_id, g.generation
        ), restamped AS (
            UPDATE sessions s
               SET signature_generation = g.generation,
                   refresh_generation = 1,
                   nonce_digest = $4,
                   previous_exchanged_at = NULL,
                   authenticated_at = \(proves ? "clock_timestamp()" : "s.authenticated_at"),
                   last_used_at = $5
              FROM signature g
             WHERE s.id = $3
               AND s.account_id = g.account_id
               AND s.revoked_at IS NULL
            RETURNING s.id, s.account_id, s.signature_generation, s.refresh_generation,
                      s.authenticated_at, s.idle_expires_at, s.expires_at, s.organisation_id,
                      s.actor_id, s.second_factor
        ), \(RevocationLog.append(
            as: "logged",
            .signature,
            subject: "signature.account_id",
            version: "signature.generation",
            from: "signature"
        ))
        """
    }

    /// The session that `restamp` has moved, for tokens of lifetime `$6`.
    private static let restamped = """
        SELECT \(MintRow.columns(session: "s", account: "a", lifetime: 6))
          FROM restamped s
          JOIN accounts a ON a.id = s.account_id
        """

    /// Locks the signature of `$1` if its generation is `$2`.
    private static let held = """
        held AS MATERIALIZED (
            SELECT g.account_id
              FROM account_signatures g
             WHERE g.account_id = $1
               AND g.generation = $2
               FOR NO KEY UPDATE
        )
        """

    /// Ends all sessions of an account but one, which gets new tokens.
    static let endOthers = RevokingStatement(
        "sessions.end_others",
        """
        \(held), \(restamp(gate: "held")), \(AuditLog.append(
            as: "audited",
            .otherSessionsEnded,
            account: "signature.account_id",
            session: "$3::uuid",
            from: "signature",
            binds: 7
        )), \(Outbox.append(
            as: "announced",
            .loggedOutEverywhere,
            account: "signature.account_id",
            payload: "jsonb_build_object('except', $3::uuid)",
            from: "signature",
            entry: 7,
            at: 8
        ))
        """,
        answer: restamped,
        binds: AccountID.self,
        Int64.self,
        SessionID.self,
        [UInt8].self,
        Timestamp.self,
        Int32.self,
        AuditBinds.self,
        decode: MintRow.init
    )

    /// Replaces a password whose old hash is `$11`, ends all other sessions, and gives the calling
    /// one new tokens.
    ///
    /// The locks come in the order of sign-in: signature, password, session.
    static let changePassword = RevokingStatement(
        "sessions.change_password",
        """
        \(held), password AS (
            UPDATE account_passwords p
               SET phc = $12, changed_at = $5, must_change = false
              FROM held h
             WHERE p.account_id = h.account_id
               AND p.phc = $11
            RETURNING p.account_id
        ), \(restamp(gate: "password", proves: true)), \(AuditLog.append(
            as: "audited",
            .passwordChanged,
            account: "signature.account_id",
            session: "$3::uuid",
            from: "signature",
            binds: 7
        )), \(Outbox.append(
            as: "announced",
            .passwordChanged,
            account: "signature.account_id",
            payload: "jsonb_build_object('session_id', $3::uuid)",
            from: "signature",
            entry: 7,
            at: 8
        ))
        """,
        answer: restamped,
        binds: AccountID.self,
        Int64.self,
        SessionID.self,
        [UInt8].self,
        Timestamp.self,
        Int32.self,
        AuditBinds.self,
        String.self,
        String.self,
        decode: MintRow.init
    )

    /// Records that somebody who is signed in did not know what he must to change the password.
    static let recordFailedChange = Statement(
        "sessions.record_failed_change",
        """
        WITH caller AS (SELECT $1::uuid AS account_id, $2::uuid AS session_id),
        \(AuditLog.append(
            as: "audited",
            .passwordChangeFailed,
            account: "caller.account_id",
            session: "caller.session_id",
            detail: "jsonb_build_object('outcome', $7::text)",
            from: "caller",
            binds: 3
        ))
        SELECT 1
        """,
        kind: .write,
        binds: AccountID.self,
        SessionID.self,
        AuditBinds.self,
        String.self
    )

    /// The living sessions of an account, newest first, older than the cursor; without those for
    /// another organisation than `$5`, where that is given.
    static let list = Statement(
        "sessions.list",
        """
        SELECT s.id, s.created_at, s.last_used_at, s.idle_expires_at, s.ip_address, s.user_agent,
               s.organisation_id
          FROM sessions s
          JOIN account_signatures g ON g.account_id = s.account_id
         WHERE s.account_id = $1
           AND s.signature_generation = g.generation
           AND s.revoked_at IS NULL
           AND s.idle_expires_at > $2
           AND s.expires_at > $2
           AND s.id < $3
           AND ($5::uuid IS NULL OR s.organisation_id IS NULL OR s.organisation_id = $5)
         ORDER BY s.id DESC
         LIMIT $4
        """,
        binds: AccountID.self,
        Timestamp.self,
        SessionID.self,
        Int32.self,
        OrganisationID?.self,
        decode: { row in
            SessionView(
                id: try row.get(0, as: SessionID.self),
                createdAt: try row.get(1, as: Timestamp.self),
                lastUsedAt: try row.get(2, as: Timestamp.self),
                expiresAt: try row.get(3, as: Timestamp.self),
                address: try row.get(4, as: String.self),
                userAgent: try row.get(5, as: String.self),
                organisationID: try row.get(6, as: OrganisationID?.self)
            )
        }
    )

    /// The login history of an account, newest first, older than the cursor; where `$4` is given
    /// without the sign-ins whose sessions are for another organisation, or are not kept any more.
    static let history = Statement(
        "sessions.login_history",
        """
        SELECT h.id, h.at, h.ip_address, h.user_agent, h.outcome
          FROM login_history h
         WHERE h.account_id = $1
           AND h.id < $2
           AND ($4::uuid IS NULL OR h.session_id IS NULL OR EXISTS (
                   SELECT
                     FROM sessions s
                    WHERE s.id = h.session_id
                      AND (s.organisation_id IS NULL OR s.organisation_id = $4)))
         ORDER BY h.id DESC
         LIMIT $3
        """,
        binds: AccountID.self,
        EntryID.self,
        Int32.self,
        OrganisationID?.self,
        decode: { row in
            LoginView(
                id: try row.get(0, as: EntryID.self),
                at: try row.get(1, as: Timestamp.self),
                address: try row.get(2, as: String.self),
                userAgent: try row.get(3, as: String.self),
                outcome: try row.get(4, as: String.self)
            )
        }
    )

    /// Which of these sessions nobody has ended, and as of which version of their accounts' ends
    /// (H25).
    ///
    /// Raises an error on a standby, whose history may be behind (H10). By the primary key.
    static let resolve = Statement(
        "sessions.resolve",
        """
        SELECT u.id,
               s.id IS NOT NULL AND s.revoked_at IS NULL,
               COALESCE(c.version, 0),
               pg_current_wal_lsn()::text
          FROM unnest($1::uuid[]) u (id)
          LEFT JOIN sessions s ON s.id = u.id
          LEFT JOIN session_ends c ON c.account_id = s.account_id
        """,
        kind: .urgent,
        binds: [SessionID].self,
        decode: { row in
            ResolvedSession(
                session: try row.get(0, as: SessionID.self),
                isAlive: try row.get(1, as: Bool.self),
                version: try row.get(2, as: Int64.self)
            )
        }
    )

    /// All statements, for the test that prepares them.
    package static var statements: [StatementInfo] {
        [
            resolve.info, end.info, endLost.info, endAll.info, endAllOfAnother.info, endOthers.info,
            changePassword.info,
            recordFailedChange.info,
            list.info, history.info,
        ]
    }
}

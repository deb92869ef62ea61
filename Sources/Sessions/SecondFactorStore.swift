// The SQL of second factors. Each use of a code is one conditional UPDATE of the account's row, so
// that it opens one thing once, on whichever node it is shown (W5). Where the account's row is
// locked too it comes first, as where it is deleted. Times are `clock_timestamp()`: a code is
// judged by the time after the wait for the row.
import Audit
import Messaging
package import Postgres
import Primitives

/// Statements on second factors.
package enum SecondFactorStore {
    /// How many wrong codes in a row close an authenticator until a recovery code is used (NIST SP
    /// 800-63B-4 section 3.2.2); the throttle of sign-ins is far below.
    static let failureLimit = 100
    /// How long an enrolment may take, in minutes.
    static let enrolmentMinutes: Int64 = 10

    /// What an account's owner sees of his second factor; no row where he has none.
    static let find = Statement(
        "second_factors.find",
        """
        SELECT f.confirmed_at, f.last_used_at, cardinality(f.recovery_digests)
          FROM second_factors f
         WHERE f.account_id = $1
           AND f.confirmed_at IS NOT NULL
        """,
        binds: AccountID.self,
        decode: { row in
            SecondFactorView(
                confirmedAt: try row.get(0, as: Timestamp.self),
                lastUsedAt: try row.get(1, as: Timestamp?.self),
                recoveryCodesLeft: Int(try row.get(2, as: Int32.self))
            )
        }
    )

    /// Keeps the seed of an authenticator that is to be enrolled in the session `$4`, in place of
    /// one that was begun.
    ///
    /// No row where there is one already, or no such account any more.
    static let begin = Statement(
        "second_factors.begin",
        """
        WITH target AS MATERIALIZED (
            SELECT a.id, COALESCE(a.email, a.username, '') AS name
              FROM accounts a
             WHERE a.id = $1
               AND a.state = 'active'
               FOR NO KEY UPDATE
        )
        INSERT INTO second_factors AS f (
            account_id, seed_sealed, master_key_version, begun_in, created_at
        )
        SELECT t.id, $2, $3, $4, clock_timestamp()
          FROM target t
        ON CONFLICT (account_id) DO UPDATE
           SET seed_sealed = excluded.seed_sealed,
               master_key_version = excluded.master_key_version,
               last_step = 0,
               failed_codes = 0,
               begun_in = excluded.begun_in,
               created_at = excluded.created_at
         WHERE f.confirmed_at IS NULL
        RETURNING (SELECT t.name FROM target t)
        """,
        kind: .solo,
        binds: AccountID.self,
        [UInt8].self,
        Int32.self,
        SessionID.self,
        decode: { try $0.get(0, as: String.self) }
    )

    /// Counts a guess, before anybody knows what it is worth, and gives what it is judged by: of an
    /// authenticator that is in use, or of the one whose enrolment the session `$2` has begun.
    ///
    /// No row where there is none, or it is closed, or its enrolment took too long.
    static let attempt = Statement(
        "second_factors.attempt",
        """
        UPDATE second_factors f
           SET failed_codes = f.failed_codes + 1
         WHERE f.account_id = $1
           AND CASE
                   WHEN $2::uuid IS NULL THEN f.confirmed_at IS NOT NULL
                   ELSE f.confirmed_at IS NULL
                    AND f.begun_in = $2
                    AND f.created_at > clock_timestamp() - interval '\(enrolmentMinutes) min'
               END
           AND f.failed_codes < \(failureLimit)
        RETURNING f.seed_sealed, f.master_key_version, f.created_at, f.last_step,
                  clock_timestamp()
        """,
        kind: .solo,
        binds: AccountID.self,
        SessionID?.self,
        decode: { row in
            (
                sealed: try row.get(0, as: [UInt8].self),
                version: Int(try row.get(1, as: Int32.self)),
                createdAt: try row.get(2, as: Timestamp.self),
                lastStep: try row.get(3, as: Int64.self), now: try row.get(4, as: Timestamp.self)
            )
        }
    )

    /// Takes the count of a guess back that nobody could judge.
    static let takeBack = Statement(
        "second_factors.take_back",
        """
        UPDATE second_factors f
           SET failed_codes = greatest(f.failed_codes - 1, 0)
         WHERE f.account_id = $1
        """,
        kind: .solo,
        binds: AccountID.self
    )

    /// Uses the code of step `$3` of the authenticator made at `$2`: once, and none before it any
    /// more (RFC 6238 section 5.2).
    static let acceptStep = Statement(
        "second_factors.accept_step",
        """
        UPDATE second_factors f
           SET last_step = $3, failed_codes = 0, last_used_at = clock_timestamp()
         WHERE f.account_id = $1
           AND f.created_at = $2
           AND f.confirmed_at IS NOT NULL
           AND f.last_step < $3
        RETURNING f.account_id
        """,
        kind: .solo,
        binds: AccountID.self,
        Timestamp.self,
        Int64.self,
        decode: { try $0.get(0, as: AccountID.self) }
    )

    /// Uses the recovery code of digest `$2`: it is gone.
    static let spendRecoveryCode = Statement(
        "second_factors.spend_recovery_code",
        """
        WITH target AS MATERIALIZED (
            SELECT a.id
              FROM accounts a
             WHERE a.id = $1
               AND a.state = 'active'
               FOR NO KEY UPDATE
        ), changed AS (
            UPDATE second_factors f
               SET recovery_digests = array_remove(f.recovery_digests, $2::bytea),
                   failed_codes = 0,
                   last_used_at = clock_timestamp()
              FROM target t
             WHERE f.account_id = t.id
               AND f.confirmed_at IS NOT NULL
               AND $2::bytea = ANY (f.recovery_digests)
            RETURNING f.account_id
        ), \(journals(.recoveryCodeUsed, .recoveryCodeUsed, session: "NULL", binds: 3))
        SELECT c.account_id FROM changed c
        """,
        kind: .solo,
        binds: AccountID.self,
        [UInt8].self,
        AuditBinds.self,
        decode: { try $0.get(0, as: AccountID.self) }
    )

    /// The digests that stand one after another in parameter `$2`.
    private static let digests = """
        ARRAY(SELECT substr($2::bytea, 1 + 32 * n, 32)
                       FROM generate_series(0, length($2::bytea) / 32 - 1) n)
        """

    /// Takes the authenticator made at `$4` into use, whose code of step `$5` was shown in the
    /// session `$3` of generation `$6`, with the recovery codes of `$2`.
    static let confirm = Statement(
        "second_factors.confirm",
        changing(
            """
            UPDATE second_factors f
               SET confirmed_at = clock_timestamp(), last_step = $5, failed_codes = 0,
                   recovery_digests = \(digests)
              FROM target t
             WHERE f.account_id = t.id
               AND f.created_at = $4
               AND f.confirmed_at IS NULL
            RETURNING f.account_id
            """,
            .secondFactorAdded,
            .secondFactorAdded,
            generation: 6,
            binds: 7
        ),
        kind: .solo,
        binds: AccountID.self,
        [UInt8].self,
        SessionID.self,
        Timestamp.self,
        Int64.self,
        Int64.self,
        AuditBinds.self,
        decode: { try $0.get(0, as: AccountID.self) }
    )

    /// Replaces the recovery codes by those of `$2`, on behalf of the session `$3` of generation
    /// `$4`.
    static let renewCodes = Statement(
        "second_factors.renew_codes",
        changing(
            """
            UPDATE second_factors f
               SET recovery_digests = \(digests)
              FROM target t
             WHERE f.account_id = t.id
               AND f.confirmed_at IS NOT NULL
            RETURNING f.account_id
            """,
            .recoveryCodesRenewed,
            .recoveryCodesRenewed,
            generation: 4,
            binds: 5
        ),
        kind: .solo,
        binds: AccountID.self,
        [UInt8].self,
        SessionID.self,
        Int64.self,
        AuditBinds.self,
        decode: { try $0.get(0, as: AccountID.self) }
    )

    /// Removes a second factor, by `$2` in the session `$3` (NULL where somebody else does it).
    ///
    /// One that was only begun goes too, but counts as none.
    static let remove = Statement(
        "second_factors.remove",
        """
        WITH target AS MATERIALIZED (
            SELECT a.id
              FROM accounts a
             WHERE a.id = $1
               AND a.state <> 'deleted'
               FOR NO KEY UPDATE
        ), gone AS (
            DELETE FROM second_factors f
             USING target t
             WHERE f.account_id = t.id
            RETURNING f.account_id, f.confirmed_at
        ), changed AS (SELECT g.account_id FROM gone g WHERE g.confirmed_at IS NOT NULL),
        \(journals(.secondFactorRemoved, .secondFactorRemoved, actor: "$2::uuid", binds: 4))
        SELECT c.account_id FROM changed c
        """,
        kind: .solo,
        binds: AccountID.self,
        AccountID?.self,
        SessionID?.self,
        AuditBinds.self,
        decode: { try $0.get(0, as: AccountID.self) }
    )

    /// Seeds after the account `$2` that are sealed with another version of the master key than
    /// `$1`, at most 500; not those of enrolments that were given up.
    static let findSealedOtherwise = Statement(
        "second_factors.find_sealed_otherwise",
        """
        SELECT f.account_id, f.seed_sealed, f.master_key_version
          FROM second_factors f
         WHERE f.master_key_version <> $1
           AND f.account_id > $2
           AND (f.confirmed_at IS NOT NULL
                OR f.created_at > clock_timestamp() - interval '\(enrolmentMinutes) min')
         ORDER BY f.account_id
         LIMIT 500
        """,
        binds: Int32.self,
        AccountID.self,
        decode: { row in
            (
                account: try row.get(0, as: AccountID.self),
                sealed: try row.get(1, as: [UInt8].self),
                version: Int(try row.get(2, as: Int32.self))
            )
        }
    )

    /// Replaces a sealed seed `$2` by `$3`, which the version `$4` seals.
    static let reseal = Statement(
        "second_factors.reseal",
        """
        UPDATE second_factors f
           SET seed_sealed = $3, master_key_version = $4
         WHERE f.account_id = $1
           AND f.seed_sealed = $2
        RETURNING f.account_id
        """,
        kind: .solo,
        binds: AccountID.self,
        [UInt8].self,
        [UInt8].self,
        Int32.self,
        decode: { try $0.get(0, as: AccountID.self) }
    )

    /// A change of its owner's, `$1`, in his session `$3`, which has not ended meanwhile (decision
    /// 19).
    private static func changing(
        _ change: String,
        _ action: AuditAction,
        _ topic: OutboxTopic,
        generation: Int,
        binds: Int
    ) -> String {
        """
        WITH signature AS MATERIALIZED (
            SELECT g.account_id
              FROM account_signatures g
             WHERE g.account_id = $1
               AND g.generation = $\(generation)
               FOR SHARE
        ), target AS MATERIALIZED (
            SELECT a.id
              FROM accounts a
              JOIN signature g ON g.account_id = a.id
             WHERE a.state = 'active'
               AND EXISTS (SELECT FROM sessions s WHERE s.id = $3 AND s.revoked_at IS NULL)
               FOR NO KEY UPDATE OF a
        ), changed AS (
            \(change)
        ), \(journals(action, topic, binds: binds))
        SELECT c.account_id FROM changed c
        """
    }

    /// The account is of another version, and the change is recorded and told.
    private static func journals(
        _ action: AuditAction,
        _ topic: OutboxTopic,
        actor: String = "changed.account_id",
        session: String = "$3::uuid",
        binds: Int
    ) -> String {
        """
        touched AS (
            UPDATE accounts a
               SET version = a.version + 1, updated_at = $\(binds + 1)
              FROM changed c
             WHERE a.id = c.account_id
        ), \(AuditLog.append(
            as: "audited",
            action,
            account: "changed.account_id",
            session: session,
            actor: actor,
            from: "changed",
            binds: binds
        )), \(Outbox.append(
            as: "announced",
            topic,
            account: "changed.account_id",
            payload: "'{}'::jsonb",
            from: "changed",
            entry: binds,
            at: binds + 1
        ))
        """
    }

    /// All statements, for the test that prepares them.
    package static var statements: [StatementInfo] {
        [
            find.info, begin.info, attempt.info, takeBack.info, acceptStep.info,
            spendRecoveryCode.info, confirm.info, renewCodes.info, remove.info,
            findSealedOtherwise.info, reseal.info,
        ]
    }
}

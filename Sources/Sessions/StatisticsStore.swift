// The SQL of the statistics. What happened in an hour is counted in the range of keys that were
// made in it, which a UUIDv7 tells: an index is read from one end of the hour to the other, however
// large the tables are. Must not read a table without such a range.
import Audit
package import Postgres
import Primitives

/// One number of one hour.
struct HourValue: Sendable {
    let hour: Timestamp
    let measure: String
    let value: Int64
}

/// Statements of the statistics.
package enum StatisticsStore {
    /// What was counted in a range of keys: a line for each measure.
    private static let counted = """
        SELECT 'sign-ups' AS measure, count(*) AS value
          FROM accounts a
         WHERE a.id >= $1
           AND a.id < $2
           AND a.kind = 'person'
         UNION ALL
        SELECT CASE h.outcome WHEN 'signed-in' THEN 'sign-ins' ELSE 'failed:' || h.outcome END,
               count(*)
          FROM login_history h
         WHERE h.id >= $1
           AND h.id < $2
         GROUP BY h.outcome
         UNION ALL
        SELECT 'failed:unknown-login', count(*)
          FROM audit_events e
         WHERE e.action = '\(AuditAction.signInFailed.rawValue)'
           AND e.account_id IS NULL
           AND e.id >= $1
           AND e.id < $2
        """

    /// Counts a range of keys without keeping the numbers.
    static let count = Statement(
        "statistics.count",
        "SELECT c.measure, c.value FROM (\(counted)) c ORDER BY c.measure",
        kind: .list,
        binds: EntryID.self,
        EntryID.self,
        decode: { (try $0.get(0, as: String.self), try $0.get(1, as: Int64.self)) }
    )

    /// Counts an hour that is over and keeps the numbers in place of those it had.
    static let roll = Statement(
        "statistics.roll",
        """
        INSERT INTO statistics_hours (hour, measure, value, counted_at)
        SELECT $3, c.measure, c.value, $4
          FROM (\(counted)) c
            ON CONFLICT (hour, measure) DO UPDATE
           SET value = excluded.value, counted_at = excluded.counted_at
        """,
        kind: .solo,
        binds: EntryID.self,
        EntryID.self,
        Timestamp.self,
        Timestamp.self
    )

    /// How many sessions that were made in a range of keys were alive at `$3`.
    ///
    /// What has ended since was alive then; the signature of an account tells of its last rotation
    /// only, so the moment should not lie far back.
    static let alive = Statement(
        "statistics.alive",
        """
        SELECT count(*)
          FROM sessions s
          JOIN account_signatures g ON g.account_id = s.account_id
         WHERE s.id >= $1
           AND s.id < $2
           AND s.idle_expires_at > $3
           AND s.expires_at > $3
           AND (s.revoked_at IS NULL OR s.revoked_at > $3)
           AND (s.signature_generation = g.generation OR g.rotated_at > $3)
        """,
        kind: .list,
        binds: SessionID.self,
        SessionID.self,
        Timestamp.self,
        decode: { try $0.get(0, as: Int64.self) }
    )

    /// Keeps the number of sessions at the end of an hour, unless somebody has.
    static let keepAlive = Statement(
        "statistics.keep_alive",
        """
        INSERT INTO statistics_hours (hour, measure, value, counted_at)
        VALUES ($1, '\(activeSessions)', $2, $3)
            ON CONFLICT (hour, measure) DO NOTHING
        """,
        kind: .solo,
        binds: Timestamp.self,
        Int64.self,
        Timestamp.self
    )

    /// The measure of `keepAlive`.
    static let activeSessions = "active-sessions"

    /// Whether this transaction is the only one that counts, until it ends.
    static let lock = Statement(
        "statistics.lock",
        "SELECT pg_try_advisory_xact_lock(hashtext('watchword.statistics'))",
        kind: .solo,
        decode: { try $0.get(0, as: Bool.self) }
    )

    /// The latest hour there is, and when it was counted.
    static let latest = Statement(
        "statistics.latest",
        """
        SELECT s.hour, s.counted_at
          FROM statistics_hours s
         WHERE s.measure = 'sign-ups'
         ORDER BY s.hour DESC
         LIMIT 1
        """,
        decode: { (hour: try $0.get(0, as: Timestamp.self), at: try $0.get(1, as: Timestamp.self)) }
    )

    /// The oldest account, before which nothing can have happened.
    static let oldest = Statement(
        "statistics.oldest",
        "SELECT a.id FROM accounts a ORDER BY a.id LIMIT 1",
        decode: { try $0.get(0, as: AccountID.self) }
    )

    /// The numbers that were kept of the hours from `$1` to before `$2`; a few for each.
    static let list = Statement(
        "statistics.list",
        """
        SELECT s.hour, s.measure, s.value
          FROM statistics_hours s
         WHERE s.hour >= $1
           AND s.hour < $2
         ORDER BY s.hour, s.measure
        """,
        kind: .list,
        binds: Timestamp.self,
        Timestamp.self,
        decode: { row in
            HourValue(
                hour: try row.get(0, as: Timestamp.self),
                measure: try row.get(1, as: String.self),
                value: try row.get(2, as: Int64.self)
            )
        }
    )

    /// All statements, for the test that prepares them.
    package static var statements: [StatementInfo] {
        [
            count.info, roll.info, alive.info, keepAlive.info, lock.info, latest.info, oldest.info,
            list.info,
        ]
    }
}

// The SQL by which ends of sessions reach the revocation log (revocation.md H25). Up to a number in
// a minute each is an entry of its own. Beyond it one entry for the account stands for all of them:
// its version grows with each end, and nodes ask PostgreSQL which of the account's sessions are
// alive as of that version. The entry of a minute is updated in place: the transaction number is
// what readers go by, and it is new each time. Whoever is ended is in `sessions` all the same.
import Postgres

extension RevocationLog {
    /// Whether an end still falls into the minute of the row `c`.
    ///
    /// By the statement's time, which is the same wherever it stands in the statement.
    private static let isSameMinute = "c.began_at > statement_timestamp() - interval '1 minute'"

    /// The part that counts an end, under a lock on the account's row that is held to the commit;
    /// without a limit, or an account, nothing is counted and nobody waits for it.
    private static func counted(_ name: String, from source: String, limit: Int) -> String {
        """
        \(name)_counted AS (
            INSERT INTO session_ends AS c (account_id, began_at, ends, version, entry_at)
            SELECT e.account_id, statement_timestamp(), 1, \(GrowingVersion.now),
                   clock_timestamp()
              FROM \(source) e
             WHERE $\(limit) > 0
               AND EXISTS (SELECT FROM accounts a WHERE a.id = e.account_id)
            ON CONFLICT (account_id) DO UPDATE
               SET began_at = CASE WHEN \(isSameMinute) THEN c.began_at
                                   ELSE statement_timestamp() END,
                   ends = CASE WHEN \(isSameMinute) THEN c.ends + 1 ELSE 1 END,
                   version = \(GrowingVersion.next("c.version")),
                   entry_at = CASE WHEN \(isSameMinute) AND c.ends > $\(limit) THEN c.entry_at
                                   ELSE clock_timestamp() END
            RETURNING c.account_id, c.version, c.entry_at,
                      c.ends > $\(limit) AS is_collapsed
        )
        """
    }

    /// Appends the end of a session, or lets the entry of its account stand for it.
    ///
    /// - Parameters:
    ///   - name: the name of the part; others get names that begin with it.
    ///   - source: a part with `id` and `account_id` of at most one session, which it has locked.
    ///   - limit: the number of the parameter that says from how many ends a minute on they are
    ///     collapsed; its value 0 means never.
    package static func appendEnd(
        as name: String,
        from source: String,
        limit: Int
    ) -> RevokingSQL {
        let bumped = RevokingPart(
            name: "\(name)_bumped",
            sql: """
                \(name)_bumped AS (
                    UPDATE revocation_log r
                       SET xid = pg_current_xact_id(),
                           ver = c.version,
                           expires_at = revocation_expiry()
                      FROM \(name)_counted c
                     WHERE c.is_collapsed
                       AND r.created_at = c.entry_at
                       AND r.kind = \(RevocationKind.sessions.rawValue)
                       AND r.subject = uuid_send(c.account_id)
                    RETURNING \(RevocationEntry.packedSQL) AS entry
                )
                """
        )
        // Where no entry could be updated (the first of the minute, or one that another transaction
        // made a moment ago and this snapshot does not show) there is a new one: nothing is lost.
        let appended = RevokingPart(
            name: name,
            sql: """
                \(name) AS (
                    INSERT INTO revocation_log (kind, subject, ver, expires_at, created_at)
                    SELECT CASE WHEN c.is_collapsed THEN \(RevocationKind.sessions.rawValue)
                                ELSE \(RevocationKind.session.rawValue) END,
                           uuid_send(CASE WHEN c.is_collapsed THEN c.account_id ELSE e.id END),
                           CASE WHEN c.is_collapsed THEN c.version ELSE 0 END,
                           revocation_expiry(),
                           CASE WHEN c.is_collapsed THEN c.entry_at ELSE clock_timestamp() END
                      FROM \(source) e
                      LEFT JOIN \(name)_counted c ON c.account_id = e.account_id
                     WHERE NOT EXISTS (SELECT FROM \(name)_bumped)
                    RETURNING \(RevocationEntry.packedSQL) AS entry
                )
                """
        )
        return """
            \(counted(name, from: source, limit: limit)), \(bumped), \(appended)
            """
    }

    /// What written-back entries of kind `sessions` stood for, over `e` (H7).
    ///
    /// The new primary lacks ends of sessions, and nobody knows which: the account's tokens are all
    /// outdated. Where it knows the version, it has them all, and nothing happens.
    static let restoredSignatures = """
        wanted AS MATERIALIZED (
            SELECT e.subject AS account_id,
                   max(e.ver) FILTER (WHERE e.kind IN (
                       \(RevocationKind.signature.rawValue),
                       \(RevocationKind.accountState.rawValue)
                   )) AS generation,
                   bool_or(e.kind = \(RevocationKind.sessions.rawValue)
                       AND NOT EXISTS (
                           SELECT FROM session_ends c
                            WHERE c.account_id = e.subject AND c.version >= e.ver
                       )) AS is_blind,
                   max(e.ver) FILTER (WHERE e.kind = \(RevocationKind.sessions.rawValue))
                       AS version
              FROM e
             WHERE e.kind IN (
                       \(RevocationKind.signature.rawValue),
                       \(RevocationKind.accountState.rawValue),
                       \(RevocationKind.sessions.rawValue)
                   )
             GROUP BY e.subject
        ), rotated AS (
            UPDATE account_signatures g
               SET generation = CASE WHEN w.is_blind
                                     THEN greatest(
                                         w.generation, \(GrowingVersion.next("g.generation")))
                                     ELSE w.generation END,
                   rotated_at = clock_timestamp()
              FROM wanted w
             WHERE g.account_id = w.account_id
               AND (w.is_blind OR g.generation < w.generation)
            RETURNING g.account_id, g.generation, w.is_blind, w.version
        ), noted AS (
            INSERT INTO session_ends AS c (account_id, began_at, ends, version, entry_at)
            SELECT r.account_id, statement_timestamp(), 0, r.version, clock_timestamp()
              FROM rotated r
             WHERE r.is_blind
            ON CONFLICT (account_id) DO UPDATE SET version = greatest(c.version, excluded.version)
        ), outdated AS (SELECT r.account_id, r.generation FROM rotated r WHERE r.is_blind)
        """
}

// The SQL of the revocation log: how a revocation is appended in the transaction that causes it
// (W3), and the one statement by which nodes learn of revocations (revocation.md 1.3, 1.6).
package import Postgres
import Primitives

/// SQL of the log.
package enum RevocationLog {
    /// A data-modifying part of a `WITH` list that appends one entry for each row of `source`.
    ///
    /// `source` must be a part that has taken the locks of the revocation, because the expiry is
    /// stamped when this part runs (revocation.md 1.8).
    ///
    /// - Parameters:
    /// - name: the name this part gets.
    /// - kind: what is revoked.
    /// - subject: an SQL expression over `source` of type `uuid`.
    /// - version: an SQL expression over `source` of type `bigint`.
    package static func append(
        as name: String,
        _ kind: RevocationKind,
        subject: String,
        version: String = "0",
        from source: String
    ) -> RevokingPart {
        RevokingPart(
            name: name,
            sql: """
                \(name) AS (
                    INSERT INTO revocation_log (kind, subject, ver, expires_at)
                    SELECT \(kind.rawValue), uuid_send(\(subject)), \(version), revocation_expiry()
                      FROM \(source)
                    RETURNING \(RevocationEntry.packedSQL) AS entry
                )
                """
        )
    }

    /// What is visible to a read, as `xmin:xmax:xip,…`; the next read starts at its xmin.
    private static let snapshot: String = {
        #if DEBUG
        if Mutant.active == .idCursor {
            return "COALESCE((SELECT max(id) FROM revocation_log), 0) || ':'"
        }
        #endif
        return "pg_current_snapshot()::text"
    }()

    /// Whether a row may have become visible since the cursor `$1`.
    private static let isNew: String = {
        #if DEBUG
        if Mutant.active == .idCursor { return "r.id > (SELECT $1::text::bigint)" }
        if Mutant.active == .upperBound {
            return "r.xid >= (SELECT $1::text::xid8)"
                + " AND r.xid < pg_snapshot_xmin(pg_current_snapshot())"
        }
        #endif
        return "r.xid >= (SELECT $1::text::xid8)"
    }()

    /// The rows that may have become visible since the cursor `$1`, at most `answerLimit`.
    ///
    /// From each transaction that has not ended to the next, and up to the first that has not begun
    /// for this snapshot: rows between those are all that it can show. Those of one that is still
    /// inserting, which may be many, would be looked at by every read until it commits. The order,
    /// which need not be total because an answer at its limit is not used, makes the planner take
    /// the index whatever it believes of the cursor.
    private static let newRows: String = {
        let columns = "r.id, r.packed"
        #if DEBUG
        if Mutant.active == .idCursor || Mutant.active == .upperBound {
            return "SELECT \(columns) FROM revocation_log r WHERE \(isNew) LIMIT \(answerLimit)"
        }
        #endif
        return """
            SELECT r.*
              FROM (
                  SELECT s.low,
                         lead(s.low, 1, pg_snapshot_xmax(pg_current_snapshot()))
                             OVER (ORDER BY s.low) AS high
                    FROM (
                        SELECT ($1::text::numeric - 1)::text::xid8 AS low
                        UNION ALL
                        SELECT x FROM pg_snapshot_xip(pg_current_snapshot()) x
                         WHERE x >= $1::text::xid8
                    ) s
              ) s
             CROSS JOIN LATERAL (
                  SELECT \(columns)
                    FROM revocation_log r
                   WHERE r.xid > s.low
                     AND r.xid < s.high
                   ORDER BY r.xid
                   LIMIT \(answerLimit)
              ) r
             LIMIT \(answerLimit)
            """
    }()

    /// Which history of the database a statement reads, besides the start of the server.
    ///
    /// The timeline has the time at which the server's statistics began: when one backend dies, the
    /// postmaster recovers from the log without being started anew, so timeline and start stay the
    /// same while transaction numbers that were rolled back unflushed are given out again (F4). The
    /// statistics do not survive that. Whoever resets them by hand causes one full read.
    static let timeline = """
        substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)
                   || '/' || COALESCE(pg_stat_get_bgwriter_stat_reset_time()::text, '') AS timeline
        """

    /// What a read says besides its entries.
    private static let head = """
        \(timeline),
               pg_postmaster_start_time() AS born,
               \(snapshot) AS snapshot,
               clock_timestamp() AS database_time,
               (SELECT seconds FROM token_horizon) AS horizon_s,
               \(AuthorityStore.columns)
        """

    /// The most entries that one answer brings, 8 MB; what there is beyond is read page by page.
    package static let answerLimit = 200_000
    /// How many entries a page has, as many as an event loop receives within a quarter of a
    /// millisecond; and how many there are in a row of `readSince`, at most.
    static let (pageSize, rowSize) = (2000, 1000)
    /// Where the entries are in a row of `readSince`.
    static let packedColumn = 9

    /// What came since a cursor.
    ///
    /// Up to a thousand entries to a row, by their running number, which changes nothing but the
    /// size of the rows: an answer of many is received, and put into the set, piece by piece.
    ///
    /// Raises an error on a standby, which has no current WAL position (H10). A row seen twice does
    /// no harm; a row is never missed, because one that is visible now and was not before belongs
    /// to a transaction at or above the previous snapshot's xmin.
    static let readSince = Statement(
        "revocation.read_since",
        """
        SELECT \(head), p.entries
          FROM revocation_authority a
          LEFT JOIN (
              SELECT string_agg(r.packed, ''::bytea) AS entries
                FROM (\(newRows)) r
               GROUP BY r.id / \(rowSize)
          ) p ON true
        """,
        kind: .urgent,
        binds: String.self,
        decode: { try Reading(head: $0) }
    )

    /// The head alone: where its snapshot is one that was read in full already, there is nothing to
    /// look for in the log, at a fourth of the cost.
    ///
    /// Which transactions a statement sees follows from its snapshot, because those below xmax that
    /// were not in progress have ended and stay so; a commit takes its own out of `xip`, or moves
    /// xmax. Only within one history of the server, which the head names too.
    static let glance = Statement(
        "revocation.glance",
        "SELECT \(head) FROM revocation_authority a",
        kind: .urgent,
        decode: { try Reading(head: $0) }
    )

    // Whatever is too much for one answer is read in one transaction, whose snapshot is that of all
    // its statements: what the head says, and every entry, are of the same moment (1.6).

    /// Makes the transaction one of a single snapshot; its first statement.
    static let pin = Statement(
        "revocation.pin",
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
        kind: .solo
    )

    /// The head alone.
    static let readHead = Statement(
        "revocation.read_head",
        "SELECT \(head) FROM revocation_authority a",
        kind: .solo,
        decode: { try Reading(head: $0) }
    )

    /// Begins to read what came since a cursor.
    static let openSince = Statement(
        "revocation.open_since",
        """
        DECLARE revocations NO SCROLL CURSOR FOR
        SELECT r.packed
          FROM revocation_log r
         WHERE \(isNew)
        """,
        kind: .solo,
        binds: String.self
    )

    /// Begins to read everything that still matters, for the start and after a failover.
    static let openEverything = Statement(
        "revocation.open_everything",
        """
        DECLARE revocations NO SCROLL CURSOR FOR
        SELECT r.packed
          FROM revocation_log r
         WHERE r.expires_at > clock_timestamp() - interval '2 minutes'
        """,
        kind: .solo
    )

    /// The next page; a short one is the last.
    static let nextPage = Statement(
        "revocation.next_page",
        "FETCH FORWARD \(pageSize) FROM revocations",
        kind: .solo,
        decode: { _ in }
    )

    /// All statements that SQL's own `PREPARE` takes, for the test that does it.
    package static var statements: [StatementInfo] {
        [restore.info, readSince.info, glance.info, readHead.info, SamplerStore.audit.info]
    }
}

extension Reading {
    /// What a row of a read says.
    init(head row: PostgresRow) throws {
        let snapshot = try row.get(2, as: String.self)
        guard let low = snapshot.utf8.split(separator: UInt8(ascii: ":")).first,
            let nextLow = UInt64(Substring(low))
        else { throw ReadIndexFault.unconfirmed }
        self.init(
            timeline: DatabaseTimeline(
                timeline: try row.get(0, as: String.self),
                born: try row.get(1, as: Timestamp.self)
            ),
            nextLow: nextLow,
            snapshot: snapshot,
            databaseTime: try row.get(3, as: Timestamp.self),
            horizon: .seconds(Int64(try row.get(4, as: Int32.self))),
            authority: try AuthorityStore.authority(row, from: 5)
        )
    }
}

// The SQL of the revocation log: how a revocation is appended in the transaction that causes it
// (W3), and the one statement by which nodes learn of revocations (revocation.md 1.3, 1.6).
package import Postgres
package import Primitives

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

    /// Writes back entries that a new primary lacks, and what they stood for: a session that was
    /// ended, a generation that was left behind, a key that was retired (H7).
    ///
    /// Without the latter a refresh would mint anew as soon as the entry has expired.
    package static let restore = RevokingStatement(
        "revocation.restore",
        """
        e AS MATERIALIZED (
            SELECT u.kind, u.subject, u.ver, to_timestamp(u.expires_us / 1000000.0) AS expires_at
              FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::bigint[])
                   AS u (kind, subject, ver, expires_us)
        ), rotated AS (
            UPDATE account_signatures g
               SET generation = e.ver, rotated_at = clock_timestamp()
              FROM e
             WHERE e.kind = \("\(RevocationKind.signature.rawValue)")
               AND g.account_id = e.subject
               AND g.generation < e.ver
        ), ended AS (
            UPDATE sessions s
               SET revoked_at = clock_timestamp(), end_reason = 'restored'
              FROM e
             WHERE e.kind = \("\(RevocationKind.session.rawValue)")
               AND s.id = e.subject
               AND s.revoked_at IS NULL
        ), retired AS (
            UPDATE keys k
               SET retired_at = clock_timestamp()
              FROM e
             WHERE e.kind = \("\(RevocationKind.signingKey.rawValue)")
               AND k.id = e.subject
               AND k.retired_at IS NULL
        ), \(restored)
        """,
        answer: "SELECT count(*) FROM e",
        binds: [Int64].self,
        [ID<Named.Entry>].self,
        [Int64].self,
        [Int64].self,
        decode: { _ in }
    )

    private static let restored = RevokingPart(
        name: "logged",
        sql: """
            logged AS (
                INSERT INTO revocation_log (kind, subject, ver, expires_at)
                SELECT e.kind, uuid_send(e.subject), e.ver, e.expires_at
                  FROM e
                RETURNING \(RevocationEntry.packedSQL) AS entry
            )
            """
    )

    /// Where the next read starts.
    private static let nextLow: String = {
        #if DEBUG
        if Mutant.active == .idCursor { return "COALESCE((SELECT max(id) FROM revocation_log), 0)" }
        #endif
        return "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
    }()

    /// Whether a row may have become visible since the cursor `$1`.
    private static let isNew: String = {
        #if DEBUG
        if Mutant.active == .idCursor { return "r.id > $1::text::bigint" }
        if Mutant.active == .upperBound {
            return "r.xid >= $1::text::xid8 AND r.xid < pg_snapshot_xmin(pg_current_snapshot())"
        }
        #endif
        return "r.xid >= $1::text::xid8"
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

    /// What every row of a read begins with.
    private static let columns = """
        \(timeline),
               pg_postmaster_start_time() AS born,
               \(nextLow) AS next_low,
               clock_timestamp() AS database_time,
               (SELECT seconds FROM token_horizon) AS horizon_s,
               \(AuthorityStore.columns),
               r.kind, r.subject, r.ver, r.expires_at, r.created_at
        """

    /// What came since a cursor.
    ///
    /// Raises an error on a standby, which has no current WAL position (H10). A row seen twice does
    /// no harm; a row is never missed, because one that is visible now and was not before belongs
    /// to a transaction at or above the previous snapshot's xmin.
    package static let readSince = Statement(
        "revocation.read_since",
        """
        SELECT \(columns)
          FROM revocation_authority a
          LEFT JOIN revocation_log r ON \(isNew)
        """,
        binds: String.self,
        decode: ReadingRow.init
    )

    /// Everything that still matters, for the start and after a failover.
    package static let readEverything = Statement(
        "revocation.read_everything",
        """
        SELECT \(columns)
          FROM revocation_authority a
          LEFT JOIN revocation_log r ON r.expires_at > clock_timestamp() - interval '2 minutes'
        """,
        decode: ReadingRow.init
    )

    /// All statements, for the test that prepares them.
    package static var statements: [StatementInfo] {
        [restore.info, readSince.info, readEverything.info, SamplerStore.audit.info]
    }
}

/// One row of a read: the same head in each, and at most one entry.
package struct ReadingRow: Sendable {
    let timeline: DatabaseTimeline
    let nextLow: UInt64
    let databaseTime: Timestamp
    let horizon: Duration
    let entry: RevocationEntry?
    /// When the entry was made.
    let stamp: Timestamp?
    /// The row itself, whose authority is the same in all rows and read once.
    private let row: PostgresRow

    init(_ row: PostgresRow) throws {
        self.row = row
        timeline = DatabaseTimeline(
            timeline: try row.get(0, as: String.self),
            born: try row.get(1, as: Timestamp.self)
        )
        nextLow = UInt64(try row.get(2, as: Int64.self))
        databaseTime = try row.get(3, as: Timestamp.self)
        horizon = .seconds(Int64(try row.get(4, as: Int32.self)))
        stamp = try row.get(13, as: Timestamp?.self)
        guard let raw = try row.get(9, as: Int16?.self) else {
            entry = nil
            return
        }
        // A kind of a newer version than ours: it cannot name anything we issue or check, except
        // that a node must not run so far behind (the schema version check at start).
        guard let kind = RevocationKind(rawValue: raw),
            let id = ID<Named.Entry>(bytes: try row.get(10, as: [UInt8].self))
        else {
            entry = nil
            return
        }
        entry = RevocationEntry(
            RevocationSubject(kind, id),
            version: try row.get(11, as: Int64.self),
            expiresAt: try row.get(12, as: Timestamp.self)
        )
    }

    /// The rows of one read as one reading; nil where there is no row, which means that the
    /// authority row is missing.
    ///
    /// - Parameter isPart: whether these are what came since the last read.
    static func reading(of rows: [ReadingRow], isPart: Bool) throws -> Reading? {
        try rows.first.map { head in
            let known = rows.filter { $0.entry != nil }
            return Reading(
                timeline: head.timeline,
                nextLow: head.nextLow,
                databaseTime: head.databaseTime,
                horizon: head.horizon,
                authority: try AuthorityStore.authority(head.row, from: 5),
                entries: known.compactMap(\.entry),
                stamps: isPart ? known.compactMap(\.stamp) : []
            )
        }
    }
}

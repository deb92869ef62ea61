// Makes partitions ahead of time and drops old ones, so that nobody needs a cron job. Any node does
// it, one at a time under an advisory lock; the others find the work done. Names carry the time a
// partition starts at, so that what exists can be told from the name alone. What may go is told by
// the database's clock alone: that of a node which is ahead would drop revocations of living tokens
// (H13, W2). Pieces are made for both clocks, because ids carry the node's.
package import Logging
package import Primitives
import ServiceLifecycle

/// A table whose partitions are kept.
package struct PartitionedTable: Sendable {
    /// What the partition key is.
    package enum Key: Sendable {
        /// A UUIDv7, which starts with the time.
        case uuid
        /// A `timestamptz`.
        case time
    }
    let name: String
    let key: Key
    let width: Duration
    let ahead: Int
    let keep: Duration
    let spentWhen: String?

    /// A table cut into pieces of `width`, of which `ahead` are made in advance.
    ///
    /// - Parameters:
    ///   - keep: how long after its end a partition is kept.
    ///   - condition: an SQL condition that every row must meet before the partition is dropped,
    ///     with `$now` for the time; nil where age alone decides.
    package init(
        _ name: String,
        key: Key,
        width: Duration,
        ahead: Int,
        keep: Duration,
        spentWhen condition: String? = nil
    ) {
        self.name = name
        self.key = key
        self.width = width
        self.ahead = ahead
        self.keep = keep
        spentWhen = condition
    }

    /// The start of the piece that `time` lies in; pieces are aligned to the epoch.
    func start(of time: Timestamp) -> Timestamp {
        let width = width.wholeMicroseconds
        return Timestamp(microseconds: time.microseconds / width * width)
    }

    /// Where the pieces begin that somebody needs at `time`: one before, and those ahead.
    func starts(around time: Timestamp) -> [Timestamp] {
        (0..<(ahead + 2)).map { start(of: time - width) + width * $0 }
    }

    func partition(at start: Timestamp) -> String { "\(name)_p\(start.seconds)" }

    /// The start that a partition's name tells; nil for a table that is not one of ours.
    func start(ofPartition partition: String) -> Timestamp? {
        let prefix = name + "_p"
        guard partition.hasPrefix(prefix) else { return nil }
        return Int64(partition.dropFirst(prefix.count)).map { Timestamp(seconds: $0) }
    }

    private func bound(_ time: Timestamp) -> String {
        switch key {
        case .time: "'\(time)'"
        case .uuid: "'\(ID<Named.Entry>(high: UInt64(time.seconds * 1000) << 16, low: 0))'"
        }
    }

    /// Makes the piece that starts at `start`.
    ///
    /// Storage parameters do not come down from the parent.
    func creation(at start: Timestamp, storage: String) -> String {
        """
        CREATE TABLE IF NOT EXISTS \(partition(at: start)) PARTITION OF \(name)
            FOR VALUES FROM (\(bound(start))) TO (\(bound(start + width)))\(storage);
        """
    }

    /// Whether a piece is old enough to go.
    func isOld(_ start: Timestamp, at now: Timestamp) -> Bool { start + width + keep < now }

    /// Drops a piece, if all of its rows are spent and nobody else did.
    func removal(of partition: String, at now: Timestamp) -> String {
        guard let condition = spentWhen?.replacing("$now", with: "'\(now)'") else {
            return "DROP TABLE IF EXISTS \(partition);"
        }
        return """
            DO $$ BEGIN
                IF to_regclass('\(partition)') IS NOT NULL THEN
                    IF NOT EXISTS (SELECT FROM \(partition) WHERE NOT (\(condition))) THEN
                        DROP TABLE \(partition);
                    END IF;
                END IF;
            END $$;
            """
    }
}

/// Keeps the partitions of some tables.
package final class PartitionKeeper: Service {
    private let pool: PostgresPool
    private let tables: [PartitionedTable]
    private let clock: WallClock
    private let logger: Logger
    private static let interval: Duration = .minutes(10)

    /// A keeper of `tables`.
    ///
    /// - Parameter clock: what rows that this process writes are dated by.
    package init(
        pool: PostgresPool,
        tables: [PartitionedTable],
        clock: WallClock,
        logger: Logger
    ) {
        self.pool = pool
        self.tables = tables
        self.clock = clock
        self.logger = logger
    }

    /// Makes what is missing and drops what is spent.
    ///
    /// Costs a query for each table, and one more, where there is nothing to do.
    ///
    /// - Parameter time: asks the server what is over.
    package func tend(by time: Statement<Timestamp> = PartitionKeeper.time) async throws {
        try await keep(by: time, drops: true)
    }

    /// Makes what is missing and drops nothing.
    ///
    /// For commands, which may have other settings than the nodes: how long journals are kept is
    /// said by the nodes alone.
    ///
    /// - Parameter time: asks the server what is over.
    package func provide(by time: Statement<Timestamp> = PartitionKeeper.time) async throws {
        try await keep(by: time, drops: false)
    }

    private func keep(by time: Statement<Timestamp>, drops: Bool) async throws {
        guard let now = try await pool.first(time()) else { return }
        let own = clock.now()
        for table in tables {
            let present = Set(try await pool.rows(Self.partitions(table.name)))
            let wanted = Set(table.starts(around: now) + table.starts(around: own)).sorted()
            let missing = wanted.filter {
                !present.contains(table.partition(at: $0)) && !table.isOld($0, at: now)
            }
            let old = present.filter { name in
                drops && (table.start(ofPartition: name).map { table.isOld($0, at: now) } ?? false)
            }
            guard !missing.isEmpty || !old.isEmpty else { continue }
            let storage = try await pool.first(Self.storage(table.name)) ?? ""
            let steps =
                missing.map { table.creation(at: $0, storage: storage) }
                + old.sorted().map { table.removal(of: $0, at: now) }
            try await pool.script(
                "BEGIN; SET LOCAL lock_timeout = '2s';"
                    + " SELECT pg_advisory_xact_lock(hashtext('watchword.partitions'));"
                    + steps.joined(separator: "\n") + " COMMIT;"
            )
            logger.info(
                "partitions were tended",
                metadata: [
                    "table": "\(table.name)", "made": "\(missing.count)", "old": "\(old.count)",
                ]
            )
        }
    }

    /// Tends every ten minutes until shutdown.
    package func run() async throws {
        await untilShutdown(every: Self.interval) {
            try await tend()
        } onFailure: {
            logger.error("partitions could not be tended", metadata: ["error": "\($0)"])
        }
    }

    static let partitions = Statement(
        "partitions.list",
        """
        SELECT c.relname::text
          FROM pg_inherits i
          JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = $1::text::regclass
         ORDER BY c.relname
        """,
        binds: String.self,
        decode: { try $0.get(0, as: String.self) }
    )

    /// What the server says the time is.
    package static let time = Statement(
        "partitions.time",
        "SELECT clock_timestamp()",
        decode: { try $0.get(0, as: Timestamp.self) }
    )

    /// A partitioned table cannot have storage parameters; the comment on it carries those of its
    /// partitions.
    static let storage = Statement(
        "partitions.storage",
        """
        SELECT COALESCE(' WITH (' || obj_description($1::text::regclass, 'pg_class') || ')', '')
        """,
        binds: String.self,
        decode: { try $0.get(0, as: String.self) }
    )

    /// All statements, for the test that prepares them.
    package static var statements: [StatementInfo] { [partitions.info, time.info, storage.info] }
}

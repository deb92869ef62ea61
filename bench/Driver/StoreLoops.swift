// Closed loops over the PostgreSQL and Redis clients, used as the node uses them: tasks that prefer
// an event loop, each served by that loop's own connections.
import Logging
import NIOCore
import NIOPosix
import Postgres
import Primitives
import Redis

/// The loops.
enum StoreLoops {
    /// The same statements as in the scripts for `pgbench`.
    private static let find = Statement(
        "bench.find",
        "SELECT owner, family, generation, expires_at FROM bench_rows WHERE id = $1",
        binds: Int64.self,
        decode: { row in
            (
                try row.get(0, as: Int64.self), try row.get(1, as: Int64.self),
                try row.get(2, as: Int64.self), try row.get(3, as: Timestamp.self)
            )
        }
    )
    private static let insert = Statement(
        "bench.insert",
        """
        INSERT INTO bench_inserts (owner, digest, expires_at)
        VALUES ($1, sha256(int8send($1)), now() + interval '30 days')
        """,
        binds: Int64.self
    )

    /// Reads rows by primary key.
    static func select(_ options: Options) async throws -> String {
        let rows = Int64(try options.integer("rows", default: 100_000))
        return try await withPostgres(options) { pool in
            guard try await pool.first(find(Int64.random(in: 1...rows))) != nil else {
                throw BenchFailure("a row is missing")
            }
        }
    }

    /// Inserts rows; those that wait at the same time share a commit.
    static func insert(_ options: Options) async throws -> String {
        try await withPostgres(options) { pool in
            _ = try await pool.execute(insert(Int64.random(in: 1...100_000)))
        }
    }

    /// Reads one key, all tasks on one connection.
    static func redis(_ options: Options) async throws -> String {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let pool = try RedisPool(
            configuration: RedisConfiguration(url: try options.text("url")),
            eventLoopGroup: group,
            scripts: [],
            logger: silent,
            metrics: MetricsRegistry()
        )
        await pool.start()
        guard pool.isAvailable else { throw BenchFailure("Redis cannot be reached") }
        let key: RedisArgument = .text(try options.text("key"))
        let result = try await closedLoop(options, group) {
            let value = try await pool.send(RedisCommand("GET", key), deadline: nil)
            guard value != .null else { throw BenchFailure("the key is missing") }
        }
        await pool.close()
        return result.json
    }

    private static var silent: Logger {
        Logger(label: "bench") { _ in SwiftLogNoOpLogHandler() }
    }

    private static func withPostgres(
        _ options: Options,
        _ body: @escaping @Sendable (PostgresPool) async throws -> Void
    ) async throws -> String {
        let loops = try options.integer("loops", default: 2)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: loops)
        let threads = NIOThreadPool(numberOfThreads: 1)
        threads.start()
        var configuration = PostgresConfiguration(try options.text("database"))
        let connections = try options.integer("connections", default: 4) / loops
        configuration.readConnections = connections
        configuration.writeConnections = connections
        let pool = PostgresPool(
            configuration: configuration,
            eventLoopGroup: group,
            threadPool: threads,
            logger: silent,
            metrics: MetricsRegistry()
        )
        try await pool.start()
        let result = try await closedLoop(options, group) { try await body(pool) }
        await pool.close()
        try await threads.shutdownGracefully()
        return result.json
    }

    /// Runs `body` over and over in many tasks, spread over the loops.
    private static func closedLoop(
        _ options: Options,
        _ group: MultiThreadedEventLoopGroup,
        _ body: @escaping @Sendable () async throws -> Void
    ) async throws -> LoopResult {
        let tasks = try options.integer("tasks", default: 64)
        let duration = try options.duration
        let executors = group.makeIterator().map { EventLoopTaskExecutor($0) }
        // Prepares statements and fills caches.
        try await body()
        let used = processorTime()
        let begun = MonotonicInstant.now
        let end = begun + duration
        let count = try await withThrowingTaskGroup(of: Int.self) { group in
            for index in 0..<tasks {
                group.addTask(executorPreference: executors[index % executors.count]) {
                    var count = 0
                    while MonotonicInstant.now < end {
                        try await body()
                        count += 1
                    }
                    return count
                }
            }
            return try await group.reduce(0, +)
        }
        return LoopResult(
            count: count,
            elapsed: .now(since: begun),
            processorTime: processorTime() - used
        )
    }
}

extension Duration {
    /// The time since `begun`.
    static func now(since begun: MonotonicInstant) -> Duration { MonotonicInstant.now - begun }
}

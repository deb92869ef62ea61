// What the tests of this target share: pools on a database of their own, and a few statements.
import Logging
import NIOCore
import NIOPosix
import Postgres
import Primitives
import TestKit

/// Runs `body` with a started pool on a fresh database, and closes the pool.
func withPool<Value>(
    _ setup: String = "",
    on server: PostgresServer? = nil,
    loops: Int = 1,
    change: (inout PostgresConfiguration) -> Void = { _ in },
    _ body: (PostgresPool, MetricsRegistry, MultiThreadedEventLoopGroup) async throws -> Value
) async throws -> Value {
    let owner: PostgresServer
    if let server { owner = server } else { owner = try await .shared() }
    let database = try await owner.database()
    var configuration = PostgresConfiguration(database.connection)
    // A busy machine is not to look like a lost database.
    configuration.waitLimit = .seconds(60)
    configuration.statementDeadline = .seconds(60)
    configuration.lockTimeout = .seconds(30)
    change(&configuration)
    let metrics = MetricsRegistry()
    let group = MultiThreadedEventLoopGroup(numberOfThreads: loops)
    let pool = makePool(configuration, group, metrics)
    do {
        try await pool.start()
        // What a new connection sends of its own counts as in flight: let it be over.
        for _ in 0..<loops { _ = try await pool.first(SQL.echo(0)) }
        for _ in 0..<loops { _ = try await pool.first(SQL.urgentEcho(0)) }
        for _ in 0..<loops { _ = try await pool.first(SQL.listEcho(0)) }
        if !setup.isEmpty { try await pool.script(setup) }
        let value = try await body(pool, metrics, group)
        await pool.close()
        try await group.shutdownGracefully()
        return value
    } catch {
        await pool.close()
        try await group.shutdownGracefully()
        throw error
    }
}

func makePool(
    _ configuration: PostgresConfiguration,
    _ group: MultiThreadedEventLoopGroup,
    _ metrics: MetricsRegistry = MetricsRegistry()
) -> PostgresPool {
    PostgresPool(
        configuration: configuration,
        eventLoopGroup: group,
        threadPool: .singleton,
        logger: Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() },
        metrics: metrics
    )
}

extension MetricsRegistry {
    /// The value of a metric without labels.
    func value(_ name: String) -> Int? {
        for line in exposition().split(separator: "\n") where line.hasPrefix("\(name) ") {
            return Int(line.dropFirst(name.count + 1))
        }
        return nil
    }
}

/// Waits until `condition` holds, looking every few milliseconds; false after thirty seconds.
func eventually(_ condition: () async throws -> Bool) async throws -> Bool {
    let deadline = Deadline.after(.seconds(30))
    while !deadline.hasPassed {
        if try await condition() { return true }
        try await Task.sleep(for: .milliseconds(5))
    }
    return false
}

/// The error of a call that must fail, as a `PostgresError`.
func failure<Value>(_ body: () async throws -> Value) async -> PostgresError? {
    do {
        _ = try await body()
        return nil
    } catch {
        return error as? PostgresError
    }
}

enum SQL {
    static let echo = Statement(
        "test.echo",
        "SELECT $1",
        binds: Int.self,
        decode: { try $0.get(0, as: Int.self) }
    )
    static let urgentEcho = Statement(
        "test.urgent_echo",
        "SELECT $1",
        kind: .urgent,
        binds: Int.self,
        decode: { try $0.get(0, as: Int.self) }
    )
    static let listEcho = Statement(
        "test.list_echo",
        "SELECT $1",
        kind: .list,
        binds: Int.self,
        decode: { try $0.get(0, as: Int.self) }
    )
    static let divide = Statement(
        "test.divide",
        "SELECT 10 / $1",
        binds: Int.self,
        decode: { try $0.get(0, as: Int.self) }
    )
    static let sleep = Statement(
        "test.sleep",
        "SELECT $1::bigint FROM pg_sleep($2)",
        binds: Int.self,
        Double.self,
        decode: { try $0.get(0, as: Int.self) }
    )
    static let backend = Statement(
        "test.backend",
        "SELECT pg_backend_pid()",
        decode: { try $0.get(0, as: Int32.self) }
    )
    static let backendOfWriter = Statement(
        "test.backend_of_writer",
        "SELECT pg_backend_pid()",
        kind: .write,
        decode: { try $0.get(0, as: Int32.self) }
    )
    static let itemsTable =
        "CREATE TABLE items (id bigint CONSTRAINT items_key PRIMARY KEY, note text)"
    static let insert = Statement(
        "test.insert",
        "INSERT INTO items (id) VALUES ($1)",
        kind: .write,
        binds: Int.self
    )
    static let insertSolo = Statement(
        "test.insert_solo",
        "INSERT INTO items (id) VALUES ($1)",
        kind: .solo,
        binds: Int.self
    )
    static let list = Statement(
        "test.list",
        "SELECT id FROM items ORDER BY id",
        decode: { try $0.get(0, as: Int.self) }
    )
}

/// A loop shared by tests that make no demands on it.
enum MultiThreadedGroup {
    static let one = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    static let three = MultiThreadedEventLoopGroup(numberOfThreads: 3)
}

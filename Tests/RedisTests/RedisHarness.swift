// What the tests against a real server share: a pool on loops of its own, closed at the end.
import Logging
import NIOCore
import NIOPosix
import Primitives
import TestKit

@testable import Redis

/// Runs `body` with a started pool and closes it.
func withPool<Value>(
    _ configuration: RedisConfiguration,
    threads: Int = 1,
    scripts: [RedisScript] = [],
    metrics: MetricsRegistry = MetricsRegistry(),
    _ body: (RedisPool) async throws -> Value
) async throws -> Value {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: threads)
    return try await withPool(configuration, on: group, scripts, metrics, body)
}

/// Runs `body` with a started pool on `group`, and closes both.
func withPool<Value>(
    _ configuration: RedisConfiguration,
    on group: MultiThreadedEventLoopGroup,
    _ scripts: [RedisScript] = [],
    _ metrics: MetricsRegistry = MetricsRegistry(),
    _ body: (RedisPool) async throws -> Value
) async throws -> Value {
    let pool = try RedisPool(
        configuration: configuration,
        eventLoopGroup: group,
        scripts: scripts,
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
        metrics: metrics
    )
    await pool.start()
    let result: Result<Value, any Error>
    do {
        result = .success(try await body(pool))
    } catch {
        result = .failure(error)
    }
    await pool.close()
    try await group.shutdownGracefully()
    return try result.get()
}

extension RedisServer {
    /// A configuration for the server's Unix socket.
    var configuration: RedisConfiguration {
        var configuration = RedisConfiguration(address: .unix(path: socket))
        configuration.reconnectMaximum = .milliseconds(100)
        configuration.commandDeadline = .seconds(20)
        configuration.connectTimeout = .seconds(20)
        configuration.tombstoneLimit = .seconds(20)
        return configuration
    }
}

/// Waits until `condition` holds; false if it does not within a minute.
func eventually(_ condition: () async throws -> Bool) async rethrows -> Bool {
    let deadline = Deadline.after(.seconds(60))
    while !deadline.hasPassed {
        if try await condition() { return true }
        // A cancelled test ends at its next step anyway.
        try? await Task.sleep(for: .milliseconds(5))
    }
    return false
}

/// The kind of the fault `body` throws; nil when it throws none.
func fault(_ body: () async throws -> RedisValue) async -> RedisError.Kind? {
    do {
        _ = try await body()
        return nil
    } catch {
        return (error as? RedisError)?.kind
    }
}

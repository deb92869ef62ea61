// The pool when Redis fails: down at start, killed, restarted empty, frozen; and cancellation.
import Primitives
import TestKit
import Testing

@testable import Redis

@Suite struct RedisFailureTests {
    private let script = RedisScript(
        name: "add",
        source: "return redis.call('INCRBY', KEYS[1], ARGV[1])"
    )

    @Test func `a Redis that is down is no error at start and is found once it is there`()
        async throws
    {
        let server = try await RedisServer.start()
        try await server.kill()
        try await withPool(server.configuration, threads: 2) { pool in
            #expect(!pool.isAvailable)
            let begin = MonotonicInstant.now
            let kind = await fault { try await pool.send(RedisCommand("PING"), deadline: nil) }
            guard case .connection = kind else {
                Issue.record("\(String(describing: kind))")
                return
            }
            #expect(MonotonicInstant.now - begin < .seconds(10))
            try await server.restart()
            #expect(await eventually { pool.isAvailable })
            let answer = try await pool.send(RedisCommand("PING"), deadline: nil)
            #expect(answer == .status("PONG"))
        }
    }

    @Test func `after a kill everything in flight fails once and a new connection has the scripts`()
        async throws
    {
        let server = try await RedisServer.start()
        let metrics = MetricsRegistry()
        try await withPool(server.configuration, scripts: [script], metrics: metrics) { pool in
            let first = try await pool.run(script, keys: ["n"], arguments: [2], deadline: nil)
            #expect(first == .integer(2))
            server.freeze()
            try await withThrowingTaskGroup(of: RedisError.Kind?.self) { group in
                for _ in 0..<50 {
                    group.addTask {
                        await fault {
                            try await pool.send(RedisCommand("INCR", "n"), deadline: nil)
                        }
                    }
                }
                // They are on the wire: the gauge says so.
                let sent = await eventually {
                    metrics.exposition().contains("watchword_redis_in_flight{pool=\"cache\"} 50")
                }
                #expect(sent)
                try await server.kill()
                for try await kind in group {
                    guard case .connection = kind else {
                        Issue.record("\(String(describing: kind))")
                        continue
                    }
                }
            }
            #expect(await eventually { !pool.isAvailable })
            try await server.restart()
            #expect(await eventually { pool.isAvailable })
            let exists = try await pool.send(
                RedisCommand("SCRIPT", "EXISTS", .text(script.sha1)),
                deadline: nil
            )
            #expect(exists == .array([.integer(1)]))
            let answer = try await pool.send(RedisCommand("GET", "n"), deadline: nil)
            #expect(answer == .null)
        }
    }

    @Test func `a script Redis has forgotten is loaded and run once`() async throws {
        let server = try await RedisServer.start()
        try await withPool(server.configuration, scripts: [script]) { pool in
            for expected in 1...3 {
                _ = try await pool.send(RedisCommand("SCRIPT", "FLUSH"), deadline: nil)
                let reply = try await pool.run(script, keys: ["n"], arguments: [1], deadline: nil)
                #expect(reply == .integer(Int64(expected)))
            }
            let broken = RedisScript(name: "broken", source: "return nonsense(")
            let kind = await fault {
                try await pool.run(broken, keys: [], arguments: [], deadline: nil)
            }
            guard case .server("ERR", _) = kind else {
                Issue.record("\(String(describing: kind))")
                return
            }
        }
    }

    @Test func `a frozen Redis costs a deadline, then nothing, and comes back`() async throws {
        let server = try await RedisServer.start()
        var configuration = server.configuration
        configuration.commandDeadline = .milliseconds(100)
        configuration.tombstoneLimit = .milliseconds(200)
        configuration.connectTimeout = .seconds(5)
        try await withPool(configuration) { pool in
            server.freeze()
            let begin = MonotonicInstant.now
            let kind = await fault {
                try await pool.send(RedisCommand("INCR", "n"), deadline: .after(.seconds(60)))
            }
            #expect(kind == .deadline)
            #expect(MonotonicInstant.now - begin < .seconds(30))
            #expect(await eventually { !pool.isAvailable })
            guard
                case .connection = await fault({
                    try await pool.send(RedisCommand("PING"), deadline: nil)
                })
            else {
                Issue.record("a call on a dead link did not fail at once")
                return
            }
            server.thaw()
            #expect(await eventually { pool.isAvailable })
            #expect(
                await eventually {
                    await fault { try await pool.send(RedisCommand("PING"), deadline: nil) } == nil
                }
            )
        }
    }

    @Test func `a late reply goes to nobody and the connection lives on`() async throws {
        let server = try await RedisServer.start()
        let metrics = MetricsRegistry()
        try await withPool(server.configuration, metrics: metrics) { pool in
            server.freeze()
            let kind = await fault {
                try await pool.send(
                    RedisCommand("ECHO", "late"),
                    deadline: .after(.milliseconds(20))
                )
            }
            #expect(kind == .deadline)
            async let next = pool.send(RedisCommand("ECHO", "next"), deadline: nil)
            server.thaw()
            let nextReply = try await next
            #expect(nextReply.text == "next")
            #expect(
                metrics.exposition().contains("watchword_redis_connects_total{pool=\"cache\"} 1\n")
            )
        }
    }

    @Test func `a cancelled call ends at once and disturbs no neighbour`() async throws {
        let server = try await RedisServer.start()
        try await withPool(server.configuration) { pool in
            server.freeze()
            let cancelled = await withTaskGroup(of: Bool.self) { group in
                group.addTask {
                    do {
                        _ = try await pool.send(RedisCommand("ECHO", "gone"), deadline: nil)
                        return false
                    } catch {
                        return error is CancellationError
                    }
                }
                group.cancelAll()
                return await group.next()
            }
            #expect(cancelled == true)
            async let next = pool.send(RedisCommand("ECHO", "next"), deadline: nil)
            server.thaw()
            let nextReply = try await next
            #expect(nextReply.text == "next")
        }
    }

    @Test func `a deadline that has passed sends nothing`() async throws {
        let server = try await RedisServer.start()
        try await withPool(server.configuration) { pool in
            let past = Deadline(MonotonicInstant(nanoseconds: 0))
            #expect(
                await fault { try await pool.send(RedisCommand("INCR", "n"), deadline: past) }
                    == .deadline
            )
            let answer = try await pool.send(RedisCommand("GET", "n"), deadline: nil)
            #expect(answer == .null)
        }
    }

    @Test func `a closed pool refuses`() async throws {
        let server = try await RedisServer.start()
        try await withPool(server.configuration) { pool in
            await pool.close()
            #expect(!pool.isAvailable)
            guard
                case .connection = await fault({
                    try await pool.send(RedisCommand("PING"), deadline: nil)
                })
            else {
                Issue.record("a closed pool answered")
                return
            }
        }
    }
}

// The throttle over real Redis servers, several nodes and parallel attempts, and without Redis.
import Logging
import NIOCore
import NIOPosix
import Primitives
import Redis
import TestKit
import Testing

@testable import Access

@Suite struct ThrottleTests {
    private let account = ThrottleRule(name: "account", limit: 10, window: .minutes(15))
    private let address = ThrottleRule(name: "address", limit: 100, window: .minutes(15))
    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    /// `count` nodes, each with a pool and a throttle of its own, on one Redis.
    private func withNodes(
        _ server: RedisServer,
        _ count: Int,
        _ body: ([(pool: RedisPool, throttle: Throttle, metrics: MetricsRegistry)]) async throws
            -> Void
    ) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        var configuration = RedisConfiguration(address: .unix(path: server.socket))
        configuration.commandDeadline = .seconds(5)
        configuration.reconnectMaximum = .milliseconds(100)
        var nodes: [(pool: RedisPool, throttle: Throttle, metrics: MetricsRegistry)] = []
        for _ in 0..<count {
            let metrics = MetricsRegistry()
            let pool = try RedisPool(
                configuration: configuration,
                eventLoopGroup: group,
                scripts: ThrottleScripts.all,
                logger: Self.logger,
                metrics: metrics
            )
            await pool.start()
            let throttle = Throttle(redis: pool, logger: Self.logger, metrics: metrics)
            nodes.append((pool, throttle, metrics))
        }
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(nodes))
        } catch {
            result = .failure(error)
        }
        for node in nodes { await node.pool.close() }
        try await group.shutdownGracefully()
        try result.get()
    }

    /// The reservations of `count` parallel attempts, spread over the throttles.
    private func attempt(
        _ count: Int,
        on throttles: [Throttle],
        _ subjects: [ThrottleSubject]
    ) async -> [ThrottleReservation] {
        await withTaskGroup(of: ThrottleReservation?.self) { group in
            for number in 0..<count {
                let throttle = throttles[number % throttles.count]
                group.addTask { await throttle.reserve(subjects).reservation }
            }
            return await group.reduce(into: []) { if let one = $1 { $0.append(one) } }
        }
    }

    @Test func `a hundred parallel attempts on three nodes pass ten times`() async throws {
        let server = try await RedisServer.start()
        try await withNodes(server, 3) { nodes in
            let subject = ThrottleSubject(rule: account, key: "account:1")
            let passed = await attempt(100, on: nodes.map(\.throttle), [subject])
            #expect(passed.count == 10)
            let decision = await nodes[0].throttle.reserve([subject])
            guard case .refused(let wait, "account") = decision else {
                Issue.record("\(decision)")
                return
            }
            #expect(wait > .minutes(14) && wait <= .minutes(15))
        }
    }

    @Test func `all subjects are counted or none is`() async throws {
        let server = try await RedisServer.start()
        try await withNodes(server, 1) { nodes in
            let throttle = nodes[0].throttle
            let narrow = ThrottleSubject(rule: account, key: "a")
            let wide = ThrottleSubject(rule: address, key: "192.0.2.1")
            #expect(await attempt(60, on: [throttle], [narrow, wide]).count == 10)
            // 50 refusals have not touched the address: exactly 90 attempts are left.
            let other = (0..<10).map { ThrottleSubject(rule: account, key: "b\($0)") }
            var passed = 0
            for subject in other {
                passed += await attempt(10, on: [throttle], [wide, subject]).count
            }
            #expect(passed == 90)
            let last = ThrottleSubject(rule: account, key: "c")
            guard case .refused(_, "address") = await throttle.reserve([last, wide]) else {
                Issue.record("the address is not limited")
                return
            }
            #expect(await attempt(10, on: [throttle], [last]).count == 10)
        }
    }

    @Test func `rules and subjects have counters of their own, one subject has one`() async throws {
        let server = try await RedisServer.start()
        try await withNodes(server, 1) { nodes in
            let throttle = nodes[0].throttle
            let second = ThrottleRule(name: "step-up", limit: 10, window: .minutes(15))
            let one = ThrottleSubject(rule: account, key: "a")
            #expect(await attempt(20, on: [throttle], [one]).count == 10)
            let again = ThrottleSubject(rule: account, key: "a")
            #expect(await attempt(20, on: [throttle], [again]).isEmpty)
            for free in [
                ThrottleSubject(rule: second, key: "a"), ThrottleSubject(rule: account, key: "b"),
            ] {
                #expect(await attempt(20, on: [throttle], [free]).count == 10)
            }
        }
    }

    @Test func `a success gives back its own attempt and no other`() async throws {
        let server = try await RedisServer.start()
        try await withNodes(server, 2) { nodes in
            let throttles = nodes.map(\.throttle)
            let subject = ThrottleSubject(rule: account, key: "a")
            // An owner who keeps signing in is never refused.
            for _ in 0..<30 {
                let mine = await attempt(1, on: throttles, [subject])
                #expect(mine.count == 1)
                for one in mine { await throttles[1].giveBack(one) }
            }
            // A stranger's nine stay counted whatever the owner does.
            #expect(await attempt(9, on: throttles, [subject]).count == 9)
            let mine = await attempt(1, on: throttles, [subject])
            for one in mine { await throttles[0].giveBack(one) }
            #expect(await attempt(5, on: throttles, [subject]).count == 1)
        }
    }

    @Test func `an attempt is not given back to a later window`() async throws {
        let server = try await RedisServer.start()
        try await withNodes(server, 1) { nodes in
            let (pool, throttle, _) = nodes[0]
            let subject = ThrottleSubject(rule: account, key: "a")
            let old = await attempt(3, on: [throttle], [subject])
            // The window's end, without waiting for it.
            _ = try await pool.send(RedisCommand("DEL", .text(subject.redisKey)), deadline: nil)
            #expect(await attempt(10, on: [throttle], [subject]).count == 10)
            for one in old { await throttle.giveBack(one) }
            #expect(await attempt(5, on: [throttle], [subject]).isEmpty)
        }
    }

    @Test func `Redis keeps neither addresses nor anything for longer than a window`() async throws
    {
        let server = try await RedisServer.start()
        try await withNodes(server, 1) { nodes in
            let (pool, throttle, _) = nodes[0]
            let subject = ThrottleSubject(rule: address, key: "192.0.2.77")
            #expect(await attempt(3, on: [throttle], [subject]).count == 3)
            let keys = try await pool.send(RedisCommand("KEYS", "*"), deadline: nil).array ?? []
            #expect(keys.compactMap(\.text) == ["ww:throttle:address:\(subject.digest)"])
            #expect(subject.digest.utf8.count == 32 && !subject.digest.contains("192"))
            let left = try await pool.send(
                RedisCommand("PTTL", .text(subject.redisKey)),
                deadline: nil
            )
            let milliseconds = try #require(left.integer)
            #expect((1...900_000).contains(milliseconds))
        }
    }

    @Test func `without Redis every node still refuses, and with it again they share (V 316)`()
        async throws
    {
        let server = try await RedisServer.start()
        try await withNodes(server, 2) { nodes in
            let throttles = nodes.map(\.throttle)
            let subject = ThrottleSubject(rule: account, key: "a")
            #expect(await attempt(40, on: throttles, [subject]).count == 10)
            try await server.kill()
            let alone = await attempt(100, on: throttles, [subject])
            #expect(alone.count == 20)
            let told = nodes.allSatisfy {
                $0.metrics.exposition().contains("watchword_throttle_fallback_total 50\n")
            }
            #expect(told)
            try await server.restart()
            let deadline = Deadline.after(.seconds(10))
            while !nodes.allSatisfy(\.pool.isAvailable), !deadline.hasPassed {
                try await Task.sleep(for: .milliseconds(5))
            }
            #expect(await attempt(40, on: throttles, [subject]).count == 10)
        }
    }
}

extension ThrottleDecision {
    fileprivate var reservation: ThrottleReservation? {
        if case .allowed(let reservation) = self { reservation } else { nil }
    }
}

// The pool against a real Redis: order, isolation of neighbours, bytes, limits, sign-in, TLS.
import Logging
import NIOCore
import NIOPosix
import Primitives
import Synchronization
import TestKit
import Testing

@testable import Redis

@Suite struct RedisPoolTests {
    @Test(arguments: [1, 2])
    func `a thousand concurrent GETs each get their own reply`(threads: Int) async throws {
        let server = try await RedisServer.start()
        try await withPool(server.configuration, threads: threads) { pool in
            for key in 0..<1000 {
                _ = try await pool.send(RedisCommand("SET", "k\(key)", .number(key)), deadline: nil)
            }
            try await withThrowingTaskGroup(of: Bool.self) { group in
                for key in 0..<1000 {
                    group.addTask {
                        let reply = try await pool.send(
                            RedisCommand("GET", "k\(key)"),
                            deadline: nil
                        )
                        return reply == .bulk(Array("\(key)".utf8))
                    }
                }
                for try await isOwn in group { #expect(isOwn) }
            }
        }
    }

    @Test func `commands of one tick leave in order and an error disturbs no neighbour`()
        async throws
    {
        let server = try await RedisServer.start()
        try await withPool(server.configuration) { pool in
            try await withThrowingTaskGroup(of: (Int, RedisError?, RedisValue?).self) { group in
                for number in 0..<300 {
                    group.addTask {
                        let command =
                            number % 3 == 1
                            ? RedisCommand("LPUSH", "only-with-key")
                            : RedisCommand("ECHO", .number(number))
                        do {
                            return (number, nil, try await pool.send(command, deadline: nil))
                        } catch {
                            return (number, error as? RedisError, nil)
                        }
                    }
                }
                for try await (number, error, value) in group {
                    if number % 3 == 1 {
                        #expect(error?.code == "ERR" && value == nil)
                    } else {
                        #expect(error == nil && value?.integer == Int64(number))
                    }
                }
            }
        }
    }

    @Test func `bytes in arguments have no meaning but themselves`() async throws {
        let server = try await RedisServer.start()
        try await withPool(server.configuration) { pool in
            _ = try await pool.send(RedisCommand("SET", "victim", "safe"), deadline: nil)
            let evil =
                Array("x\r\n$3\r\nfoo\r\n*2\r\n$3\r\nDEL\r\n$6\r\nvictim\r\n\0\u{7f}".utf8) + [255]
            _ = try await pool.send(
                RedisCommand("SET", .bytes(evil), .bytes(evil + [0])),
                deadline: nil
            )
            let back = try await pool.send(RedisCommand("GET", .bytes(evil)), deadline: nil)
            #expect(back == .bulk(evil + [0]))
            let victim = try await pool.send(RedisCommand("GET", "victim"), deadline: nil)
            #expect(victim.text == "safe")
            let size = try await pool.send(RedisCommand("DBSIZE"), deadline: nil)
            #expect(size == .integer(2))
        }
    }

    @Test func `big values go both ways between small ones`() async throws {
        let server = try await RedisServer.start()
        try await withPool(server.configuration) { pool in
            let big = [UInt8](repeating: 7, count: 6 << 20)
            async let small = pool.send(RedisCommand("ECHO", "before"), deadline: nil)
            async let set = pool.send(RedisCommand("SET", "big", .bytes(big)), deadline: nil)
            let smallReply = try await small
            #expect(smallReply.text == "before")
            let setReply = try await set
            #expect(setReply == .status("OK"))
            async let get = pool.send(RedisCommand("GET", "big"), deadline: nil)
            async let after = pool.send(RedisCommand("ECHO", "after"), deadline: nil)
            let getReply = try await get
            #expect(getReply.bytes == big)
            let afterReply = try await after
            #expect(afterReply.text == "after")
            let tooBig = RedisCommand("SET", "big", .bytes([UInt8](repeating: 1, count: 17 << 20)))
            #expect(
                await fault { try await pool.send(tooBig, deadline: nil) }
                    == .overloaded(limit: "commandBytesLimit")
            )
        }
    }

    @Test func `commands submitted one after the other are executed in that order`() async throws {
        let server = try await RedisServer.start()
        try await withPool(server.configuration) { pool in
            _ = try await pool.send(RedisCommand("SET", "n", 0), deadline: nil)
            let replies = Mutex<[Int64?]>([])
            await withCheckedContinuation { continuation in
                for number in 1...100 {
                    pool.submit(RedisCommand("INCR", "n"), deadline: nil) { reply in
                        // A failure shows as a missing number.
                        replies.withLock { $0.append(try? reply.get().integer) }
                        if number == 100 { continuation.resume() }
                    }
                }
            }
            #expect(replies.withLock { $0 } == (1...100).map(Int64.init))
        }
    }

    @Test func `a caller on an event loop is answered on it, from any of them`() async throws {
        let server = try await RedisServer.start()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 3)
        try await withPool(server.configuration, on: group) { pool in
            for loop in group.makeIterator() {
                let isSame = await withCheckedContinuation { continuation in
                    loop.execute {
                        pool.submit(RedisCommand("PING"), deadline: nil) { reply in
                            let isAnswer = (try? reply.get()) == .status("PONG")  // else false
                            continuation.resume(returning: isAnswer && loop.inEventLoop)
                        }
                    }
                }
                #expect(isSame)
            }
        }
    }

    @Test(.enabled(if: Environment.has("WATCHWORD_MEASURE")))
    func `GETs a second of 64 tasks on one connection`() async throws {
        let server = try await RedisServer.start()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let executor = LoopExecutor(loop: group.next())
        try await withPool(server.configuration, on: group) { pool in
            _ = try await pool.send(RedisCommand("SET", "k", "value"), deadline: nil)
            for (name, preference) in [("pool", nil), ("loop", executor)] {
                let begin = MonotonicInstant.now
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<64 {
                        group.addTask(executorPreference: preference) {
                            for _ in 0..<3000 {
                                _ = try await pool.send(RedisCommand("GET", "k"), deadline: nil)
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                let rate = 192_000 / (MonotonicInstant.now - begin).inSeconds
                Environment.say("caller on \(name): \(Int(rate)) GETs/s")
            }
        }
    }

    @Test func `limits refuse by name and the refused command was not sent`() async throws {
        let server = try await RedisServer.start()
        var configuration = server.configuration
        configuration.inFlightLimit = 2
        configuration.waitingLimit = 3
        try await withPool(configuration) { pool in
            server.freeze()
            var outcomes: [String] = []
            await withTaskGroup(of: RedisError.Kind?.self) { group in
                for _ in 0..<20 {
                    group.addTask {
                        await fault {
                            try await pool.send(RedisCommand("INCR", "n"), deadline: nil)
                        }
                    }
                }
                for await kind in group {
                    outcomes.append(kind.map { "\($0)" } ?? "done")
                    // Everything that had no room has been told before the server goes on.
                    if outcomes.count == 15 { server.thaw() }
                }
            }
            let counts = Dictionary(outcomes.map { ($0, 1) }, uniquingKeysWith: +)
            let executed = try await pool.send(RedisCommand("GET", "n"), deadline: nil).integer
            #expect(executed.map(Int.init) == counts["done"])
            #expect(counts["overloaded(limit: \"waitingLimit\")"] == 15)
        }
    }

    @Test func `an ACL user and a password sign in, a wrong password says so and no more`()
        async throws
    {
        var options = RedisServer.Options()
        options.password = "hunter2"
        options.lines = ["user alice on >wonder +@all ~*"]
        let server = try await RedisServer.start(options)
        for login in [":hunter2", "alice:wonder"] {
            let url = "unix://\(login)@\(server.socket)?db=3"
            try await withPool(RedisConfiguration(url: url)) { pool in
                let answer = try await pool.send(RedisCommand("PING"), deadline: nil)
                #expect(answer == .status("PONG"))
                let info = try await pool.send(RedisCommand("CLIENT", "INFO"), deadline: nil)
                #expect(info.text?.contains(" db=3 ") == true)
            }
        }
        for login in [":hunter3", "alice:hunter3", "bob:hunter3"] {
            let url = "unix://\(login)@\(server.socket)"
            try await withPool(RedisConfiguration(url: url)) { pool in
                #expect(!pool.isAvailable)
                let kind = await fault { try await pool.send(RedisCommand("PING"), deadline: nil) }
                guard case .connection(let reason) = kind else {
                    Issue.record("\(String(describing: kind))")
                    return
                }
                #expect(reason.contains("WRONGPASS") && !reason.contains("hunter3"))
            }
        }
    }

    @Test func `TLS is verified in full`() async throws {
        var options = RedisServer.Options()
        options.tls = true
        options.tcp = true
        let server = try await RedisServer.start(options)
        let stranger = try PrivateFolder.make("ww-redis-ca")
        let janitor = try PrivateFolder.removeAtExit(stranger)
        defer { PrivateFolder.release(janitor) }
        try await Blocking.run { try RedisServer.makeCertificates(in: stranger) }
        for host in ["localhost", "127.0.0.1"] {
            let url = "rediss://\(host):\(server.tlsPort)/?ca=\(server.authorityFile)"
            try await withPool(RedisConfiguration(url: url)) { pool in
                let answer = try await pool.send(RedisCommand("PING"), deadline: nil)
                #expect(answer == .status("PONG"))
            }
        }
        for query in ["", "?ca=\(stranger)/ca.pem"] {
            let url = "rediss://localhost:\(server.tlsPort)/\(query)"
            try await withPool(RedisConfiguration(url: url)) { pool in
                let kind = await fault { try await pool.send(RedisCommand("PING"), deadline: nil) }
                guard case .connection(let reason) = kind else {
                    Issue.record("\(String(describing: kind))")
                    return
                }
                #expect(reason.contains("CERTIFICATE_VERIFY_FAILED"))
            }
        }
        try await withPool(RedisConfiguration(url: "redis://localhost:\(server.port)")) { pool in
            let answer = try await pool.send(RedisCommand("PING"), deadline: nil)
            #expect(answer == .status("PONG"))
        }
        try await withPool(RedisConfiguration(url: "redis://localhost:\(server.tlsPort)")) { pool in
            #expect(!pool.isAvailable)
        }
    }
}

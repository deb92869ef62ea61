// The limits of a connection: sizes, times, and how it ends (W8).
import HTTPTypes
import NIOCore
import Primitives
import Testing
import Web

@Suite struct LimitsTests {
    private static let get = "GET /verify HTTP/1.1\r\nHost: a\r\n"

    private func post(_ body: String, length: Int? = nil) -> String {
        "POST /v1/echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            + "Content-Length: \(length ?? body.utf8.count)\r\n\r\n\(body)"
    }

    @Test func `a head of too many bytes or fields is refused`() async throws {
        try await withServer(routes: SampleAPI.routes) { server in
            let long = Self.get + "X: \(String(repeating: "a", count: 17_000))\r\n\r\n"
            #expect(try RawAnswer.only(try await server.exchange(long)).status == 400)
            let many = Self.get + (0..<100).map { "X\($0): a\r\n" }.joined() + "\r\n"
            #expect(try RawAnswer.only(try await server.exchange(many)).status == 400)
            let target =
                "GET /verify/\(String(repeating: "a", count: 9000)) HTTP/1.1\r\nHost: a\r\n\r\n"
            #expect(try RawAnswer.only(try await server.exchange(target)).status == 400)
            let fits = Self.get + (0..<98).map { "X\($0): a\r\n" }.joined()
            let text = try await server.exchange(fits + "Connection: close\r\n\r\n")
            #expect(try RawAnswer.only(text).status == 200)
        }
    }

    @Test func `a body announced too large is refused before it is sent`() async throws {
        try await withServer(routes: SampleAPI.routes) { server in
            let answer = try RawAnswer.only(try await server.exchange(post("", length: 65_537)))
            #expect(answer.status == 413)
            #expect(answer["Connection"] == "close")
            #expect(answer.body.contains("body-too-large"))
        }
    }

    @Test func `a streamed body is refused when it grows too large`() async throws {
        try await withServer(routes: SampleAPI.routes) { server in
            let head =
                "POST /v1/echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                + "Transfer-Encoding: chunked\r\n\r\n"
            let chunk = "4000\r\n\(String(repeating: " ", count: 0x4000))\r\n"
            let text = try await server.exchange(head + String(repeating: chunk, count: 5))
            let answer = try RawAnswer.only(text)
            #expect(answer.status == 413)
            #expect(answer["Connection"] == "close")
        }
    }

    @Test func `a silent or dripping client loses its connection (slowloris)`() async throws {
        // A byte that comes after the lingering resets the connection, and the answer may be lost
        // with it: here the server lingers until the last one has come.
        try await withServer(
            routes: SampleAPI.routes,
            limits: HTTPLimits().with(\.headTime, .milliseconds(200)),
            change: { $0.limits.lingerTime = .seconds(600) },
            { server in
                #expect(try await server.exchange("") == "")
                // Each byte in time for a timer that a byte would restart, the whole never.
                let drip = Self.get.map { String($0) }
                let text = try await server.exchange(drip, gap: .milliseconds(20))
                let answer = try RawAnswer.only(text)
                #expect(answer.status == 408)
                #expect(answer.body.contains("request-timeout"))
                #expect(answer["Connection"] == "close")
            }
        )
    }

    @Test(.timeLimit(.minutes(10)))
    func `an address has so many connections; trusted proxies any number (row 258)`() async throws {
        let ask = Self.get + "\r\n"
        let limits = HTTPLimits().with(\.connectionsPerAddress, 2)
        try await withServer(routes: SampleAPI.routes, limits: limits) { server in
            try await server.connect { first in
                try await first.send(ask)
                #expect(try await first.readAnswer().status == 200)
                try await server.connect { second in
                    try await second.send(ask)
                    #expect(try await second.readAnswer().status == 200)
                    let answer = try RawAnswer.only(try await server.exchange(ask))
                    #expect(answer.status == 429)
                    #expect(answer.body.contains("too-many-connections"))
                    #expect(answer["Connection"] == "close")
                    #expect(answer["Retry-After"] != nil)
                    // Those that were there first go on.
                    try await first.send(ask)
                    #expect(try await first.readAnswer().status == 200)
                }
                // One has ended: there is room again, once the server has seen it. Until it has
                // seen those end that it told, it may be beyond twice the number: it says nothing.
                let last = Self.get + "Connection: close\r\n\r\n"
                var text = ""
                repeat {
                    text = try await server.exchange(last)
                } while try text.isEmpty || RawAnswer.only(text).status == 429
                #expect(try RawAnswer.only(text).status == 200)
            }
        }
        let change = { (settings: inout HTTPSettings) in
            settings.trustedProxies = [IPNetwork("127.0.0.1")].compactMap { $0 }
        }
        try await withServer(routes: SampleAPI.routes, limits: limits, change: change) { server in
            try await server.connect { first in
                try await server.connect { second in
                    try await server.connect { third in
                        for client in [first, second, third] {
                            try await client.send(ask)
                            #expect(try await client.readAnswer().status == 200)
                        }
                    }
                }
            }
        }
    }

    @Test func `who is one too many and says nothing is not kept (row 258)`() async throws {
        let limits = HTTPLimits().with(\.connectionsPerAddress, 1)
        let change = { (settings: inout HTTPSettings) in
            settings.limits.lingerTime = .milliseconds(100)
        }
        try await withServer(routes: SampleAPI.routes, limits: limits, change: change) { server in
            try await server.connect { first in
                try await first.send(Self.get + "\r\n")
                #expect(try await first.readAnswer().status == 200)
                #expect(try await server.exchange("") == "")
            }
        }
    }

    @Test(.timeLimit(.minutes(10)))
    func `beyond twice its number an address is not even told (row 258)`() async throws {
        let limits = HTTPLimits().with(\.connectionsPerAddress, 1)
        // One that is told would stay for as long as the server lingers.
        let change = { (settings: inout HTTPSettings) in
            settings.limits.lingerTime = .seconds(3600)
        }
        try await withServer(routes: SampleAPI.routes, limits: limits, change: change) { server in
            try await server.connect { served in
                try await served.send(Self.get + "\r\n")
                #expect(try await served.readAnswer().status == 200)
                try await server.connect { told in
                    try await told.send(Self.get + "\r\n")
                    #expect(try await told.readAnswer().status == 429)
                    #expect(try await server.exchange("") == "")
                }
            }
        }
    }

    @Test func `a body that stalls is answered 408 and the connection ends`() async throws {
        try await withServer(
            routes: SampleAPI.routes,
            limits: HTTPLimits().with(\.bodyTime, .milliseconds(200))
        ) { server in
            let answer = try RawAnswer.only(try await server.exchange(post("{", length: 50)))
            #expect(answer.status == 408)
            #expect(answer["Connection"] == "close")
            #expect(answer.body.contains("request-timeout"))
        }
    }

    @Test func `an idle connection is closed and a busy one is not`() async throws {
        try await withServer(
            routes: SampleAPI.routes,
            limits: HTTPLimits().with(\.idleTime, .seconds(5))
        ) { server in
            let closed = Flag()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await server.connect { idle in
                        try await idle.send(Self.get + "\r\n")
                        #expect(try await idle.readAnswer().status == 200)
                        #expect(try await idle.readToEnd().isEmpty)
                    }
                    closed.raise()
                }
                // Asked all the time until the other one is closed.
                try await server.connect { busy in
                    repeat {
                        try await busy.send(Self.get + "\r\n")
                        #expect(try await busy.readAnswer().status == 200)
                        try await Task.sleep(for: .milliseconds(50))
                    } while !closed.isUp
                }
                try await group.waitForAll()
            }
        }
    }

    @Test(.timeLimit(.minutes(10)))
    func `an answer that never comes ends the connection`() async throws {
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        let route = Route("hang", .only([.get]), PathPattern("/hang")) { _, _ in
            for await _ in gate { break }
            return Reply(204)
        }
        try await withServer(
            routes: [route],
            limits: HTTPLimits().with(\.requestTime, .milliseconds(100))
                .with(\.writeTime, .milliseconds(100))
        ) { server in
            let text = try await server.exchange("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(text.isEmpty)
            open.finish()
        }
    }

    @Test func `connections beyond the limit wait until one ends`() async throws {
        try await withServer(
            routes: SampleAPI.routes,
            limits: HTTPLimits().with(\.connections, 1)
        ) { server in
            try await server.connect { first in
                try await first.send(Self.get + "\r\n")
                #expect(try await first.readAnswer().status == 200)
                try await withThrowingTaskGroup(of: String.self) { group in
                    group.addTask {
                        try await server.exchange(Self.get + "Connection: close\r\n\r\n")
                    }
                    try await first.send(Self.get + "Connection: close\r\n\r\n")
                    #expect(try RawAnswer.only(try await first.readToEnd()).status == 200)
                    let second = try await group.next()
                    #expect(try RawAnswer.only(second ?? "").status == 200)
                }
            }
        }
    }

    @Test func `a drain finishes what is in flight and ends every connection`() async throws {
        let (started, announce) = AsyncStream.makeStream(of: Void.self)
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        let route = Route("slow", .only([.get]), PathPattern("/slow")) { _, _ in
            announce.yield()
            for await _ in gate { break }
            return Reply.text(200, "done")
        }
        // Who is idle is given as long as the server lingers.
        let change = { (settings: inout HTTPSettings) in
            settings.limits.lingerTime = .milliseconds(100)
        }
        try await withServer(routes: [route] + SampleAPI.routes, change: change) { server in
            try await server.connect { idle in
                try await idle.send(Self.get + "\r\n")
                #expect(try await idle.readAnswer()["Connection"] == nil)
                try await server.connect { busy in
                    try await busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
                    for await _ in started { break }
                    await server.stop()
                    #expect(try await idle.readToEnd() == "")
                    open.yield()
                    let answer = try RawAnswer.only(try await busy.readToEnd())
                    #expect(answer.body == "done")
                    #expect(answer["Connection"] == "close")
                }
            }
        }
    }

    @Test(.timeLimit(.minutes(20)))
    func `a thousand stalled connections do not keep others waiting (W8, row 258)`() async throws {
        // None of them ends by itself before the one in question is answered.
        let limits = HTTPLimits().with(\.headTime, .seconds(7200))
        let ended = Flag()
        try await withServer(routes: SampleAPI.routes, limits: limits) { server in
            try await withThrowingTaskGroup(of: Void.self) { group in
                let (ready, announce) = AsyncStream.makeStream(of: Void.self)
                for _ in 0..<1000 {
                    group.addTask {
                        // One that fails to connect is counted too, or the test would wait for it.
                        let once = Flag()
                        defer { if !once.isUp { announce.yield() } }
                        try await server.connect { client in
                            try await client.send("GET /ver")
                            once.raise()
                            announce.yield()
                            _ = try await client.readToEnd()
                            ended.raise()
                        }
                    }
                }
                var count = 0
                for await _ in ready {
                    count += 1
                    if count == 1000 { break }
                }
                let text = try await server.exchange(Self.get + "Connection: close\r\n\r\n")
                #expect(try RawAnswer.only(text).status == 200)
                // All of them are still there: nobody had to go first.
                #expect(!ended.isUp)
                group.cancelAll()
                while let result = await group.nextResult() {
                    // Cancelled clients end with an error; that is what was asked of them.
                    if case .failure(let error) = result, !(error is CancellationError) { continue }
                }
            }
        }
    }
}

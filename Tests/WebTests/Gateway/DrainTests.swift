// How connections end when their node does: what has come is answered, the last answer says so, and
// nobody is met by a reset, on either way of `/verify` (S0-25).
import ClusterKit
import Glibc
import Postgres
import Primitives
import Sessions
import Synchronization
import TestKit
import Testing

@testable import Web

@Suite(.serialized) struct DrainTests {
    /// Ends that come by themselves come late, so that slow machines are no other case.
    private static let patient = HTTPLimits()
        .with(\.lingerTime, .seconds(30)).with(\.drainTime, .seconds(300))

    private static func run(
        isFast: Bool,
        _ limits: HTTPLimits = patient,
        _ body: @Sendable (Cluster, VerifyListener, _ request: [UInt8]) async throws -> Void
    ) async throws {
        try await Cluster.run(1, set: ["verify.original_request": "auto"]) { cluster in
            _ = try await cluster.signUp("ada")
            let token = try await cluster.signIn("ada").accessToken.exposed
            let request =
                "GET /verify HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer "
                + String(decoding: token, as: UTF8.self) + "\r\n\r\n"
            try await VerifyListener.run(cluster, isFast: isFast, limits: limits) { listener in
                try await body(cluster, listener, Array(request.utf8))
            }
        }
    }

    /// Asks the listener to end, and waits until it has begun to: nobody can connect any more.
    private static func drain(_ listener: VerifyListener) async throws {
        await listener.stop()
        try await until("the listener accepts nobody") {
            guard let late = Socket(port: listener.port) else { return true }
            late.close()
            return false
        }
    }

    @Test(arguments: [true, false])
    func `who reads late reads every answer whole, and the last one says close`(
        _ isFast: Bool
    ) async throws {
        try await Self.run(isFast: isFast) { cluster, listener, request in
            let client = try #require(Socket(port: listener.port, receiveBytes: 4096))
            defer { client.close() }
            let count = 400
            let sent = Atomic<Bool>(false)
            async let writing: Void = Blocking.run {
                for _ in 0..<count where !client.write(request) { break }
                shutdown(client.descriptor, Int32(SHUT_WR))
                sent.store(true, ordering: .releasing)
            }
            // Some are answered, and nothing of it is read.
            let way = isFast ? "fast" : "general"
            try await until("answers wait to be read") {
                cluster.nodes[0].value("watchword_verify_\(way)_total") > 20
            }
            try await Self.drain(listener)
            let end = try await Blocking.run { client.readToEnd() }
            try await writing
            #expect(end.error == 0)
            let answers = RawAnswer.all(String(decoding: end.bytes, as: UTF8.self))
            let total = answers.reduce(0) { $0 + $1.length }
            #expect(total == end.bytes.count, "an answer is cut off")
            #expect(answers.count > 20)
            let statuses = Set(answers.map(\.status))
            #expect(statuses == [200])
            let closing = answers.filter { $0["Connection"] == "close" }.count
            #expect(closing <= 1)
            // Either everything was answered, or the last answer has said that there is no more.
            #expect(answers.count == count || answers.last?["Connection"] == "close")
        }
    }

    @Test(arguments: [true, false])
    func `what was in flight when the drain began is answered, all of it`(
        _ isFast: Bool
    ) async throws {
        try await Self.run(isFast: isFast) { cluster, listener, request in
            let client = try #require(Socket(port: listener.port))
            defer { client.close() }
            let (held, hold) = AsyncStream.makeStream(of: Void.self)
            let (gate, release) = AsyncStream.makeStream(of: Void.self)
            async let lock: Void = cluster.sql.transaction { transaction in
                try await transaction.script("LOCK TABLE revocation_authority")
                hold.yield()
                for await _ in gate { break }
            }
            for await _ in held { break }
            #expect(client.write(request + request + request))
            try await cluster.untilBlocked()
            try await Self.drain(listener)
            release.yield()
            try await lock
            let end = try await Blocking.run { client.readToEnd() }
            #expect(end.error == 0)
            let answers = RawAnswer.all(String(decoding: end.bytes, as: UTF8.self))
            #expect(answers.map(\.status) == [200, 200, 200])
            #expect(answers.map { $0["Connection"] } == [nil, nil, "close"])
        }
    }

    @Test(arguments: [true, false])
    func `a request that comes during the drain is answered, and is the last`(
        _ isFast: Bool
    ) async throws {
        try await Self.run(isFast: isFast) { cluster, listener, request in
            let client = try #require(Socket(port: listener.port))
            defer { client.close() }
            #expect(client.write(request))
            let first = try await Blocking.run { client.readAnswer() }
            #expect(first?.status == 200)
            #expect(first?["Connection"] == nil)
            try await Self.drain(listener)
            #expect(client.write(request))
            let end = try await Blocking.run { client.readToEnd() }
            #expect(end.error == 0)
            let answers = RawAnswer.all(String(decoding: end.bytes, as: UTF8.self))
            #expect(answers.map(\.status) == [200])
            #expect(answers.last?["Connection"] == "close")
        }
    }

    @Test(arguments: [true, false])
    func `who says nothing sees the end, and no reset`(
        _ isFast: Bool
    ) async throws {
        let limits = Self.patient.with(\.lingerTime, .seconds(3))
        try await Self.run(isFast: isFast, limits) { cluster, listener, request in
            let client = try #require(Socket(port: listener.port))
            defer { client.close() }
            #expect(client.write(request))
            let first = try await Blocking.run { client.readAnswer() }
            #expect(first?.status == 200)
            try await Self.drain(listener)
            let end = try await Blocking.run { client.readToEnd() }
            #expect(end.error == 0)
            #expect(end.bytes.isEmpty)
        }
    }
}

/// A socket as the kernel gives it, to see how it ends.
private struct Socket: Sendable {
    let descriptor: Int32

    /// Connects; nil where nobody accepts.
    init?(port: Int, receiveBytes: Int32? = nil) {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        let width = socklen_t(MemoryLayout<Int32>.size)
        if var receiveBytes {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBytes, width)
        }
        var limit = timeval(tv_sec: 120, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else {
            Glibc.close(descriptor)
            return nil
        }
    }

    func close() { Glibc.close(descriptor) }

    /// Whether all of it was taken.
    func write(_ bytes: [UInt8]) -> Bool {
        var start = 0
        while start < bytes.count {
            let count = bytes.withUnsafeBytes { raw in
                Glibc.send(
                    descriptor,
                    raw.baseAddress.map { $0 + start },
                    raw.count - start,
                    Int32(MSG_NOSIGNAL)
                )
            }
            guard count > 0 else { return false }
            start += count
        }
        return true
    }

    /// Everything until the other side ends, and the error where that is none.
    func readToEnd() -> (bytes: [UInt8], error: Int32) {
        var received: [UInt8] = []
        while true {
            var buffer = [UInt8](repeating: 0, count: 2048)
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { return (received, count < 0 ? errno : 0) }
            received += buffer[..<count]
        }
    }

    /// One answer, where nothing else is on its way.
    func readAnswer() -> RawAnswer? {
        var received: [UInt8] = []
        while true {
            var buffer = [UInt8](repeating: 0, count: 2048)
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { return nil }
            received += buffer[..<count]
            if let (answer, _) = RawAnswer.first(of: String(decoding: received, as: UTF8.self)) {
                return answer
            }
        }
    }
}

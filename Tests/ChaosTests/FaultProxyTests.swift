// The fault proxy against a real Redis: it passes bytes, holds one direction and lets them go late,
// and resets.
import ChaosKit
import Glibc
import Synchronization
import TestKit
import Testing

@Suite struct FaultProxyTests {
    /// A connection through the proxy.
    private static func connect(_ port: Int) throws -> Int32 {
        let descriptor = try #require(Sockets.connect(port: port))
        var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        #expect(poll(&entry, 1, 30_000) == 1)
        return descriptor
    }

    /// What arrives within `limit` milliseconds; nil where nothing does.
    private static func receive(_ descriptor: Int32, _ limit: Int32) -> String? {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&entry, 1, limit) == 1 else { return nil }
        var buffer = [UInt8](repeating: 0, count: 100)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        return String(decoding: buffer[..<max(0, count)], as: UTF8.self)
    }

    private static func ping(_ descriptor: Int32) {
        #expect(send(descriptor, "PING\r\n", 6, Int32(MSG_NOSIGNAL)) == 6)
    }

    @Test func `it passes bytes, holds replies until they are let go, and resets`() async throws {
        var options = RedisServer.Options()
        options.tcp = true
        let redis = try await RedisServer.start(options)
        let proxy = try FaultProxy(upstream: [redis.port])
        defer { proxy.stop() }
        let descriptor = try Self.connect(proxy.ports[0])
        defer { close(descriptor) }
        Self.ping(descriptor)
        #expect(Self.receive(descriptor, 30_000) == "+PONG\r\n")
        var fault = FaultProxy.Fault()
        fault.holds = [.replies]
        proxy.set(fault, on: 0)
        // The loop may have looked at the faults a moment ago.
        try await Task.sleep(for: .milliseconds(100))
        Self.ping(descriptor)
        #expect(Self.receive(descriptor, 300) == nil)
        proxy.set(FaultProxy.Fault(), on: 0)
        #expect(Self.receive(descriptor, 30_000) == "+PONG\r\n")
        proxy.reset(0)
        #expect(Self.receive(descriptor, 30_000) == "")
    }

    @Test func `of a route those connections are reset that carry scripts, or the others`()
        async throws
    {
        var options = RedisServer.Options()
        options.tcp = true
        let redis = try await RedisServer.start(options)
        let proxy = try FaultProxy(upstream: [redis.port])
        defer { proxy.stop() }
        let ways = try (0..<3).map { _ in try Self.connect(proxy.ports[0]) }
        defer { for descriptor in ways { close(descriptor) } }
        for (descriptor, word) in zip(ways, ["SCRIPT FLUSH", "EVALSHA 0 0", "PING"]) {
            let line = word + "\r\n"
            #expect(send(descriptor, line, line.utf8.count, Int32(MSG_NOSIGNAL)) > 0)
            #expect(Self.receive(descriptor, 30_000) != nil)
        }
        proxy.reset(0, withScripts: true)
        #expect(Self.receive(ways[0], 30_000) == "")
        #expect(Self.receive(ways[1], 30_000) == "")
        Self.ping(ways[2])
        #expect(Self.receive(ways[2], 30_000) == "+PONG\r\n")
        proxy.reset(0, withScripts: false)
        #expect(Self.receive(ways[2], 30_000) == "")
    }

    @Test func `clients that share a port have a way each, and a fault hits one of them`()
        async throws
    {
        var options = RedisServer.Options()
        options.tcp = true
        let redis = try await RedisServer.start(options)
        let clients = Mutex<[Int: Int]>([:])
        let proxy = try FaultProxy(upstream: [redis.port], shared: [redis.port], clients: 2) {
            port in
            // The proxy may be quicker than whoever has just connected.
            for _ in 0..<30_000 {
                if let client = clients.withLock({ $0[port] }) { return client }
                usleep(1000)
            }
            return nil
        }
        defer { proxy.stop() }
        #expect(proxy.ports.count == 3)
        #expect(proxy.ports[1] == proxy.ports[2])
        var descriptors: [Int32] = []
        for client in 0..<2 {
            let descriptor = try Self.connect(proxy.ports[1])
            descriptors.append(descriptor)
            clients.withLock { $0[Self.localPort(descriptor)] = client }
            Self.ping(descriptor)
            #expect(Self.receive(descriptor, 30_000) == "+PONG\r\n")
        }
        defer { for descriptor in descriptors { close(descriptor) } }
        var fault = FaultProxy.Fault()
        fault.holds = [.replies]
        proxy.set(fault, on: 2)
        // The loop may have looked at the faults a moment ago.
        try await Task.sleep(for: .milliseconds(100))
        for descriptor in descriptors { Self.ping(descriptor) }
        #expect(Self.receive(descriptors[0], 30_000) == "+PONG\r\n")
        #expect(Self.receive(descriptors[1], 300) == nil)
        proxy.set(FaultProxy.Fault(), on: 2)
        #expect(Self.receive(descriptors[1], 30_000) == "+PONG\r\n")
    }

    @Test func `a route that is led elsewhere takes new connections there, old ones stay (H2)`()
        async throws
    {
        var servers: [RedisServer] = []
        for password in ["old", "new"] {
            var options = RedisServer.Options()
            options.tcp = true
            options.password = password
            servers.append(try await RedisServer.start(options))
        }
        let proxy = try FaultProxy(upstream: [servers[0].port])
        defer { proxy.stop() }
        /// Whether the server behind a connection is the one with this password.
        func isBehind(_ descriptor: Int32, _ password: String) -> Bool {
            let words = "AUTH \(password)\r\n"
            _ = send(descriptor, words, words.utf8.count, Int32(MSG_NOSIGNAL))
            return Self.receive(descriptor, 30_000) == "+OK\r\n"
        }
        let before = try Self.connect(proxy.ports[0])
        defer { close(before) }
        #expect(isBehind(before, "old"))
        proxy.lead(0, to: servers[1].port)
        // The loop may have looked at the routes a moment ago.
        try await Task.sleep(for: .milliseconds(100))
        let after = try Self.connect(proxy.ports[0])
        defer { close(after) }
        #expect(isBehind(after, "new"))
        #expect(isBehind(before, "old"))
        #expect(!isBehind(after, "old"))
    }

    private static func localPort(_ descriptor: Int32) -> Int {
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(descriptor, $0, &length)
            }
        }
        #expect(result == 0)
        return Int(UInt16(bigEndian: address.sin_port))
    }
}

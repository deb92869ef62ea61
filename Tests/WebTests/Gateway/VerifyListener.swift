// Real listeners of one real node, with the fast path of `/verify` and without it, and what makes
// two of their answers comparable.
import ClusterKit
import Glibc
import Logging
import NIOCore
import Primitives
import ServiceLifecycle
import Synchronization

@testable import Web

/// A listener of a node.
struct VerifyListener: Sendable {
    let port: Int
    let desks: VerifyDesks
    /// Asks it to end.
    let stop: @Sendable () async -> Void

    /// Runs a listener of the first node around `body`.
    static func run<R: Sendable>(
        _ cluster: Cluster,
        isFast: Bool,
        limits: HTTPLimits = HTTPLimits().with(\.lingerTime, .seconds(10)),
        _ body: @Sendable (VerifyListener) async throws -> R
    ) async throws -> R {
        let node = cluster.nodes[0]
        let desks = VerifyDesks(node.web, group: node.group, cacheLimit: 1000)
        let (ports, announce) = AsyncStream.makeStream(of: Int.self)
        let logger = Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() }
        let server = HTTPServer(
            settings(limits),
            routes: node.web.publicRoutes(),
            group: node.group,
            logger: logger,
            front: isFast ? desks : nil,
            onListening: { announce.yield($0.port ?? 0) }
        )
        let services = ServiceGroup(
            configuration: .init(
                services: [.init(service: desks), .init(service: server)],
                logger: logger
            )
        )
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await services.run() }
            var iterator = ports.makeAsyncIterator()
            guard let port = await iterator.next() else { throw RawError(text: "no port") }
            let stop: @Sendable () async -> Void = { await services.triggerGracefulShutdown() }
            do {
                let listener = VerifyListener(port: port, desks: desks, stop: stop)
                let result = try await body(listener)
                await stop()
                try await group.waitForAll()
                return result
            } catch {
                await stop()
                throw error
            }
        }
    }

    static func settings(_ limits: HTTPLimits) -> HTTPSettings {
        HTTPSettings(
            address: .tcp(host: "127.0.0.1", port: 0),
            issuer: "http://127.0.0.1:8000",
            trustedProxies: [IPNetwork("127.0.0.1")].compactMap { $0 },
            limits: limits
        )
    }
}

/// What differs in every answer, made equal: the date, the request id in both its places, and the
/// age of the read that an answer rests on.
enum Masked {
    private static let places: [(mark: [UInt8], end: UInt8)] = [
        (Array("\r\nDate: ".utf8), 0x0D), (Array("\r\nX-Request-Id: ".utf8), 0x0D),
        (Array("\r\nWatchword-Age: ".utf8), 0x0D), (Array("\"urn:uuid:".utf8), 0x22),
    ]

    static func answers(_ bytes: [UInt8]) -> [UInt8] {
        places.reduce(bytes) { mask($0, $1.mark, until: $1.end) }
    }

    private static func mask(_ bytes: [UInt8], _ mark: [UInt8], until end: UInt8) -> [UInt8] {
        var out: [UInt8] = []
        var at = 0
        while let found = find(mark, in: bytes, from: at) {
            out += bytes[at..<(found + mark.count)]
            out.append(0x2A)
            at = found + mark.count
            while at < bytes.count, bytes[at] != end { at += 1 }
        }
        return out + bytes[at...]
    }

    private static func find(_ mark: [UInt8], in bytes: [UInt8], from: Int) -> Int? {
        bytes.withUnsafeBytes { all in
            guard let base = all.baseAddress else { return nil }
            var at = from
            while at + mark.count <= all.count,
                let next = memchr(base + at, Int32(mark[0]), all.count - at - mark.count + 1)
            {
                at = UnsafeRawPointer(next) - base
                if memcmp(base + at, mark, mark.count) == 0 { return at }
                at += 1
            }
            return nil
        }
    }
}

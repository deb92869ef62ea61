// A real listener on a free port of the loopback interface, and clients that speak raw bytes to it.
import Logging
import NIOCore
import NIOPosix
import Primitives
import ServiceLifecycle
import Synchronization
import Web

/// What a test sees of a listener.
struct RunningServer: Sendable {
    let port: Int
    let logs: LogRecorder
    let stop: @Sendable () async -> Void

    /// Sends `text` and returns everything that comes back until the server closes.
    func exchange(_ text: String) async throws -> String {
        try await exchange([text])
    }

    /// Sends pieces, each in a write of its own once `gap` has passed, and reads to the end.
    func exchange(_ pieces: [String], gap: Duration = .zero) async throws -> String {
        try await connect { client in
            for (index, piece) in pieces.enumerated() {
                if index > 0, gap > .zero { try await Task.sleep(for: gap) }
                try await client.send(piece)
            }
            return try await client.readToEnd()
        }
    }

    /// Opens one connection.
    func connect<Result: Sendable>(
        _ body: (RawClient) async throws -> Result
    ) async throws -> Result {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(
                        wrappingChannelSynchronously: channel,
                        configuration: .init(isOutboundHalfClosureEnabled: true)
                    )
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            try await body(RawClient(inbound, outbound))
        }
    }
}

/// A connection as bytes.
final class RawClient {
    private var inbound: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
    private let outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
    private var received = ""

    init(
        _ inbound: NIOAsyncChannelInboundStream<ByteBuffer>,
        _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
    ) {
        self.inbound = inbound.makeAsyncIterator()
        self.outbound = outbound
    }

    func send(_ text: String) async throws {
        try await outbound.write(ByteBuffer(string: text))
    }

    func send(_ bytes: [UInt8]) async throws {
        try await outbound.write(ByteBuffer(bytes: bytes))
    }

    /// Says that nothing more will be sent.
    func finish() { outbound.finish() }

    /// Everything until the other side ends.
    func readToEnd() async throws -> String {
        while let piece = try await inbound.next(isolation: #isolation) {
            received += String(buffer: piece)
        }
        defer { received = "" }
        return received
    }

    /// One answer, by its Content-Length; more stays for the next call.
    func readAnswer() async throws -> RawAnswer {
        while true {
            if let (answer, rest) = RawAnswer.first(of: received) {
                received = rest
                return answer
            }
            guard let piece = try await inbound.next(isolation: #isolation) else {
                throw RawError(text: "closed after: \(received)")
            }
            received += String(buffer: piece)
        }
    }
}

struct RawError: Error { let text: String }

/// One answer, taken apart.
struct RawAnswer: Sendable {
    let status: Int
    let fields: [(name: String, value: String)]
    let body: String
    /// How many bytes it was.
    let length: Int

    subscript(_ name: String) -> String? {
        fields.first { $0.name.lowercased() == name.lowercased() }?.value
    }

    static func first(of text: String, hasBody: Bool = true) -> (RawAnswer, rest: String)? {
        let marker = "\r\n\r\n"
        guard let head = text.firstRange(of: marker) else { return nil }
        let lines = text[..<head.lowerBound].split(separator: "\r\n")
        let fields = lines.dropFirst().map { line in
            let parts = line.split(separator: ":", maxSplits: 1)
            return (
                name: String(parts[0]),
                value: String(parts.count > 1 ? parts[1].drop { $0 == " " } : "")
            )
        }
        let announced = fields.first { $0.name.lowercased() == "content-length" }
        let length = hasBody ? announced.flatMap { Int($0.value) } ?? 0 : 0
        let body = Array(text[head.upperBound...].utf8)
        guard body.count >= length else { return nil }
        let status = Int(lines[0].split(separator: " ")[1]) ?? 0
        let answer = RawAnswer(
            status: status,
            fields: fields,
            body: String(decoding: body[..<length], as: UTF8.self),
            length: text[..<head.upperBound].utf8.count + length
        )
        return (answer, String(decoding: body[length...], as: UTF8.self))
    }

    static func only(_ text: String, hasBody: Bool = true) throws -> RawAnswer {
        guard let (answer, rest) = first(of: text, hasBody: hasBody), rest.isEmpty else {
            throw RawError(text: "not one answer: \(text)")
        }
        return answer
    }

    static func all(_ text: String) -> [RawAnswer] {
        var out: [RawAnswer] = []
        var rest = text
        while let (answer, more) = first(of: rest) {
            out.append(answer)
            rest = more
        }
        return out
    }
}

/// Runs a listener around `test`.
func withServer(
    routes: [Route],
    issuer: String = "https://auth.example.com",
    limits: HTTPLimits = HTTPLimits(),
    change: (inout HTTPSettings) -> Void = { _ in },
    _ test: @Sendable (RunningServer) async throws -> Void
) async throws {
    var settings = HTTPSettings(address: .tcp(host: "127.0.0.1", port: 0), issuer: issuer)
    settings.limits = limits
    // On a machine that stands still for as long as the server lingers, a refusal is lost with what
    // the server had not read. Who reads to the end and closes makes nobody wait for it.
    settings.limits.lingerTime = max(limits.lingerTime, .seconds(30))
    change(&settings)
    let logs = LogRecorder()
    var logger = Logger(label: "test") { _ in logs.handler }
    logger.logLevel = .info
    let (ports, announce) = AsyncStream.makeStream(of: Int.self)
    let server = HTTPServer(
        settings,
        routes: routes,
        group: MultiThreadedEventLoopGroup.singleton,
        logger: logger,
        onListening: { announce.yield($0.port ?? 0) }
    )
    let services = ServiceGroup(
        configuration: .init(services: [.init(service: server)], logger: logger)
    )
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await services.run() }
        var iterator = ports.makeAsyncIterator()
        guard let port = await iterator.next() else { throw RawError(text: "no port") }
        let stop: @Sendable () async -> Void = { await services.triggerGracefulShutdown() }
        try await test(RunningServer(port: port, logs: logs, stop: stop))
        await stop()
        try await group.waitForAll()
    }
}

extension HTTPLimits {
    /// The same limits with one of them changed.
    func with<Value>(_ limit: WritableKeyPath<Self, Value>, _ value: Value) -> Self {
        var out = self
        out[keyPath: limit] = value
        return out
    }
}

/// Something that happens once and that another task looks for.
final class Flag: Sendable {
    private let raised = Atomic<Bool>(false)

    var isUp: Bool { raised.load(ordering: .relaxed) }

    func raise() { raised.store(true, ordering: .relaxed) }
}

// One listener: a Hummingbird server around a dispatcher. Built from settings and routes, so the
// public, the management and the verify-only listener are three values of one type. On graceful
// shutdown it stops accepting, answers what has come, says `Connection: close` with the last
// answer, and ends what is left when the drain time is over; without a reset where it can.
internal import HTTPTypes
internal import HummingbirdCore
internal import HummingbirdTLS
package import Logging
package import NIOCore
internal import NIOSSL
package import Primitives
internal import ServiceLifecycle
internal import Synchronization

/// An HTTP/1.1 listener.
package struct HTTPServer: Service {
    private let settings: HTTPSettings
    private let dispatcher: Dispatcher
    private let group: any EventLoopGroup
    private let logger: Logger
    private let front: VerifyDesks?
    private let onListening: @Sendable (SocketAddress) async -> Void
    private let drain = Drain()
    private let peers: PeerCounter

    /// A listener; `onListening` is told the bound address.
    ///
    /// - Parameter front: the desks of a fast path that answers `/verify` from its raw bytes. Desks
    ///   serve one listener: the answers they keep carry its headers.
    package init(
        _ settings: HTTPSettings,
        routes: [Route],
        group: any EventLoopGroup,
        clock: WallClock = .system,
        entropy: Entropy = .system,
        logger: Logger,
        front: VerifyDesks? = nil,
        onListening: @escaping @Sendable (SocketAddress) async -> Void = { _ in }
    ) {
        self.settings = settings
        self.group = group
        self.logger = logger
        self.front = front
        self.onListening = onListening
        peers = PeerCounter(
            limit: settings.limits.connectionsPerAddress,
            exempt: settings.trustedProxies
        )
        dispatcher = Dispatcher(
            settings,
            routes: routes,
            clock: clock,
            entropy: entropy,
            logger: logger
        )
    }

    /// Listens until shut down.
    ///
    /// - Throws: When the address cannot be bound or the certificate cannot be read.
    package func run() async throws {
        let channel = makeChannel()
        let service: any Service
        if let files = settings.tls {
            let tls = try TLSChannel(channel, tlsConfiguration: Self.configuration(files))
            service = makeServer(tls)
        } else {
            service = makeServer(channel)
        }
        let drain = drain
        try await withGracefulShutdownHandler {
            try await service.run()
        } onGracefulShutdown: {
            drain.begin()
        }
    }

    private func makeServer(_ channel: some ServerChildChannel) -> any Service {
        let address: BindAddress =
            switch settings.address {
            case .tcp(let host, let port): .hostname(host, port: port)
            case .unixSocket(let path): .unixDomainSocket(path: path)
            }
        // Hummingbird's own lines at info level would only repeat what the caller says.
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .notice)
        return channel.server(
            configuration: ServerConfiguration(
                address: address,
                backlog: settings.limits.backlog,
                availableConnectionsDelegate: MaximumAvailableConnections(
                    settings.limits.connections,
                    logger: quiet
                )
            ),
            onServerRunning: { [onListening] channel in
                if let address = channel.localAddress { await onListening(address) }
            },
            eventLoopGroup: group,
            logger: quiet
        )
    }

    private func makeChannel() -> LoopChannel {
        let dispatcher = dispatcher
        let drain = drain
        let limits = settings.limits
        let front = front
        let peers = peers
        let inner = HTTP1Channel(
            responder: { request, writer, channel in
                try await Self.respond(request, writer, channel, dispatcher, drain)
            },
            configuration: .init(
                httpDecoderConfiguration: .init(
                    maxHeaderFieldSize: limits.headBytes,
                    maxHeaderListSize: limits.headBytes,
                    maxHeaderFieldCount: limits.headerCount
                )
            )
        )
        return LoopChannel(inner: inner) { channel in
            // Nobody would take it over any more, and what is set up and not taken over traps.
            guard !drain.hasBegun else {
                channel.close(promise: nil)
                throw ChannelError.ioOnClosedChannel
            }
            let peer = IPAddress(channel.remoteAddress)
            let verdict = peers.admit(channel, from: peer)
            // Closed when it has been set up: a set-up that fails is the listener's failure.
            if verdict == .dropped { channel.eventLoop.execute { channel.close(promise: nil) } }
            let guardian = ConnectionGuard(limits, isRefused: verdict != .served) { code, detail in
                dispatcher.refuse(code, detail, peer: peer).http1Bytes
            }
            // A front answers by itself, so one that is refused never sees it.
            if verdict == .served, let desk = front?.desk(on: channel.eventLoop) {
                try channel.pipeline.syncOperations.addHandler(
                    VerifyFront(desk, dispatcher, guardian, drain, limits, peer: peer)
                )
            }
            try channel.pipeline.syncOperations.addHandler(guardian)
        }
    }

    @concurrent
    private static func respond(
        _ request: Request,
        _ writer: consuming ResponseWriter,
        _ channel: any Channel,
        _ dispatcher: Dispatcher,
        _ drain: Drain
    ) async throws {
        let body = request.body
        let incoming = IncomingBody(headers: request.headers) { limit in
            var bytes: [UInt8] = []
            for try await piece in body {
                guard bytes.count + piece.readableBytes <= limit else {
                    throw BrokenRequest(.bodyTooLarge, "The body is too large.")
                }
                bytes += piece.readableBytesView
            }
            return bytes
        }
        var reply = await dispatcher.answer(
            request.head,
            peer: IPAddress(channel.remoteAddress),
            body: incoming
        )
        if drain.hasBegun, isLast(channel) { reply.closesConnection = true }
        // RFC 9112 section 9.6: whoever asked for the end is told that it comes; a gateway would
        // keep the connection for its next request otherwise, and lose that one.
        if reply.closesConnection || asksForEnd(request.headers) {
            reply.headers[.connection] = "close"
        }
        let response = HTTPResponse(status: reply.status, headerFields: reply.headers)
        if reply.body.isEmpty || request.method == .head {
            try await writer.writeResponse(response)
        } else {
            try await writer.write(
                response: response,
                body: ResponseBody(byteBuffer: ByteBuffer(bytes: reply.body))
            )
        }
        channel.triggerUserOutboundEvent(
            ConnectionEvent.answered(closes: reply.closesConnection),
            promise: nil
        )
    }

    /// Whether nothing else has come on this connection that is to be answered.
    private static func isLast(_ channel: any Channel) -> Bool {
        guard channel.eventLoop.inEventLoop else { return true }
        do {
            let guardian = try channel.pipeline.syncOperations.handler(type: ConnectionGuard.self)
            return guardian.isLastAnswer
        } catch {
            // Without its guard the connection is gone.
            return true
        }
    }

    /// Whether the connection ends after this request; as `HeadFacts` sees it.
    private static func asksForEnd(_ headers: HTTPFields) -> Bool {
        let fields = headers[values: .connection] + headers[values: .proxyConnection]
        let options = fields.flatMap { $0.split(separator: ",") }
        return headers.contains(.upgrade)
            || options.contains { option in
                option.filter { $0 != " " && $0 != "\t" }.lowercased() == "close"
            }
    }

    private static func configuration(_ files: TLSFiles) throws -> TLSConfiguration {
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMFile(files.certificateChain)
                .map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(file: files.privateKey, format: .pem))
        )
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        return configuration
    }
}

/// Whether the listener is on its way down.
final class Drain: Sendable {
    private let flag = Atomic<Bool>(false)

    func begin() { flag.store(true, ordering: .releasing) }

    var hasBegun: Bool { flag.load(ordering: .acquiring) }
}

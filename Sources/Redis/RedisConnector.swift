// Opens a channel to Redis: host names through NIO's resolver (never on the event loop), TLS by
// NIOSSL with full verification. It does not sign in; that is the link's first write.
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import Primitives

/// Makes connected channels for one configuration.
struct RedisConnector {
    private let configuration: RedisConfiguration
    private let context: NIOSSLContext?

    init(_ configuration: RedisConfiguration) throws {
        self.configuration = configuration
        context = try configuration.tls.map { tls in
            var settings = TLSConfiguration.makeClientConfiguration()
            settings.minimumTLSVersion = .tlsv12
            if let file = tls.authorityFile { settings.trustRoots = .file(file) }
            return try NIOSSLContext(configuration: settings)
        }
    }

    /// Connects on `loop`, which must be the current one.
    func connect(_ link: RedisLink, on loop: any EventLoop) -> EventLoopFuture<any Channel> {
        let bound = NIOLoopBound(link, eventLoop: loop)
        let context = context
        let address = configuration.address
        let timeout = TimeAmount.microseconds(configuration.connectTimeout.wholeMicroseconds)
        let bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(timeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let context {
                        try pipeline.addHandler(Self.tlsHandler(context, address))
                    }
                    try pipeline.addHandler(RedisChannelHandler(link: bound.value))
                }
            }
        switch address {
        case .tcp(let host, let port):
            return bootstrap.channelOption(.tcpOption(.tcp_nodelay), value: 1)
                .connect(host: host, port: port)
        case .unix(let path): return bootstrap.connect(unixDomainSocketPath: path)
        }
    }

    /// A name is checked against the certificate and sent as SNI, an IP address only checked.
    private static func tlsHandler(
        _ context: NIOSSLContext,
        _ address: RedisConfiguration.Address
    ) throws -> NIOSSLClientHandler {
        guard case .tcp(let host, _) = address else {
            return try NIOSSLClientHandler(context: context, serverHostname: nil)
        }
        let isIPAddress = host.contains(":") || host.allSatisfy { $0.isNumber || $0 == "." }
        return try NIOSSLClientHandler(
            context: context,
            serverHostname: isIPAddress ? nil : host
        )
    }
}

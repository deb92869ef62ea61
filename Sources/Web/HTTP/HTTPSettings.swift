// What a listener needs to know. Every limit has a name and a default; only the number of
// connections for each address can be switched off, for proxies that are not known by address.

/// The limits of one listener (checklist rows 252, 258).
package struct HTTPLimits: Sendable {
    /// The request line and all fields together.
    package var headBytes = 16 * 1024
    /// How many fields.
    package var headerCount = 100
    /// The request target.
    package var targetBytes = 8 * 1024
    /// The largest body any route takes; routes may take less.
    package var bodyBytes = 64 * 1024
    /// From connecting, or from a head's first byte, to its last.
    package var headTime: Duration = .seconds(10)
    /// From the end of the head to the end of the body.
    package var bodyTime: Duration = .seconds(30)
    /// How long a connection may wait for its next request.
    package var idleTime: Duration = .seconds(75)
    /// How long an answer may take; then stores give up and the caller gets 503.
    package var requestTime: Duration = .seconds(10)
    /// How much longer than `requestTime` a connection may go without finishing its answer.
    package var writeTime: Duration = .seconds(20)
    /// How long a closed connection is read from, so that its last answer is not lost to a reset.
    package var lingerTime: Duration = .seconds(1)
    /// How long requests in flight may take once the node drains.
    package var drainTime: Duration = .seconds(20)
    /// How many connections at once; more wait unaccepted.
    package var connections = 10_000
    /// How many connections one address may have, save the trusted proxies; zero is no limit.
    package var connectionsPerAddress = 2_000
    /// How many connections may wait unaccepted.
    package var backlog = 1024

    /// The defaults.
    package init() {}
}

/// Where a listener listens.
package enum ListenAddress: Sendable, Hashable {
    case tcp(host: String, port: Int)
    case unixSocket(path: String)
}

/// A certificate chain and its key, as PEM files.
package struct TLSFiles: Sendable, Hashable {
    /// The chain, leaf first.
    package let certificateChain: String
    /// The private key.
    package let privateKey: String

    /// The two files.
    package init(certificateChain: String, privateKey: String) {
        self.certificateChain = certificateChain
        self.privateKey = privateKey
    }
}

/// One listener's settings.
package struct HTTPSettings: Sendable {
    /// Where it listens.
    package var address: ListenAddress
    /// TLS of its own; nil behind a gateway that ends TLS.
    package var tls: TLSFiles?
    /// The public URL, without a slash at its end; problem types start with it.
    package var issuer: String
    /// Origins besides the issuer's whose pages may call us, exactly as browsers write them.
    ///
    /// Empty switches CORS off.
    package var allowedOrigins: Set<String>
    /// Proxies whose `X-Forwarded-For` is believed.
    package var trustedProxies: [IPNetwork]
    /// The limits.
    package var limits: HTTPLimits

    /// Settings with defaults for what is seldom changed.
    package init(
        address: ListenAddress,
        issuer: String,
        tls: TLSFiles? = nil,
        allowedOrigins: Set<String> = [],
        trustedProxies: [IPNetwork] = [],
        limits: HTTPLimits = HTTPLimits()
    ) {
        self.address = address
        self.issuer = issuer
        self.tls = tls
        self.allowedOrigins = allowedOrigins
        self.trustedProxies = trustedProxies
        self.limits = limits
    }
}

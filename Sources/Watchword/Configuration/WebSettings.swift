// The settings of the HTTP listeners and of /verify.
import Primitives
import Web

/// How the listeners behave.
struct WebSettings: Sendable {
    /// How many event loops; each has its own connections to the stores.
    let eventLoops: Int
    /// The certificate chain and key, where TLS ends in the node.
    let tls: TLSFiles?
    /// Origins whose pages may call us.
    let allowedOrigins: Set<String>
    /// Proxies whose forwarding headers are believed.
    let trustedProxies: [IPNetwork]
    /// The limits.
    let limits: HTTPLimits
    /// Where `/verify` reads the original request.
    let verifySource: OriginalRequestSource
    /// Whether requirements in the query of `/verify` count.
    let verifyReadsRequirements: Bool
    /// Whether route rules judge every request to `/verify`.
    let judgesRoutes: Bool
    /// How fresh the answers of `/verify` are.
    let verifyMode: VerifyMode
    /// Whether `/verify` is answered from its raw bytes where that can be done.
    let hasFastPath: Bool
    /// How long one read of the revocation log, of roles or of route rules may take.
    let readLimit: Duration
    /// How many checked tokens are remembered.
    let tokenCacheLimit: Int
    /// How many failed checks of signatures an address may cause in a minute.
    let failedChecks: Int

    /// Reads them.
    init(from source: SettingsSource) {
        eventLoops = source.integer(
            "http.event_loops",
            default: 0,
            within: 0...256,
            help: "Event loops; 0 means one for each core."
        )
        tls = Self.tls(source)
        allowedOrigins = Set(
            source.list(
                "http.allowed_origins",
                default: [],
                help: "Origins besides the public URL whose pages may call the API (CORS), exactly"
                    + " as browsers write them: https://app.example.com."
            )
        )
        trustedProxies = source.networks(
            "http.trusted_proxies",
            help: "Addresses or networks (CIDR) of the proxies in front, whose X-Forwarded-For"
                + " and original-request headers are believed."
        )
        limits = Self.limits(source)
        verifySource = source.choice(
            "verify.original_request",
            OriginalRequestSource.self,
            default: .auto,
            help: "Where /verify reads the original request; auto is for trying out."
        )
        verifyReadsRequirements = source.boolean(
            "verify.query_requirements",
            default: true,
            help: "Whether permission=, role= and scope= in the query of /verify must hold."
        )
        judgesRoutes = Self.judgesRoutes(source, verifySource)
        verifyMode = Self.mode(source)
        hasFastPath = source.boolean(
            "verify.fast_path",
            default: true,
            help: "Whether /verify is answered in front of the general HTTP stack where possible."
        )
        readLimit = source.duration(
            "verify.read_limit",
            default: .seconds(1),
            within: .milliseconds(10) ... .seconds(30),
            help: "How long one read of the revocation log, of changed roles or of route rules may"
                + " take before checks that need it answer 503."
        )
        tokenCacheLimit = source.integer(
            "tokens.cache_limit",
            default: 20_000,
            within: 100...10_000_000,
            help: "Checked tokens a node remembers with their answers, about 4 KiB each."
        )
        failedChecks = source.integer(
            "tokens.failed_checks",
            default: 300,
            within: 0...1_000_000,
            help: "Forged tokens, and API keys that open nothing, of one address (of one /64 with"
                + " IPv6) that a node looks at in a minute, a third of them at once, save the"
                + " trusted proxies'; then it looks at no new token or key from there. 0 is no"
                + " limit."
        )
    }

    private static func tls(_ source: SettingsSource) -> TLSFiles? {
        let chain = source.text(
            "http.tls_certificate",
            default: "",
            help: "A PEM file with the certificate chain, to end TLS in the node; or empty."
        )
        let key = source.text(
            "http.tls_key",
            default: "",
            help: "The PEM file with the certificate's key."
        )
        if chain.isEmpty != key.isEmpty {
            source.complain(
                SettingComplaint(
                    "http.tls_key",
                    "http.tls_certificate and http.tls_key are set together or not at all."
                )
            )
        }
        return chain.isEmpty || key.isEmpty
            ? nil : TLSFiles(certificateChain: chain, privateKey: key)
    }

    private enum Switch: String, CaseIterable {
        case off
        case on
    }

    private static func judgesRoutes(
        _ source: SettingsSource,
        _ original: OriginalRequestSource
    ) -> Bool {
        let choice = source.choice(
            "verify.route_rules",
            Switch.self,
            default: .off,
            help: "on: every request to /verify must be let pass by a route rule as well, and what"
                + " no rule is for is refused. verify.original_request must name a source then."
        )
        if choice == .on, original == .auto {
            source.complain(
                SettingComplaint(
                    "verify.route_rules",
                    "verify.route_rules is on, so verify.original_request must name the one source"
                        + " that is believed: x-forwarded, x-original or request-line."
                )
            )
        }
        return choice == .on
    }

    private enum ModeName: String, CaseIterable {
        case linear
        case bounded
    }

    private static func mode(_ source: SettingsSource) -> VerifyMode {
        let name = source.choice(
            "verify.mode",
            ModeName.self,
            default: .linear,
            help: "linear: every answer of /verify is newer than its question. bounded: it may be"
                + " as old as verify.staleness_limit, and a logout takes that long to be seen."
        )
        let limit = source.duration(
            "verify.staleness_limit",
            default: .milliseconds(100),
            within: .milliseconds(1) ... .seconds(60),
            help: "How old an answer may be in bounded mode; max_age= in the query tightens it."
        )
        switch name {
        case .linear: return .linear
        case .bounded: return .bounded(limit)
        }
    }

    private static func limits(_ source: SettingsSource) -> HTTPLimits {
        var limits = HTTPLimits()
        limits.headBytes = source.bytes(
            "http.head_bytes",
            default: limits.headBytes,
            within: 4096...(1024 * 1024),
            help: "The longest request line and header together."
        )
        limits.bodyBytes = source.bytes(
            "http.body_bytes",
            default: limits.bodyBytes,
            within: 1024...(16 * 1024 * 1024),
            help: "The longest request body."
        )
        limits.headTime = source.duration(
            "http.head_time",
            default: limits.headTime,
            within: .seconds(1) ... .minutes(5),
            help: "How long a client may take to send a request's head."
        )
        limits.bodyTime = source.duration(
            "http.body_time",
            default: limits.bodyTime,
            within: .seconds(1) ... .minutes(10),
            help: "How long a client may take to send a request's body."
        )
        limits.idleTime = source.duration(
            "http.idle_time",
            default: limits.idleTime,
            within: .seconds(1) ... .hours(1),
            help: "How long a connection may wait between requests."
        )
        limits.requestTime = source.duration(
            "http.request_time",
            default: limits.requestTime,
            within: .seconds(1) ... .minutes(5),
            help: "How long a request may take before it is answered 503."
        )
        limits.drainTime = source.duration(
            "http.drain_time",
            default: limits.drainTime,
            within: .zero ... .minutes(10),
            help: "How long requests in flight may take to end after SIGTERM."
        )
        limits.connections = source.integer(
            "http.connections",
            default: limits.connections,
            within: 1...1_000_000,
            help: "The most connections to a listener; more wait to be accepted."
        )
        limits.connectionsPerAddress = source.integer(
            "http.connections_per_address",
            default: limits.connectionsPerAddress,
            within: 0...1_000_000,
            help: "The most connections of one address (of one /64 with IPv6), save the trusted"
                + " proxies; more are answered 429. 0 is no limit."
        )
        return limits
    }
}

// The request that a gateway asks about, as far as its headers tell. Each listener believes one
// family of headers, from configured peers only; what is ambiguous is refused, not repaired
// (architecture.md section 11).
import Access
import HTTPTypes
import Primitives

/// Where a listener reads the original request from.
package enum OriginalRequestSource: String, Sendable, CaseIterable {
    /// `X-Forwarded-Method`, `-Uri`, `-Host`: Traefik, Caddy.
    case forwarded = "x-forwarded"
    /// `X-Original-Method`, `-URI`: nginx by convention.
    case original = "x-original"
    /// The request itself: Envoy.
    case requestLine = "request-line"
    /// Whichever family is there, for trying out; both at once are refused.
    case auto
}

/// What is known of the original request.
struct OriginalRequest {
    /// Its method; nil where nobody believable said.
    let method: HTTPRequest.Method?

    /// Reads it.
    ///
    /// - Throws: `original-request-refused` for a duplicate, or for both families under `auto`.
    init(_ context: RequestContext, _ settings: VerifySettings) throws(WebRefusal) {
        let isBelieved = context.isPeerTrusted || settings.believesEveryPeer
        switch settings.source {
        case .requestLine: method = context.method
        case .forwarded: method = try Self.method(context, .forwardedMethod, isBelieved)
        case .original: method = try Self.method(context, .originalMethod, isBelieved)
        case .auto:
            let forwarded = Self.mentions(context, [.forwardedMethod, .forwardedURI])
            let original = Self.mentions(context, [.originalMethod, .originalURI])
            guard !(forwarded && original) else {
                throw WebRefusal(.originalRequestRefused, "Two families of headers contradict.")
            }
            method = try Self.method(
                context,
                original ? .originalMethod : .forwardedMethod,
                isBelieved
            )
        }
    }

    /// Whether it is known to change nothing.
    var isSafe: Bool { method.map(OriginRules.isSafe) ?? false }

    private static func mentions(_ context: RequestContext, _ names: [HTTPField.Name]) -> Bool {
        names.contains { context.headers[values: $0].isEmpty == false }
    }

    private static func method(
        _ context: RequestContext,
        _ name: HTTPField.Name,
        _ isBelieved: Bool
    ) throws(WebRefusal) -> HTTPRequest.Method? {
        let values = context.headers[values: name]
        guard values.count <= 1 else {
            throw WebRefusal(.originalRequestRefused, "The original method is given twice.")
        }
        guard isBelieved, let value = values.first else { return nil }
        guard let method = HTTPRequest.Method(value) else {
            throw WebRefusal(.originalRequestRefused, "The original method is no method.")
        }
        return method
    }
}

// What route rules are asked about. All of it comes from the listener's one source, and from peers
// that are believed; where anything is absent or said twice, nothing may pass (row 236).
extension RouteQuestion {
    /// The original request, for rules.
    ///
    /// - Throws: `original-request-refused` for what is absent, said twice or ambiguous.
    init(_ context: RequestContext, _ settings: VerifySettings) throws(WebRefusal) {
        guard context.isPeerTrusted || settings.believesEveryPeer else {
            throw WebRefusal(.originalRequestRefused, "Only gateways may ask.")
        }
        let method: String
        let target: String
        var host = context.host
        switch settings.source {
        case .requestLine:
            method = context.method.rawValue
            // Behind the prefix under which gateways ask; the query never matters.
            target = String(context.path.dropFirst("/verify".utf8.count))
        case .forwarded:
            method = try Self.only(context, .forwardedMethod)
            target = try Self.only(context, .forwardedURI)
            host = try Self.only(context, .forwardedHost)
        case .original:
            method = try Self.only(context, .originalMethod)
            target = try Self.only(context, .originalURI)
        case .auto:
            // Settings refuse it; and if they did not, nobody would pass.
            throw WebRefusal(.originalRequestRefused, "The listener has no one source.")
        }
        guard let question = RouteQuestion(method: method, host: host, target: target) else {
            throw WebRefusal(.originalRequestRefused, "The original request is ambiguous.")
        }
        self = question
    }

    /// A question, from its parts as they were sent; nil where one is ambiguous.
    init?(method: String, host: String, target: String) {
        guard RouteDefinition.isMethod(method), let host = RouteHost.read(host),
            let path = RoutePath(target)
        else { return nil }
        self.init(method: method, host: host, path: path)
    }

    private static func only(
        _ context: RequestContext,
        _ name: HTTPField.Name
    ) throws(WebRefusal) -> String {
        let values = context.headers[values: name]
        guard values.count == 1 else {
            throw WebRefusal(.originalRequestRefused, "\(name.rawName) must be there once.")
        }
        return values[0]
    }
}

extension HTTPField.Name {
    static let forwardedHost = known("X-Forwarded-Host")
    static let forwardedMethod = known("X-Forwarded-Method")
    static let forwardedURI = known("X-Forwarded-Uri")
    static let originalMethod = known("X-Original-Method")
    static let originalURI = known("X-Original-URI")
    static let webSocketKey = known("Sec-WebSocket-Key")
    static let authUser = known("X-Auth-User")
    static let authSession = known("X-Auth-Session")
    static let authRoles = known("X-Auth-Roles")
    static let authScopes = known("X-Auth-Scopes")
    static let authClient = known("X-Auth-Client")
    static let authOrganisation = known("X-Auth-Org")
    static let mode = known("Watchword-Mode")
    static let age = known("Watchword-Age")
}

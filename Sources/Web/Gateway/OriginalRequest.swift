// The request that a gateway asks about, as far as its headers tell. Each listener believes one
// family of headers, from configured peers only; what is ambiguous is refused, not repaired
// (architecture.md section 11).
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

extension HTTPField.Name {
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

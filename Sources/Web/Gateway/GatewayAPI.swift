// What gateways and resource servers ask: /verify and the public keys.
import HTTPTypes
import Primitives
import Tokens

/// The gateway's operations.
package enum GatewayAPI {
    static let verify = RawOperation(
        "gateway.verify",
        .any,
        "/verify",
        isPrefix: true,
        summary: "May this request pass? 200 with identity headers, 401, 403, or 503.",
        tag: "Gateway",
        gate: .anyone,
        contentType: nil,
        problems: [
            .tokenMissing, .tokenMalformed, .tokenInvalid, .tokenExpired, .tokenRevoked,
            .permissionDenied, .csrfFailed, .originRefused, .originalRequestRefused,
        ]
    )
    static let jwks = RawOperation(
        "gateway.jwks",
        .only([.get, .head]),
        "/.well-known/jwks.json",
        summary: "The public keys of access tokens, as a JWK Set (RFC 7517).",
        tag: "Gateway",
        gate: .anyone,
        contentType: "application/jwk-set+json"
    )

    /// All of them.
    static let operations: [OperationInfo] = [verify.info, jwks.info]
}

extension WebServices {
    func bindGateway(_ bindings: inout Bindings) {
        bindings.bind(GatewayAPI.verify) { context, _ in try await verifyRequest(context) }
        bindings.bind(GatewayAPI.jwks) { _, _ in
            var reply = Reply(
                200,
                contentType: "application/jwk-set+json",
                body: Array(keys.ring.jwks.utf8)
            )
            reply.headers[.cacheControl] = "public, max-age=300"
            return reply
        }
    }
}

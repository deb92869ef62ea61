// What a handler knows about its request besides the decoded input. Times and ids are fixed when
// the request arrives: nobody downstream reads a clock of their own.
package import Access
package import HTTPTypes
package import Logging
package import Primitives
package import Tokens

/// One request, as handlers see it.
package struct RequestContext: Sendable {
    /// Our name for the request: a UUIDv7, answered as `X-Request-Id`.
    package let id: RequestID
    /// The wall-clock time at which it arrived.
    package let now: Timestamp
    /// When the request is given up.
    ///
    /// Counted from its head, and anew from the end of its body; `RequestDeadline` hands it to
    /// every store.
    package internal(set) var deadline: Deadline
    /// How long an answer may take.
    let timeAllowed: Duration
    /// Whose request it is.
    package let clientAddress: IPAddress
    /// Whether that is a configured proxy, which has not told whose request it is.
    let isClientTrusted: Bool
    /// The other end of the socket: a gateway, or the client itself.
    package let peerAddress: IPAddress
    /// Whether the peer is a configured proxy, whose forwarding headers may be believed.
    package let isPeerTrusted: Bool
    /// `User-Agent`, at most 512 bytes and without control characters; empty when absent.
    package let userAgent: String
    /// The method.
    package let method: HTTPRequest.Method
    /// The path, byte for byte as sent.
    package let path: String
    /// The query, still encoded; nil without `?`.
    package let query: String?
    /// The `Host`.
    package let host: String
    /// Every header field but `Host`.
    package let headers: HTTPFields
    /// The `{name}` segments of the path, byte for byte as sent.
    package internal(set) var pathParameters: [String: String] = [:]
    /// Who calls, once the gate has been passed; nil where anyone may.
    package internal(set) var caller: Caller?
    /// Which version the change is made to; nil unless the operation takes one.
    var expected: ExpectedVersion?
    let baseLogger: Logger

    /// The longest user agent kept, in bytes.
    package static let maximumUserAgent = 512

    /// A logger whose every line names the request.
    package var logger: Logger {
        var logger = baseLogger
        logger[metadataKey: "request_id"] = .string(id.description)
        return logger
    }

    /// The cookies; parsed on each call, so keep the value.
    package var cookies: Cookies { Cookies(headers) }

    /// Which version of the resource the change is made to, at an operation that takes one.
    package var expectedVersion: ExpectedVersion {
        guard let expected else { preconditionFailure("this operation takes no version") }
        return expected
    }

    /// Whether the method promises not to change anything (RFC 9110 section 9.2.1).
    package var isSafe: Bool { OriginRules.isSafe(method) }

    /// Runs `body` as a part of this request: when its time is up, stores begin nothing for it.
    func timed<R>(_ body: () async throws -> R) async throws -> R {
        try await RequestDeadline.$current.withValue(deadline, operation: body)
    }

    /// The id in path segment `name`.
    ///
    /// - Throws: `not-found` for anything but a UUID, because nothing is there.
    package func id<Kind>(_ name: String, _ kind: Kind.Type = Kind.self) throws -> ID<Kind> {
        guard let text = pathParameters[name], let id = ID<Kind>(text) else {
            throw WebRefusal(.notFound)
        }
        return id
    }

    /// `field` cut to the longest that is kept, without control characters.
    static func cleanUserAgent(_ field: String?) -> String {
        guard let field else { return "" }
        var out = String.UnicodeScalarView()
        var bytes = 0
        for scalar in field.unicodeScalars where scalar.properties.generalCategory != .control {
            bytes += UTF8.width(scalar)
            guard bytes <= maximumUserAgent else { break }
            out.append(scalar)
        }
        return String(out)
    }
}

/// Who calls, as the gate found out.
package struct Caller: Sendable {
    /// How the credential came; a cookie needs a CSRF token on unsafe methods.
    package enum Source: Sendable {
        case bearer
        case cookie
    }

    /// What the access token says; genuine, in force, and read for this request.
    package let claims: AccessClaims
    /// How the credential came.
    package let source: Source
    /// How far the permission reaches that opened the gate.
    package let realm: Realm
    /// The permission that opened the gate; nil where none was asked for.
    package let permission: AdminPermission?
    /// The organisation that it is held in; nil where it is held everywhere.
    package let delegatedBy: OrganisationID?

    /// A caller.
    package init(
        claims: AccessClaims,
        source: Source,
        realm: Realm = .everywhere,
        permission: AdminPermission? = nil,
        delegatedBy: OrganisationID? = nil
    ) {
        self.claims = claims
        self.source = source
        self.realm = realm
        self.permission = permission
        self.delegatedBy = delegatedBy
    }
}

/// A refusal of the HTTP layer itself.
package struct WebRefusal: Refusal, Hashable {
    package let code: ProblemCode
    package let detail: String?
    package let retryAfter: Duration?

    /// A refusal with `code`.
    package init(_ code: ProblemCode, _ detail: String? = nil, retryAfter: Duration? = nil) {
        self.code = code
        self.detail = detail
        self.retryAfter = retryAfter
    }
}

/// A refusal that also sets cookies, such as one that takes away those of a dead session.
package struct CookieRefusal: Error {
    /// The refusal.
    package let refusal: any Refusal
    /// The cookies to set with it.
    package let cookies: [SetCookie]

    /// `refusal`, answered with `cookies`.
    package init(_ refusal: any Refusal, cookies: [SetCookie]) {
        self.refusal = refusal
        self.cookies = cookies
    }
}

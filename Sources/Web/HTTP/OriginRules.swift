// Which sites' pages may call us. Origins are compared as whole strings: no suffix, prefix or
// pattern match, no `null` (rows 146, 150). Browsers cannot forge these headers; programs can leave
// them out, and have no cookies of a victim to ride on.
package import HTTPTypes
internal import Primitives

/// The rules about `Origin`, `Sec-Fetch-Site` and `Referer`, and CORS.
package struct OriginRules: Sendable {
    private let own: String
    private let allowed: Set<String>

    /// Rules for the service at `issuer`, callable from pages of `allowed` too.
    package init(issuer: String, allowed: Set<String>) {
        own = Self.origin(of: issuer)
        precondition(!allowed.contains("*") && !allowed.contains("null"), "no wildcard origins")
        self.allowed = allowed
    }

    /// Whether CORS is configured at all.
    package var isCORSOn: Bool { !allowed.isEmpty }

    /// Whether `method` promises to change nothing.
    package static func isSafe(_ method: HTTPRequest.Method) -> Bool {
        method == .get || method == .head || method == .options || method == .trace
    }

    /// `scheme://host[:port]` of a URL.
    package static func origin(of url: String) -> String {
        let parts = url.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count >= 3 else { return url }
        return "\(parts[0])//\(parts[2])".lowercased()
    }

    /// Refuses an unsafe request that a browser sent for a site we do not know.
    ///
    /// - Throws: `cross-site-request` or `origin-refused`.
    package func check(_ method: HTTPRequest.Method, _ headers: HTTPFields) throws(WebRefusal) {
        guard !Self.isSafe(method) else { return }
        let origins = headers[values: .origin]
        let isListed = origins.count == 1 && allowed.contains(origins[0])
        if headers[values: .secFetchSite].contains("cross-site"), !isListed {
            throw WebRefusal(.crossSiteRequest)
        }
        guard !origins.isEmpty else { return try checkReferer(headers) }
        guard isListed || (origins.count == 1 && origins[0] == own) else {
            throw WebRefusal(.originRefused)
        }
    }

    /// Judges the page that a browser names where it says nothing else of it (row 146).
    ///
    /// Only where neither `Origin` nor `Sec-Fetch-Site` was sent, and no `Authorization`: a
    /// browser adds that to no request by itself, so nobody rides on it. A page may keep its
    /// `Referer` back, so its absence proves nothing; the CSRF value is asked for all the same.
    private func checkReferer(_ headers: HTTPFields) throws(WebRefusal) {
        let pages = headers[values: .referer]
        guard !pages.isEmpty, !headers.contains(.secFetchSite), !headers.contains(.authorization)
        else { return }
        let page = Self.origin(of: pages[0])
        guard pages.count == 1, page == own || allowed.contains(page) else {
            throw WebRefusal(.originRefused)
        }
    }

    /// Lets a page of an allowed origin read the answer.
    package func addCORS(to reply: inout HTTPFields, request: HTTPFields) {
        guard isCORSOn else { return }
        reply.append(HTTPField(name: .vary, value: "Origin"))
        let origins = request[values: .origin]
        guard origins.count == 1, allowed.contains(origins[0]) else { return }
        reply[.accessControlAllowOrigin] = origins[0]
        reply[.accessControlAllowCredentials] = "true"
        reply[.accessControlExposeHeaders] =
            "X-Request-Id, Retry-After, ETag, Location, Idempotent-Replayed, Preference-Applied, "
            + "Watchword-Rights-Version, WWW-Authenticate"
        reply[.resourcePolicy] = "cross-origin"
    }

    /// The answer to a preflight for a path that answers `methods`.
    ///
    /// - Throws: `origin-refused` for an origin that is not allowed.
    package func preflight(_ headers: HTTPFields, methods: [String]) throws(WebRefusal) -> Reply {
        let origins = headers[values: .origin]
        guard origins.count == 1, allowed.contains(origins[0]) else {
            throw WebRefusal(.originRefused)
        }
        return Reply(
            204,
            headers: [
                .accessControlAllowMethods: methods.joined(separator: ", "),
                .accessControlAllowHeaders:
                    "Authorization, Content-Type, X-CSRF-Token, Idempotency-Key, If-Match, "
                    + "If-None-Match, Prefer, X-Org",
                .accessControlMaxAge: "600",
            ]
        )
    }
}

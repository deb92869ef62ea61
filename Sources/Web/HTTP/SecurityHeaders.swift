// What every answer carries, errors included (checklist rows 152 to 156). A reply that sets one of
// these itself keeps its own: a page brings a policy with nonces, the key set is cacheable.
package import HTTPTypes

/// The security headers of one listener.
package struct SecurityHeaders: Sendable {
    private let fields: [(HTTPField.Name, String)]

    /// The headers of a service whose public URL is `issuer`.
    package init(issuer: String) {
        var fields: [(HTTPField.Name, String)] = [
            (.cacheControl, "no-store"),
            (.contentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'"),
            (.xContentTypeOptions, "nosniff"),
            (.referrerPolicy, "no-referrer"),
            (.openerPolicy, "same-origin"),
            (.resourcePolicy, "same-origin"),
        ]
        if issuer.hasPrefix("https://") {
            // One year and every subdomain; a browser ignores it on plain HTTP anyway.
            fields.append((.strictTransportSecurity, "max-age=31536000; includeSubDomains"))
        }
        self.fields = fields
    }

    /// Adds whatever `headers` does not say itself.
    package func add(to headers: inout HTTPFields) {
        for (name, value) in fields where !headers.contains(name) { headers[name] = value }
    }
}

// Header field names that swift-http-types does not have.
package import HTTPTypes

extension HTTPField.Name {
    /// A name known to be well-formed.
    package static func known(_ text: String) -> Self {
        guard let name = Self(text) else { preconditionFailure("\(text) is no field name") }
        return name
    }

    package static let requestID = known("X-Request-Id")
    package static let traceParent = known("traceparent")
    package static let forwardedFor = known("X-Forwarded-For")
    package static let proxyConnection = known("Proxy-Connection")
    package static let csrfToken = known("X-CSRF-Token")
    package static let secFetchSite = known("Sec-Fetch-Site")
    package static let idempotencyKey = known("Idempotency-Key")
    package static let idempotentReplayed = known("Idempotent-Replayed")
    package static let prefer = known("Prefer")
    package static let preferenceApplied = known("Preference-Applied")
    package static let rightsVersion = known("Watchword-Rights-Version")
    package static let referrerPolicy = known("Referrer-Policy")
    package static let openerPolicy = known("Cross-Origin-Opener-Policy")
    package static let resourcePolicy = known("Cross-Origin-Resource-Policy")
}

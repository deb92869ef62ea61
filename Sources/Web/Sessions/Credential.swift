// The access token of a request: a bearer token, or the access cookie. Both together: the bearer
// alone counts, without falling back (architecture.md section 11). Never the query (row 137).
import Access
package import HTTPTypes
import Primitives
package import Sessions

/// An access token as it came.
package struct Credential: Sendable {
    /// The compact token.
    package let token: [UInt8]
    /// How it came.
    package let source: Caller.Source

    /// Reads the credential of a request.
    ///
    /// - Throws: `CredentialFlaw.missing`, or `.malformed` for anything ambiguous: two headers,
    ///   two cookies of the name, another scheme, an empty token (S0-15).
    package init(
        _ headers: HTTPFields,
        _ cookies: SessionCookies
    ) throws(CredentialFlaw) {
        let lines = headers[values: .authorization]
        if let line = lines.first {
            let parts = line.split(separator: " ", maxSplits: 1)
            guard lines.count == 1, parts.count == 2, parts[0].lowercased() == "bearer",
                !parts[1].utf8.contains(UInt8(ascii: " "))
            else { throw .malformed }
            token = Array(parts[1].utf8)
            source = .bearer
            return
        }
        let values = Cookies(headers).values(cookies.accessName)
        guard let value = values.first else { throw .missing }
        // An API key is no cookie: there is no session whose CSRF value could go with it.
        guard values.count == 1, !value.isEmpty, !APIKey.isMeant(by: value.utf8) else {
            throw .malformed
        }
        token = Array(value.utf8)
        source = .cookie
    }
}

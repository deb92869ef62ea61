// The cookies of a browser's session: names, attributes, how they are set, read and cleared
// (architecture.md section 11). One place, so that what is cleared is what was set.
import HTTPTypes
import Primitives
package import Sessions

/// The cookies, in the form that fits the public URL.
package struct SessionCookies: Sendable {
    /// Over HTTPS the names carry their prefixes; over plain HTTP, which only development on
    /// localhost uses, browsers would refuse them.
    package let isSecure: Bool

    /// Cookies for a site with or without TLS in front.
    package init(isSecure: Bool) { self.isSecure = isSecure }

    private var host: SetCookie.Prefix { isSecure ? .host : .none }
    private var secure: SetCookie.Prefix { isSecure ? .secure : .none }
    private static let refreshPath = "/v1/auth"

    /// The name of the access cookie.
    package var accessName: String { host.rawValue + "ww_access" }
    /// The name of the refresh cookie.
    package var refreshName: String { secure.rawValue + "ww_refresh" }

    /// The header a script sends the readable cookie's value back in.
    package static let csrfHeader = "X-CSRF-Token"

    /// The three cookies of a pair.
    package func setting(_ pair: TokenPair) -> [SetCookie] {
        // The tokens leave here, for their owner.
        let access = String(decoding: pair.accessToken.exposed, as: UTF8.self)
        let refresh = String(decoding: pair.refreshToken.exposed, as: UTF8.self)
        return [
            SetCookie(
                host,
                "ww_access",
                value: access,
                sameSite: .lax,
                lifetime: pair.accessLifetime
            ),
            SetCookie(
                secure,
                "ww_refresh",
                value: refresh,
                path: Self.refreshPath,
                sameSite: .strict,
                lifetime: pair.refreshLifetime
            ),
            SetCookie(
                host,
                "ww_csrf",
                value: pair.csrfValue,
                sameSite: .lax,
                isReadable: true,
                lifetime: pair.refreshLifetime
            ),
        ]
    }

    /// The one that `/verify` reads, emptied; another may be had by a refresh.
    var clearingAccess: SetCookie { .clearing(host, "ww_access", sameSite: .lax) }

    /// The same cookies, emptied.
    package var clearing: [SetCookie] {
        [
            clearingAccess,
            .clearing(secure, "ww_refresh", path: Self.refreshPath, sameSite: .strict),
            .clearing(host, "ww_csrf", sameSite: .lax),
        ]
    }
}

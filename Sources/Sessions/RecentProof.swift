// How lately a caller must have proved who he is, for what destroys, hands over power or reaches
// every gateway (row 178, RFC 9470): a token that was stolen, or a browser left open, is not enough
// for that. What counts as a proof is decided here and by what sets `authenticated_at`, and nowhere
// else: signing in, and showing the password to replace it, with the second factor of whoever has
// one (decision 21); a refresh is none. API keys have nothing to show again, so they pass (decision
// 16).
package import Primitives
package import Tokens

/// How lately a caller must have proved who he is.
package struct RecentProof: Sendable {
    /// How long ago that may lie; nil where it does not matter.
    package let limit: Duration?

    /// What it takes to change what opens one's own account (row 108): not for the site to switch
    /// off.
    package static let ofOneself = RecentProof(within: .minutes(15))

    /// The rule; zero is off.
    package init(within limit: Duration) { self.limit = limit == .zero ? nil : limit }

    /// Whether the caller's proof is recent at `now`, the later of the node's clock and the
    /// database's.
    ///
    /// `auth_time` and `iat` are of the database's clock, in that order, and no token lives long
    /// after `iat`: a clock that is set back cannot make a proof younger than it was when the token
    /// was minted, and one that is later than its own token is none.
    package func isGiven(by claims: AccessClaims, at now: Timestamp) -> Bool {
        guard let limit, !claims.isKey else { return true }
        guard claims.authenticatedAt <= claims.issuedAt else { return false }
        return max(now, claims.issuedAt) - claims.authenticatedAt <= limit
    }
}

// Whether a token is one of ours: from memory, or by a check of its signature, which an address
// that sends forged ones may cause only so often (decision 18). What is remembered costs no budget,
// and neither does what is good; what is not good is never remembered (revocation.md 1.9).
internal import Access
internal import Primitives
package import Tokens

extension Verifier {
    /// What a token is, as far as this node can tell without a wait.
    package enum Recognition: Sendable {
        /// Signed by us for us.
        ///
        /// It may be over or revoked.
        case genuine(AccessClaims)
        case flawed(CredentialFlaw)
        /// What takes a wait: it was signed by a key that another node may have made a moment ago,
        /// it is an API key, or somebody acts in it, who must be looked at as well.
        case unknownKey
    }

    /// Recognises a token; a signature check the first time.
    ///
    /// - Parameter payer: as `judge` takes it; asked for only if the token is not remembered.
    package func recogniseHere(_ token: [UInt8], from payer: () -> [UInt8]?) -> Recognition {
        if APIKey.isMeant(by: token) { return recogniseHere(key: token, from: payer) }
        do throws(AccessTokenFlaw) {
            let claims = try recognise(token, payer)
            return claims.actor == nil ? .genuine(claims) : .unknownKey
        } catch .unknownKey {
            return .unknownKey
        } catch {
            return .flawed(error.flaw)
        }
    }

    /// The claims of a token that we signed for us.
    func recognise(
        _ token: [UInt8],
        _ payer: () -> [UInt8]?
    ) throws(AccessTokenFlaw) -> AccessClaims {
        if let known = cache.find(token) { return known }
        guard budget.isOn, let address = payer() else { return try check(token) }
        if let left = wait(ofUnpaid: address, .token) { throw .unchecked(retryAfter: left) }
        do throws(AccessTokenFlaw) {
            return try check(token)
        } catch {
            // What fails before its signature is looked at has cost next to nothing, and what fails
            // after it was signed by us.
            if error == .forged { budget.spend(address, at: .now) }
            throw error
        }
    }

    /// Why nobody looks at an API key from an address that has no budget left; nil where it has.
    func flaw(ofUnpaid address: [UInt8]) -> CredentialFlaw? {
        wait(ofUnpaid: address, .key).map { .unchecked(retryAfter: $0) }
    }

    private func wait(ofUnpaid address: [UInt8], _ kind: SignatureBudget.Kind) -> Duration? {
        guard let left = budget.wait(for: address, kind, at: .now) else { return nil }
        budget.refused.increment()
        return left
    }

    private func check(_ token: [UInt8]) throws(AccessTokenFlaw) -> AccessClaims {
        let claims = try checker.check(token, ring: keys.ring, horizon: Self.longestLife)
        cache.insert(token, claims)
        return claims
    }

    /// The limit of the setting: no honest token lives longer, whatever the horizon is.
    private static let longestLife: Duration = .days(1)
}

extension AccessTokenFlaw {
    /// What whoever shows such a token is told.
    var flaw: CredentialFlaw {
        switch self {
        case .malformed: .malformed
        case .invalid, .forged, .unknownKey: .invalid
        case .expired: .expired
        case .unchecked(let wait): .unchecked(retryAfter: wait)
        }
    }
}

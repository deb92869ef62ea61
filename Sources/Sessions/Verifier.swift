// The check that every guarded request goes through, here and at the gateways: is this token ours,
// not over, and not revoked? The answer covers every revocation acknowledged before the request
// arrived (W1), or there is none.
package import Primitives
package import Revocation
package import Tokens

/// Why a credential is refused; the cases are the codes of the wire contract (S3-5).
package enum CredentialFlaw: Refusal, Equatable {
    case missing
    case malformed
    case invalid
    case expired
    case revoked

    package var code: ProblemCode {
        switch self {
        case .missing: .tokenMissing
        case .malformed: .tokenMalformed
        case .invalid: .tokenInvalid
        case .expired: .tokenExpired
        case .revoked: .tokenRevoked
        }
    }
}

/// What a check found.
package enum Verdict: Sendable {
    /// Good now.
    case accepted(AccessClaims)
    /// Not good. The claims are there where the token itself is genuine: a logout with a revoked
    /// token still knows whose it was.
    case refused(CredentialFlaw, AccessClaims?)
}

/// Checks access tokens.
package struct Verifier: Sendable {
    let checker: AccessTokenChecker
    let keys: KeyKeeper
    let cache: TokenCache
    let readIndex: ReadIndex
    let clock: WallClock

    /// A verifier for the tokens that `checker` accepts.
    package init(
        checker: AccessTokenChecker,
        keys: KeyKeeper,
        cache: TokenCache,
        readIndex: ReadIndex,
        clock: WallClock
    ) {
        self.checker = checker
        self.keys = keys
        self.cache = cache
        self.readIndex = readIndex
        self.clock = clock
    }

    /// Judges `token`.
    ///
    /// A share of one statement; a signature check the first time.
    ///
    /// - Throws: a fault where the revocation log cannot be read. Then nothing is accepted (W10).
    package func judge(_ token: [UInt8]) async throws -> Verdict {
        let claims: AccessClaims
        do throws(AccessTokenFlaw) {
            claims = try recognise(token)
        } catch .unknownKey {
            try await keys.reloadForUnknownKey()
            do throws(AccessTokenFlaw) {
                claims = try recognise(token)
            } catch {
                return .refused(error.flaw, nil)
            }
        } catch {
            return .refused(error.flaw, nil)
        }
        if isOver(claims) { return .refused(.expired, claims) }
        try await readIndex.confirm()
        // The wait may have outlived the token.
        if isOver(claims) { return .refused(.expired, claims) }
        // A token that lives longer than any may might outlive the revocations that cover it. The
        // horizon is as fresh as the read: another node may have raised it a moment ago.
        guard
            claims.expiresAt - Timestamp(seconds: claims.issuedAt.seconds)
                <= readIndex.known.horizon
        else { return .refused(.invalid, claims) }
        return readIndex.look { Self.isRevoked(claims, $0) }
            ? .refused(.revoked, claims) : .accepted(claims)
    }

    private func recognise(_ token: [UInt8]) throws(AccessTokenFlaw) -> AccessClaims {
        if let known = cache.find(token) { return known }
        let claims = try checker.check(token, ring: keys.ring, horizon: Self.longestLife)
        cache.insert(token, claims)
        return claims
    }

    /// The limit of the setting: no honest token lives longer, whatever the horizon is.
    private static let longestLife: Duration = .days(1)

    /// Expiry is judged by the later of the node's clock and the database's, which is the one that
    /// revocations are pruned by (revocation.md H13).
    private func isOver(_ claims: AccessClaims) -> Bool {
        max(clock.now(), readIndex.known.databaseTime) >= claims.expiresAt
    }

    /// Whether any of the revocations that can cover a token does; the scopes are combined by
    /// "any", never by "the first that is set" (revocation.md 1.8).
    private static func isRevoked(_ claims: AccessClaims, _ set: borrowing RevocationSet) -> Bool {
        if set.count == 0 { return false }
        if set.contains(RevocationSubject(.token, claims.tokenID)) { return true }
        if set.contains(RevocationSubject(.session, claims.sessionID)) { return true }
        if set.contains(RevocationSubject(.signingKey, claims.keyID)) { return true }
        let signature = RevocationSubject(.signature, claims.accountID)
        if let lowest = set.lowestVersion(of: signature), claims.signatureGeneration < lowest {
            return true
        }
        if let notBefore = set.lowestVersion(of: RevocationSubject(only: .global)) {
            return claims.issuedAt.microseconds / 1000 < notBefore
        }
        return false
    }
}

extension AccessTokenFlaw {
    fileprivate var flaw: CredentialFlaw {
        switch self {
        case .malformed: .malformed
        case .invalid, .unknownKey: .invalid
        case .expired: .expired
        }
    }
}

extension Verifier {
    /// How long ago the latest read of the revocation log was begun, for `Watchword-Age`.
    package var ageInMilliseconds: Int64 {
        guard let readAt = readIndex.known.readAt else { return 0 }
        return max(0, (MonotonicInstant.now - readAt).wholeMicroseconds / 1000)
    }
}

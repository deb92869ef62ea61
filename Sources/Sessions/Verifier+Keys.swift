// API keys at the check that every guarded request goes through. The claims that a key stands for
// are held against the revocation log like those of a token; where that refuses them they are read
// anew, once, because a key outlives its claims: its account may have been enabled again.
import Access
package import Primitives
import Revocation
package import Tokens

extension Verifier {
    /// Judges an API key.
    ///
    /// - Throws: a fault where the log or the key cannot be read. Then nothing is accepted (W10).
    func judge(
        key text: [UInt8],
        staleness: Duration?,
        after confirmation: Confirmation?
    ) async throws -> Verdict {
        guard let key = APIKey(text) else { return .refused(.malformed, nil) }
        var claims = apiKeys.known(key).flatMap { isOver($0) ? nil : $0 }
        var isRead = claims == nil
        if claims == nil {
            switch try await apiKeys.resolve(key) {
            case .success(let found): claims = found
            case .failure(let flaw): return .refused(flaw, nil)
            }
        }
        // Before the confirmation: what was in force by now must be seen by it.
        let sample =
            if let confirmation { confirmation.sample } else { sampler.draw(staleness: staleness) }
        if confirmation == nil, !isFresh(within: staleness) { try await confirm() }
        while let shown = claims {
            let standing = standing
            switch readIndex.look({ find(shown, standing, $0) }) {
            case .good(let version):
                if let sample { accepted(sample, shown, rightsVersion: version) }
                noteUse(of: shown, at: standing.wallTime)
                return .accepted(shown.asOf(version, at: standing.now))
            case .open: return .refused(.revoked, nil)
            case .flawed(let flaw):
                if isRead { return .refused(flaw, nil) }
            }
            isRead = true
            switch try await apiKeys.resolve(key) {
            case .success(let found): claims = found
            case .failure(let flaw): return .refused(flaw, nil)
            }
        }
        return .refused(.invalid, nil)
    }

    /// Reads a key anew whose claims the log refuses, for a caller that waits in its own way.
    package func reread(_ text: [UInt8]) async throws -> KeyAnswer {
        guard let key = APIKey(text) else { return .failure(.malformed) }
        return try await apiKeys.resolve(key)
    }

    /// What a key is, as far as this node can tell without a wait.
    func recogniseHere(key text: [UInt8]) -> Recognition {
        guard let key = APIKey(text) else { return .flawed(.malformed) }
        guard let claims = apiKeys.known(key), !isOver(claims) else { return .unknownKey }
        return .genuine(claims)
    }

    /// Notes that a key was accepted; nothing for a token.
    package func noteUse(of claims: AccessClaims, at now: Timestamp) {
        guard claims.isKey else { return }
        keyUses.note(APIKeyID(high: claims.tokenID.high, low: claims.tokenID.low), at: now)
    }
}

// API keys at the check that every guarded request goes through. The claims that a key stands for
// are held against the revocation log like those of a token; where that refuses them they are read
// anew, once, because a key outlives its claims: its account may have been enabled again. A key
// that this node has not met costs a statement, and so whoever shows keys that open nothing pays
// for them as forgers of tokens do (decision 18).
import Access
package import Primitives
import Revocation
package import Tokens

extension Verifier {
    /// Judges an API key.
    ///
    /// - Parameter payer: as `judge` takes it.
    /// - Throws: a fault where the log or the key cannot be read. Then nothing is accepted (W10).
    func judge(
        key text: [UInt8],
        from payer: [UInt8]?,
        staleness: Duration?,
        after confirmation: Confirmation?
    ) async throws -> Verdict {
        guard let key = APIKey(text) else { return .refused(.malformed, nil) }
        var claims = apiKeys.known(key).flatMap { isOver($0) ? nil : $0 }
        var isRead = claims == nil
        if claims == nil {
            switch try await resolve(key, from: payer) {
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

    /// Asks PostgreSQL for a key, as far as its address has a budget.
    ///
    /// One that this node has met opened something: it is read as ever, and forgotten where it
    /// opens nothing any more. So a key in use is refused for nobody's failures.
    private func resolve(_ key: APIKey, from payer: [UInt8]?) async throws -> KeyAnswer {
        guard let payer, apiKeys.known(key) == nil else { return try await apiKeys.resolve(key) }
        if let unpaid = flaw(ofUnpaid: payer) { return .failure(unpaid) }
        let answer = try await apiKeys.resolve(key)
        if answer.flaw != nil { budget.spend(payer, .key, at: .now) }
        return answer
    }

    /// Reads a key anew whose claims the log refuses, for a caller that waits in its own way.
    package func reread(_ text: [UInt8]) async throws -> KeyAnswer {
        guard let key = APIKey(text) else { return .failure(.malformed) }
        return try await apiKeys.resolve(key)
    }

    /// What a key is, as far as this node can tell without a wait.
    func recogniseHere(key text: [UInt8], from payer: () -> [UInt8]?) -> Recognition {
        guard let key = APIKey(text) else { return .flawed(.malformed) }
        if let claims = apiKeys.known(key) {
            return isOver(claims) ? .unknownKey : .genuine(claims)
        }
        guard budget.isOn, let address = payer(), let unpaid = flaw(ofUnpaid: address) else {
            return .unknownKey
        }
        return .flawed(unpaid)
    }

    /// Notes that a key was accepted; nothing for a token.
    package func noteUse(of claims: AccessClaims, at now: Timestamp) {
        guard claims.isKey else { return }
        keyUses.note(APIKeyID(high: claims.tokenID.high, low: claims.tokenID.low), at: now)
    }
}

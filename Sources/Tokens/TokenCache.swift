// Remembers tokens whose signature was checked, so that it is checked once. An entry is never a
// verdict: expiry and revocation are looked at each time (revocation.md 1.9). Entries are found by
// a hash keyed per process and compared whole in constant time, and only valid tokens get in.
package import Primitives
import Synchronization

/// A bounded memory of checked tokens, in two generations: when the young one is full it becomes
/// the old one, and what is asked for again moves back.
package final class TokenCache: Sendable {
    private struct Entry {
        let token: [UInt8]
        let claims: AccessClaims
    }
    private struct State {
        var young: [Int: Entry] = [:]
        var old: [Int: Entry] = [:]
    }
    private let state = Mutex(State())
    private let generationLimit: Int
    private let hits: Counter
    private let misses: Counter

    /// A cache of at most `limit` tokens, about 1.5 KiB each.
    package init(limit: Int, metrics: MetricsRegistry) {
        generationLimit = max(1, limit / 2)
        hits = metrics.counter(
            "watchword_token_cache_hits_total",
            help: "Tokens whose signature had been checked before."
        )
        misses = metrics.counter(
            "watchword_token_cache_misses_total",
            help: "Tokens whose signature had to be checked."
        )
    }

    /// How many are remembered.
    package var count: Int { state.withLock { $0.young.count + $0.old.count } }

    /// The claims of `token`, if it was seen before.
    package func find(_ token: [UInt8]) -> AccessClaims? {
        let key = Self.hash(token)
        let found = state.withLock { state -> AccessClaims? in
            if let entry = state.young[key] {
                return constantTimeEqual(entry.token, token) ? entry.claims : nil
            }
            guard let entry = state.old[key], constantTimeEqual(entry.token, token) else {
                return nil
            }
            insert(entry, key, &state)
            return entry.claims
        }
        if found == nil { misses.increment() } else { hits.increment() }
        return found
    }

    /// Remembers a token that has just passed every check.
    package func insert(_ token: [UInt8], _ claims: AccessClaims) {
        let entry = Entry(token: token, claims: claims)
        state.withLock { insert(entry, Self.hash(token), &$0) }
    }

    private func insert(_ entry: Entry, _ key: Int, _ state: inout State) {
        if state.young.count >= generationLimit {
            state.old = state.young
            state.young = [:]
        }
        state.young[key] = entry
    }

    /// Swift's hasher is SipHash with a key drawn at start.
    private static func hash(_ token: [UInt8]) -> Int {
        var hasher = Hasher()
        token.withUnsafeBytes { hasher.combine(bytes: $0) }
        return hasher.finalize()
    }
}

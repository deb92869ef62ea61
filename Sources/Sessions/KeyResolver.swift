// API keys as credentials: PostgreSQL is asked once for a key, and its claims are remembered by the
// key's digest until they end. An entry is never a verdict: it is held against the revocation log
// at every request, as a token is, and read anew where that refuses it (revocation.md 1.9). What is
// unknown is not remembered; those who show the same key at the same time share a statement.
package import Access
package import Postgres
package import Primitives
package import Revocation
import Synchronization
package import Tokens

/// What a key turned out to be.
package typealias KeyAnswer = Result<AccessClaims, CredentialFlaw>

extension KeyAnswer {
    /// Why it is refused; nil where it is not.
    package var flaw: CredentialFlaw? { if case .failure(let flaw) = self { flaw } else { nil } }
}

/// Makes claims of API keys.
package final class KeyResolver: Sendable {
    /// The `client_id` of all keys; gateways see it as `X-Auth-Client`.
    package static let clientID = "api-key"
    /// The most keys remembered: twice this, in two generations.
    private static let generationLimit = 10_000
    /// The most requests that wait for others' reads.
    private static let waiterLimit = 4096

    private typealias Waiter = CheckedContinuation<KeyAnswer?, any Error>
    private struct State {
        var young: [[UInt8]: AccessClaims] = [:]
        var old: [[UInt8]: AccessClaims] = [:]
        var waiting: [[UInt8]: [Waiter]] = [:]
        var waiters = 0
    }
    private let database: any PostgresExecutor
    private let readIndex: ReadIndex
    private let horizon: TokenHorizon
    private let audience: String
    private let state = Mutex(State())
    private let statements: Counter

    /// A resolver that knows no key yet.
    package init(
        database: any PostgresExecutor,
        readIndex: ReadIndex,
        horizon: TokenHorizon,
        audience: String,
        metrics: MetricsRegistry
    ) {
        self.database = database
        self.readIndex = readIndex
        self.horizon = horizon
        self.audience = audience
        statements = metrics.counter(
            "watchword_api_key_resolutions_total",
            help: "Statements that made claims of API keys."
        )
    }

    /// The claims of a key that was asked for before; they may be over or revoked.
    package func known(_ key: APIKey) -> AccessClaims? {
        state.withLock { $0.young[key.digest] ?? $0.old[key.digest] }
    }

    /// Asks PostgreSQL for a key.
    ///
    /// - Throws: a fault; then the key is neither good nor bad (W10).
    package func resolve(_ key: APIKey) async throws -> KeyAnswer {
        // A refusal that another's question brought may be older than this one: ask once more.
        if let shared = try await join(key.digest) {
            if case .success = shared { return shared }
            if let second = try await join(key.digest) { return second }
        }
        do {
            let answer = try await read(key)
            for waiter in end(key.digest) { waiter.resume(returning: answer) }
            return answer
        } catch {
            for waiter in end(key.digest) { waiter.resume(throwing: SharedReadFault.unread) }
            throw error
        }
    }

    /// What another's question brings; nil where there is none, and then the caller has to ask.
    private func join(_ digest: [UInt8]) async throws -> KeyAnswer? {
        try await withCheckedThrowingContinuation { (waiter: Waiter) in
            let verdict: Result<KeyAnswer?, any Error>? = state.withLock { state in
                guard state.waiting[digest] != nil else {
                    state.waiting[digest] = []
                    return .success(nil)
                }
                guard state.waiters < Self.waiterLimit else {
                    return .failure(SharedReadFault.overloaded)
                }
                state.waiters += 1
                state.waiting[digest]?.append(waiter)
                return nil
            }
            if let verdict { waiter.resume(with: verdict) }
        }
    }

    private func end(_ digest: [UInt8]) -> [Waiter] {
        state.withLock { state in
            let waiting = state.waiting.removeValue(forKey: digest) ?? []
            state.waiters -= waiting.count
            return waiting
        }
    }

    private func read(_ key: APIKey) async throws -> KeyAnswer {
        let lifetime = Int32(horizon.lifetime.wholeSeconds)
        for _ in 0..<2 {
            statements.increment()
            guard let row = try await database.first(KeyClaimsStore.mint(key.id, lifetime)),
                constantTimeEqual(row.digest, key.digest)
            else {
                forget(key)
                return .failure(.invalid)
            }
            guard let asserted = row.horizonAssertedAt,
                row.mintedAt - asserted < TokenHorizon.slack
            else {
                // A revocation may have been stamped for a shorter life; what was made is thrown
                // away.
                try await horizon.assert()
                continue
            }
            guard let claims = claims(key, row) else {
                forget(key)
                return .failure(.expired)
            }
            // They carry rights, and none may be newer than what the node has read of the log.
            try await readIndex.confirm()
            remember(key, claims)
            return .success(claims)
        }
        throw MintFault.horizonStale
    }

    private func claims(_ key: APIKey, _ row: KeyRow) -> AccessClaims? {
        let begin = Timestamp(seconds: row.mintedAt.seconds)
        var end = begin + horizon.lifetime
        if let last = row.expiresAt { end = min(end, Timestamp(seconds: last.seconds)) }
        guard row.mintedAt < end else { return nil }
        var claims = AccessClaims(
            tokenID: TokenID(high: key.id.high, low: key.id.low),
            accountID: row.account,
            sessionID: SessionID(high: key.id.high, low: key.id.low),
            clientID: Self.clientID,
            audience: audience,
            signatureGeneration: row.signatureGeneration,
            rightsVersion: row.rightsVersion,
            roles: row.roles.count <= AccessTokenWriter.roleLimit ? row.roles : nil,
            // What it is narrowed to is no scope yet: its account must hold it too.
            scope: "",
            authenticatedAt: row.mintedAt,
            issuedAt: row.mintedAt,
            expiresAt: end,
            // No key of the ring has signed it, and none that is taken away ends it.
            keyID: KeyID(high: 0, low: 0),
            rightsExpireAt: row.rightsExpireAt.map { Timestamp(seconds: $0.seconds) }
        )
        claims.narrowedTo = row.permissions
        claims.isKey = true
        return claims
    }

    private func remember(_ key: APIKey, _ claims: AccessClaims) {
        state.withLock { state in
            if state.young.count >= Self.generationLimit {
                state.old = state.young
                state.young = [:]
            }
            state.young[key.digest] = claims
        }
    }

    private func forget(_ key: APIKey) {
        state.withLock { state in
            state.young[key.digest] = nil
            state.old[key.digest] = nil
        }
    }
}

// What a check waits for before it looks: the revocation log, and of roles and rules of gateways
// what it tells of (W1, W11); in bounded mode nothing, while the last read is fresh.
package import Access
import Primitives
import Revocation

extension Verifier {
    /// Returns when every revocation acknowledged before this call can be seen (W1), and the roles
    /// are at least as new as what the log has told of them (H27).
    package func confirm() async throws {
        try await readIndex.confirm()
        // Catching up reads the log too, which may tell of more; whoever judges looks (W11).
        for _ in 0..<Self.turns {
            let changes = readIndex.freshness.roleChanges
            guard roles.heldChanges < changes else { return }
            try await roles.catchUp(to: changes) { held in
                readIndex.look { $0.rolesChanged(after: held) }
            }
        }
    }

    /// A read of the log that a request has waited for before its token was looked at.
    package struct Confirmation: Sendable {
        /// Drawn before the read.
        let sample: SampleStart?
    }

    /// The same for a request that route rules judge: they are as new as the log tells.
    package func confirm(_ routes: RouteKeeper) async throws {
        try await confirm()
        let news = readIndex.routeNews
        try await routes.catchUp(to: news.count, version: news.version)
    }

    /// Waits for that, unless what is in memory is fresh enough.
    package func confirmation(
        _ routes: RouteKeeper,
        staleness: Duration?
    ) async throws -> Confirmation {
        // Before the read, as in `judge`.
        let sample = sampler.draw(staleness: staleness)
        if !isFresh(within: staleness, routes) { try await confirm(routes) }
        return Confirmation(sample: sample)
    }

    /// Whether the last read is fresh, and the rules hold what it has brought.
    package func isFresh(within limit: Duration?, _ routes: RouteKeeper) -> Bool {
        isFresh(within: limit) && routes.holds(readIndex.routeChanges)
    }

    /// Whether the last successful read of the log was *begun* less than `limit` ago; never for nil
    /// (revocation.md 1.7, bounded mode).
    package func isFresh(within limit: Duration?) -> Bool {
        guard let limit else { return false }
        let known = readIndex.freshness
        guard let readAt = known.readAt, !known.isBlind, known.roleChanges <= roles.heldChanges
        else { return false }
        #if DEBUG
        if Mutant.active == .doubleBound { return MonotonicInstant.now - readAt < limit * 2 }
        #endif
        return MonotonicInstant.now - readAt < limit
    }
}

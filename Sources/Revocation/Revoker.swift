// The one door through which revocations go: runs a revoking statement and returns when it may be
// acknowledged on every node (W1). The shell around `RevokerCore`; it works in the caller's task,
// so a caller that goes away leaves a revocation that is committed and not acknowledged, which
// every node learns by its next renewal at the latest.
package import Logging
package import Postgres
package import Primitives
import Synchronization

/// Runs revoking statements.
package final class Revoker: Sendable {
    private struct State {
        var core = RevokerCore()
        var nextTicket: RevokerCore.Ticket = 0
    }
    let database: PostgresPool
    private let members: AuthorityMembers
    private let mirror: RevocationMirror?
    private let logger: Logger
    private let state = Mutex(State())
    private let acknowledgeTime: Histogram
    private let closings: Counter

    /// A revoker over `database`, which must be the primary.
    ///
    /// - Parameter mirror: what is told of each revocation after it is in force.
    package init(
        database: PostgresPool,
        members: AuthorityMembers,
        mirror: RevocationMirror? = nil,
        logger: Logger,
        metrics: MetricsRegistry
    ) {
        self.database = database
        self.members = members
        self.mirror = mirror
        self.logger = logger
        acknowledgeTime = metrics.histogram(
            "watchword_revocation_acknowledge_seconds",
            help: "From the commit of a revocation until it was in force on every node."
        )
        closings = metrics.counter(
            "watchword_authority_closings_total",
            help: "Epochs this node has closed, or tried to."
        )
    }

    /// Runs the statement; returns its answer when what it has revoked is revoked on every node.
    ///
    /// A statement and a read of one row; with Redis as the authority a publication as well. Up to
    /// a lease and its margin where a member was lost and cannot be fenced.
    ///
    /// - Throws: the fault of the database, or `CancellationError`: then the revocation may be
    ///   committed, and must not be acknowledged.
    package func first<Row>(
        _ query: RevokingQuery<Row>,
        deadline: Deadline? = nil
    ) async throws -> Row? {
        #if DEBUG
        if Mutant.active == .earlyAuthority { return try await firstTooEarly(query, deadline) }
        #endif
        guard let revoked = try await database.first(query.query, deadline: deadline) else {
            return nil
        }
        if !revoked.entries.isEmpty { try await acknowledge(revoked.entries) }
        return revoked.row
    }

    #if DEBUG
    /// The authority is read first and the statement run afterwards: a mutant.
    private func firstTooEarly<Row>(
        _ query: RevokingQuery<Row>,
        _ deadline: Deadline?
    ) async throws -> Row? {
        let early = try await authority()
        guard let revoked = try await database.first(query.query, deadline: deadline) else {
            return nil
        }
        if !revoked.entries.isEmpty {
            try await run(knowing: early) { .committed($0, revoked.entries) }
        }
        return revoked.row
    }
    #endif

    /// Returns when no epoch is draining.
    package func settle() async throws { try await run { .committed($0, []) } }

    /// Closes an authority and returns when PostgreSQL has taken its place.
    ///
    /// Harmless where it is another one by now.
    package func close(_ authority: Authority, because reason: String) async throws {
        logger.warning(
            "the authority is closed",
            metadata: ["epoch": "\(authority.epoch)", "reason": "\(reason)"]
        )
        let observed = try await self.authority()
        guard observed.authority == authority else { return try await settle() }
        try await run { .distrusted($0, authority, in: observed.history) }
    }

    /// The row as it is now.
    package func authority() async throws -> ObservedAuthority {
        guard let observed = try await database.first(AuthorityStore.get()) else {
            throw ReadIndexFault.unconfirmed
        }
        return observed
    }

    /// Returns when these, which are committed, may be acknowledged.
    func acknowledge(_ entries: [RevocationEntry]) async throws {
        let begun = MonotonicInstant.now
        try await run { .committed($0, entries) }
        acknowledgeTime.record(.now - begun)
        mirror?.note(entries)
        RevokedVersions.current?.note(entries)
    }

    private func step(_ event: RevokerCore.Event) -> [RevokerCore.Effect] {
        state.withLock { $0.core.step(event) }
    }

    /// Runs a ticket to its end; the first look at the row is `known` where that is given.
    private func run(
        knowing known: ObservedAuthority? = nil,
        _ begin: (RevokerCore.Ticket) -> RevokerCore.Event
    ) async throws {
        let ticket = state.withLock { state in
            state.nextTicket += 1
            return state.nextTicket
        }
        do {
            var effects = step(begin(ticket))
            if case .readAuthority = effects.first {
                effects = step(try await observe(ticket, known))
            }
            // With PostgreSQL as the authority that was all.
            if case .acknowledge = effects.first { return }
            try await carryOut(effects)
        } catch {
            _ = step(.failed(ticket))
            throw error
        }
    }

    private func observe(
        _ ticket: RevokerCore.Ticket,
        _ known: ObservedAuthority? = nil
    ) async throws -> RevokerCore.Event {
        let observed = if let known { known } else { try await authority() }
        return .observed(ticket, observed.authority, observed.history, at: .now)
    }

    /// Carries out effects, side by side, and what follows from them, until the ticket is done.
    ///
    /// What is still under way then (a third member that does not answer) is given up.
    private func carryOut(_ first: [RevokerCore.Effect]) async throws {
        try await withThrowingTaskGroup(of: RevokerCore.Event?.self) { group in
            var effects = first
            while true {
                for effect in effects {
                    if case .acknowledge = effect { return group.cancelAll() }
                    if case .refuse = effect { throw ReadIndexFault.unconfirmed }
                    if case .markDrained(let epoch) = effect {
                        await markDrained(epoch)
                        continue
                    }
                    group.addTask { try await self.perform(effect) }
                }
                guard let event = try await group.next() else { throw CancellationError() }
                effects = event.map(step) ?? []
            }
        }
    }

    private func perform(_ effect: RevokerCore.Effect) async throws -> RevokerCore.Event? {
        switch effect {
        case .readAuthority(let ticket): return try await observe(ticket)
        case .publish(let ticket, let member, let entries):
            let isTaken = await members.publish(member, entries)
            try Task.checkCancellation()
            return .published(ticket, member.token, isTaken)
        case .fence(let ticket, let member):
            let isFenced = await members.fence(member)
            try Task.checkCancellation()
            return .fenced(ticket, member.token, isFenced)
        case .close(let ticket, let epoch):
            closings.increment()
            logger.warning("the authority is closed", metadata: ["epoch": "\(epoch)"])
            _ = try await database.execute(AuthorityStore.close(epoch))
            return .closed(ticket)
        case .wake(let ticket, let instant):
            let wait = instant - .now
            if wait > .zero { try await Task.sleep(for: wait) }
            return .woken(ticket, at: .now)
        case .markDrained, .acknowledge, .refuse: return nil
        }
    }

    /// Saves the others the wait; where it fails they wait, and nothing is wrong.
    private func markDrained(_ epoch: Int64) async {
        do {
            _ = try await database.execute(AuthorityStore.markDrained(epoch))
        } catch {
            logger.info("an epoch is drained and not marked so", metadata: ["error": "\(error)"])
        }
    }
}

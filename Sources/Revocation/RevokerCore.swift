// When a revocation may be acknowledged, as a pure state machine (revocation.md 1.3, 1.5): after
// its commit the authority is read, and then the revocation is on a majority of the members, or the
// authority is PostgreSQL, or no node can hold a lease any more that would hide it. No clock, no
// I/O, no randomness. One machine per node serves all its tickets; a ticket is one revocation, or
// the wish to close an epoch, or the wish to see a draining one drained.
package import Primitives

/// The state machine of acknowledging.
package struct RevokerCore: Sendable {
    /// Names a revocation under way.
    package typealias Ticket = UInt64

    /// What happens to the machine.
    package enum Event: Sendable {
        /// These revocations are committed; with none, the ticket waits until nothing drains.
        case committed(Ticket, [RevocationEntry])
        /// The authority is to be closed; it was read in this history of the database, or earlier
        /// than anything else where that is not known.
        case distrusted(Ticket, Authority, in: DatabaseTimeline? = nil)
        /// The row was read, with a statement sent after `readAuthority`; `at` is when its answer
        /// arrived.
        case observed(Ticket, Authority, DatabaseTimeline, at: MonotonicInstant)
        /// A member took the entries, or did not, or nobody knows.
        case published(Ticket, MemberToken, Bool)
        /// A member has provably lost its token, or that could not be brought about.
        case fenced(Ticket, MemberToken, Bool)
        /// The statement that closes the epoch has answered, whether or not it was the first.
        case closed(Ticket)
        /// The time that `wake` asked for has come.
        case woken(Ticket, at: MonotonicInstant)
        /// PostgreSQL did not answer, or the caller went away.
        case failed(Ticket)
    }

    /// What the shell must do, in this order.
    package enum Effect: Sendable {
        /// Read the row, on the primary.
        case readAuthority(Ticket)
        /// Publish to this member.
        case publish(Ticket, AuthorityMember, [RevocationEntry])
        /// Take its token from this member.
        case fence(Ticket, AuthorityMember)
        /// Close the epoch of the row.
        case close(Ticket, epoch: Int64)
        /// Say `woken` at this instant.
        case wake(Ticket, at: MonotonicInstant)
        /// No lease of an earlier epoch is left: let the row say so. Nobody waits for it.
        case markDrained(epoch: Int64)
        /// The ticket is done.
        case acknowledge(Ticket)
        /// The ticket cannot be acknowledged.
        case refuse(Ticket)
    }

    private enum Phase: Sendable {
        case reading
        case publishing(Authority, taken: Int, missed: Int)
        case closing(Authority, isClosed: Bool, awaited: Set<MemberToken>, fenced: Int)
        case draining(epoch: Int64, until: MonotonicInstant)
    }

    /// How often a ticket that waits looks whether the row has moved on.
    package static let lookAgain: Duration = .milliseconds(100)
    /// How many fenced epochs are remembered.
    private static let memory: Int64 = 16

    private var tickets: [Ticket: (entries: [RevocationEntry], phase: Phase)] = [:]
    /// The draining epoch and when this node first saw it itself.
    ///
    /// Never the closer's word: a commit can wait for its standby long after its time was taken
    /// (revocation.md 1.5).
    private var draining: (epoch: Int64, since: MonotonicInstant)?
    /// Epochs of which no majority of members can be heard any more.
    private var fencedEpochs: Set<Int64> = []
    private var history: DatabaseTimeline?

    /// A machine without tickets.
    package init() {}

    /// How many tickets are under way.
    package var count: Int { tickets.count }

    /// Takes one step.
    package mutating func step(_ event: Event) -> [Effect] {
        switch event {
        case .committed(let ticket, let entries):
            tickets[ticket] = (entries, .reading)
            return [.readAuthority(ticket)]
        case .distrusted(let ticket, let authority, let history):
            tickets[ticket] = ([], .reading)
            // Before the fences, or those that follow would be taken for another history's.
            if let history { enter(history) }
            return beginClosing(ticket, authority)
        case .observed(let ticket, let authority, let history, let now):
            note(authority, history, at: now)
            return observe(ticket, authority, at: now)
        case .published(let ticket, let member, let isTaken):
            return publish(ticket, member, isTaken)
        case .fenced(let ticket, let member, let isFenced):
            return fence(ticket, member, isFenced)
        case .closed(let ticket): return close(ticket)
        case .woken(let ticket, let now): return wake(ticket, at: now)
        case .failed(let ticket):
            return tickets.removeValue(forKey: ticket) == nil ? [] : [.refuse(ticket)]
        }
    }

    private mutating func observe(
        _ ticket: Ticket,
        _ authority: Authority,
        at now: MonotonicInstant
    ) -> [Effect] {
        guard let entries = tickets[ticket]?.entries else { return [] }
        switch authority.state {
        case .pg: return acknowledge(ticket)
        case .redis where entries.isEmpty: return acknowledge(ticket)
        case .redis:
            let adopted = authority.members.filter { $0.identity != nil }
            let missed = authority.members.count - adopted.count
            guard adopted.count >= authority.majority else {
                return beginClosing(ticket, authority)
            }
            tickets[ticket]?.phase = .publishing(authority, taken: 0, missed: missed)
            return adopted.map { .publish(ticket, $0, entries) }
        case .draining:
            #if DEBUG
            if Mutant.active == .noLeaseWait, !entries.isEmpty { return acknowledge(ticket) }
            if Mutant.active == .adoptDraining, entries.isEmpty { return acknowledge(ticket) }
            #endif
            guard !fencedEpochs.contains(authority.epoch - 1) else {
                return [.markDrained(epoch: authority.epoch)] + acknowledge(ticket)
            }
            let since = draining?.since ?? now
            let until = since + LeaseRule.drainTime(authority.lease)
            guard now < until else {
                return [.markDrained(epoch: authority.epoch)] + acknowledge(ticket)
            }
            tickets[ticket]?.phase = .draining(epoch: authority.epoch, until: until)
            return [.wake(ticket, at: min(until, now + Self.lookAgain))]
        }
    }

    /// Remembers since when this node itself has seen an epoch drain.
    ///
    /// In another history the same number may name another epoch (F4, H34).
    private mutating func note(
        _ authority: Authority,
        _ history: DatabaseTimeline,
        at now: MonotonicInstant
    ) {
        enter(history)
        fencedEpochs = fencedEpochs.filter { $0 > authority.epoch - Self.memory }
        guard authority.state == .draining else {
            if let draining, draining.epoch <= authority.epoch { self.draining = nil }
            return
        }
        if draining?.epoch != authority.epoch { draining = (authority.epoch, now) }
    }

    private mutating func enter(_ history: DatabaseTimeline) {
        guard self.history != history else { return }
        (draining, fencedEpochs) = (nil, [])
        self.history = history
    }

    /// A publication nobody knows the outcome of counts as missed.
    private mutating func publish(
        _ ticket: Ticket,
        _ member: MemberToken,
        _ isTaken: Bool
    ) -> [Effect] {
        guard case .publishing(let authority, let taken, let missed) = tickets[ticket]?.phase,
            authority.members.contains(where: { $0.token == member })
        else { return [] }
        let now = (taken: taken + (isTaken ? 1 : 0), missed: missed + (isTaken ? 0 : 1))
        #if DEBUG
        if Mutant.active == .writeQuorumOne, now.taken == 1 { return acknowledge(ticket) }
        #endif
        if now.taken >= authority.majority { return acknowledge(ticket) }
        if now.missed > authority.members.count - authority.majority {
            return beginClosing(ticket, authority)
        }
        tickets[ticket]?.phase = .publishing(authority, taken: now.taken, missed: now.missed)
        return []
    }

    private mutating func beginClosing(_ ticket: Ticket, _ authority: Authority) -> [Effect] {
        tickets[ticket]?.phase = .closing(
            authority,
            isClosed: false,
            awaited: Set(authority.members.map(\.token)),
            fenced: 0
        )
        return [.close(ticket, epoch: authority.epoch)]
            + authority.members.map { .fence(ticket, $0) }
    }

    private mutating func close(_ ticket: Ticket) -> [Effect] {
        guard case .closing(let authority, _, let awaited, let fenced) = tickets[ticket]?.phase
        else { return [] }
        tickets[ticket]?.phase = .closing(
            authority,
            isClosed: true,
            awaited: awaited,
            fenced: fenced
        )
        return finishClosing(ticket)
    }

    private mutating func fence(
        _ ticket: Ticket,
        _ member: MemberToken,
        _ isFenced: Bool
    ) -> [Effect] {
        guard
            case .closing(let authority, let isClosed, var awaited, let fenced) =
                tickets[ticket]?.phase,
            awaited.remove(member) != nil
        else { return [] }
        let count = fenced + (isFenced ? 1 : 0)
        #if DEBUG
        if Mutant.active == .fenceOne, count == 1 { fencedEpochs.insert(authority.epoch) }
        #endif
        if count >= authority.fencingMajority { fencedEpochs.insert(authority.epoch) }
        tickets[ticket]?.phase = .closing(
            authority,
            isClosed: isClosed,
            awaited: awaited,
            fenced: count
        )
        return finishClosing(ticket)
    }

    /// Looks at the row again once it is closed and no fence can help any more.
    private mutating func finishClosing(_ ticket: Ticket) -> [Effect] {
        guard
            case .closing(let authority, true, let awaited, let fenced) = tickets[ticket]?.phase,
            awaited.isEmpty || fenced >= authority.fencingMajority
        else { return [] }
        tickets[ticket]?.phase = .reading
        return [.readAuthority(ticket)]
    }

    private mutating func wake(_ ticket: Ticket, at now: MonotonicInstant) -> [Effect] {
        guard case .draining(let epoch, let until) = tickets[ticket]?.phase else { return [] }
        if now >= until { return [.markDrained(epoch: epoch)] + acknowledge(ticket) }
        // The row may have moved on: somebody else has fenced, or has waited longer.
        tickets[ticket]?.phase = .reading
        return [.readAuthority(ticket)]
    }

    private mutating func acknowledge(_ ticket: Ticket) -> [Effect] {
        tickets[ticket] = nil
        return [.acknowledge(ticket)]
    }
}

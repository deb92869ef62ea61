// The bookkeeping of one connection: which commands wait to be sent, which are on the wire, and
// whose turn the next reply is. A plain value without I/O or clock, so that every order of events
// can be tested. It guarantees that a reply reaches the waiter of its own command or nobody: a
// command whose waiter has left keeps its place as a tombstone.
internal import DequeModule
internal import Primitives

/// First-in-first-out matching of replies to waiters.
struct Pipeline<Waiter> {
    /// The bounds, each with a name for the error that cites it.
    struct Limits: Sendable, Equatable {
        /// Commands sent and not answered.
        var inFlight: Int
        /// Commands not yet sent because `inFlight` is reached.
        var waiting: Int
        /// How long a tombstone may stay before the connection counts as stuck.
        var tombstone: Duration
    }

    /// The place of one command; numbers only grow.
    struct Ticket: Equatable { fileprivate let number: UInt64 }

    /// Whose reply has come.
    enum Recipient {
        case waiter(Waiter, submitted: MonotonicInstant)
        /// The waiter has left; drop the reply.
        case nobody
        /// No command is waiting for a reply: the peer is out of step.
        case unexpected
    }

    private enum Slot {
        case live(Waiter, Deadline, submitted: MonotonicInstant)
        /// Sent, and the waiter has left at this instant: its reply is still to come.
        case tombstone(since: MonotonicInstant)
        /// Never sent; takes no reply.
        case void
    }

    private let limits: Limits
    private var slots = Deque<Slot>()
    /// The ticket number of `slots[0]`.
    private var head: UInt64 = 0
    /// So many slots from the front have been sent or passed over.
    private var passed = 0

    /// Commands sent and not answered, tombstones included.
    private(set) var inFlight = 0

    init(limits: Limits) { self.limits = limits }

    /// Commands not yet sent, those whose waiter has left included.
    var waiting: Int { slots.count - passed }

    /// Whether nothing is sent or waiting.
    var isEmpty: Bool { slots.isEmpty }

    /// Takes a place at the end; nil when all places are taken.
    ///
    /// Commands of the current tick are not sent yet, so it is the sum of both limits that decides.
    mutating func submit(
        _ waiter: Waiter,
        until deadline: Deadline,
        at now: MonotonicInstant
    ) -> Ticket? {
        guard inFlight + waiting < limits.inFlight + limits.waiting else { return nil }
        slots.append(.live(waiter, deadline, submitted: now))
        return Ticket(number: head + UInt64(slots.count - 1))
    }

    /// The next command to put on the wire, if the limit allows one; it is in flight from now on.
    mutating func next() -> Waiter? {
        while passed < slots.count, inFlight < limits.inFlight {
            passed += 1
            if case .live(let waiter, _, _) = slots[passed - 1] {
                inFlight += 1
                return waiter
            }
        }
        return nil
    }

    /// Whose turn it is, now that a reply has come.
    mutating func reply() -> Recipient {
        while passed > 0, let slot = slots.popFirst() {
            head += 1
            passed -= 1
            switch slot {
            case .void: continue
            case .tombstone:
                inFlight -= 1
                return .nobody
            case .live(let waiter, _, let submitted):
                inFlight -= 1
                return .waiter(waiter, submitted: submitted)
            }
        }
        return .unexpected
    }

    /// The waiter of `ticket` leaves; nil when it has left already or has its reply.
    mutating func abandon(_ ticket: Ticket, at now: MonotonicInstant) -> Waiter? {
        guard ticket.number >= head, ticket.number - head < UInt64(slots.count) else { return nil }
        return leave(Int(ticket.number - head), at: now)
    }

    /// Removes and returns the waiters whose deadline has passed.
    mutating func expire(at now: MonotonicInstant) -> [Waiter] {
        var late: [Waiter] = []
        for index in slots.indices {
            guard case .live(_, let deadline, _) = slots[index], deadline.instant <= now else {
                continue
            }
            if let waiter = leave(index, at: now) { late.append(waiter) }
        }
        return late
    }

    /// Whether a reply is overdue so long that the connection should be given up.
    func isStuck(at now: MonotonicInstant) -> Bool {
        slots.prefix(passed).contains {
            if case .tombstone(let since) = $0 { since + limits.tombstone <= now } else { false }
        }
    }

    /// When `expire` or `isStuck` next has something to say; nil when nothing is under way.
    var nextEvent: MonotonicInstant? {
        var earliest: MonotonicInstant?
        for slot in slots {
            let instant: MonotonicInstant
            switch slot {
            case .live(_, let deadline, _): instant = deadline.instant
            case .tombstone(let since): instant = since + limits.tombstone
            case .void: continue
            }
            earliest = min(earliest ?? instant, instant)
        }
        return earliest
    }

    /// Empties the pipeline, for a connection that is gone: every waiter is to be told.
    mutating func drain() -> [Waiter] {
        let waiters = slots.compactMap { slot -> Waiter? in
            if case .live(let waiter, _, _) = slot { waiter } else { nil }
        }
        head += UInt64(slots.count)
        slots.removeAll(keepingCapacity: true)
        passed = 0
        inFlight = 0
        return waiters
    }

    private mutating func leave(_ index: Int, at now: MonotonicInstant) -> Waiter? {
        guard case .live(let waiter, _, _) = slots[index] else { return nil }
        slots[index] = index < passed ? .tombstone(since: now) : .void
        return waiter
    }
}

// What a batch of checks reads, as a pure state machine (revocation.md 1.4, 1.6, 1.7): the members
// under a lease, or PostgreSQL. No clock, no I/O, no randomness; it stands beside `ReadIndexCore`,
// which knows who waits for which batch. The shell, or a simulation, does for each batch that
// `ReadIndexCore` has closed:
//
//   closed ─┬─► ask ──► asking, then the statement ──► learned (or unread)
//           └─► poll, one exchange per order ──► replied or silent, each once ─┬─► confirmed
//                                                                              └─► ask
package import Primitives

/// The state machine of one node's lease and its positions in the members' logs.
package struct AuthorityCore: Sendable {
    /// Names a batch, as `ReadIndexCore` does.
    package typealias Batch = ReadIndexCore.Batch
    /// Names one connection to a member; a new connection has a new number.
    package typealias Connection = UInt64

    /// What to ask one member for one batch: `ECHO`, `GET rv:head`, and where `after` is not nil
    /// what stands in its log behind that; in one write.
    package struct Order: Hashable, Sendable {
        /// The member.
        package let member: AuthorityMember
        /// The last position this node has applied; nil where it knows none.
        package let after: UInt64?
        /// On other connections than these the member's facts are asked as well, before the rest.
        package let checked: Set<Connection>
    }

    /// What one member answered.
    package struct Reply: Sendable {
        /// On which connection.
        package let connection: Connection
        /// What ECHO gave back: the batch that was asked for, or a reply of another (H16).
        package let echo: Batch?
        /// What the facts were, where they were asked.
        package let finding: MemberFinding?
        /// The token in the head; nil where there is no head.
        package let token: MemberToken?
        /// The position in the head.
        package let position: UInt64
        /// The log behind the position that was asked for; no entry where its kind is unknown.
        package let entries: [(position: UInt64, entry: RevocationEntry?)]
        /// Whether there may be more than one answer holds.
        package let isCut: Bool

        /// An answer.
        package init(
            connection: Connection,
            echo: Batch?,
            finding: MemberFinding? = nil,
            token: MemberToken?,
            position: UInt64 = 0,
            entries: [(position: UInt64, entry: RevocationEntry?)] = [],
            isCut: Bool = false
        ) {
            self.connection = connection
            self.echo = echo
            self.finding = finding
            self.token = token
            self.position = position
            self.entries = entries
            self.isCut = isCut
        }
    }

    /// What happens to the machine.
    package enum Event: Sendable {
        /// Nobody joins the batch any more; the lease is tested now, and only now.
        case closed(Batch, at: MonotonicInstant)
        /// A member answered an order.
        case replied(Batch, MemberToken, Reply)
        /// A member did not answer an order: it is away, late, or answered with an error. Its
        /// connection is given up, so that no late answer can be taken for another (H16).
        case silent(Batch, MemberToken)
        /// The statement is about to be sent.
        case asking(Batch)
        /// The statement answered, and what it brought was put into the set.
        case learned(Batch, Authority, DatabaseTimeline, begun: MonotonicInstant)
        /// The statement brought nothing that could be used.
        case unread(Batch)
        /// The database has another history than before (F4).
        case historyChanged
        /// A member of the lease was looked at, from `at` on: its facts, and the token in its head.
        case inspected(MemberToken, MemberFinding, head: MemberToken?, at: MonotonicInstant)
    }

    /// What the shell must do, in this order.
    package enum Effect: Sendable {
        /// Ask these members.
        case poll(Batch, [Order])
        /// Put these into the set, within the same critical section as the step.
        case apply([RevocationEntry])
        /// The set holds everything that was acknowledged before the batch was closed.
        case confirmed(Batch)
        /// Ask PostgreSQL for this batch.
        case ask(Batch)
        /// A connection is out of step; give it up.
        case drop(MemberToken, Connection)
        /// What is known may lack something: the next statement reads everything.
        case reload
        /// Close this epoch.
        case close(Authority, because: Distrust)
    }

    struct Lease: Sendable {
        let authority: Authority
        var until: MonotonicInstant
        var renewed: MonotonicInstant
        var views: [MemberToken: MemberView]
    }

    /// A batch that asks the members.
    struct Poll: Sendable {
        let epoch: Int64
        let at: MonotonicInstant
        let majority: Int
        /// Who has not answered, and after which position it was asked.
        var awaited: [MemberToken: UInt64?]
        /// What must be applied of a member whose answer came in pieces.
        var goals: [MemberToken: UInt64] = [:]
        var heard = 0
        var isDecided = false
    }

    var lease: Lease?
    var polls: [Batch: Poll] = [:]
    /// The positions that statements on the wire will vouch for (H15).
    var candidates: [Batch: [MemberToken: UInt64]] = [:]
    /// The greatest epoch seen in this history.
    private(set) var epoch: Int64 = 0
    private var timeline: DatabaseTimeline?
    /// An epoch that broke its promise; no lease is taken on it again.
    package internal(set) var distrusted: Int64?

    /// A machine that knows of no authority.
    package init() {}

    /// The authority this node holds a lease on, over or not; nil where there is none.
    package var leased: Authority? { lease?.authority }

    /// When the statement that renewed the lease was begun; nil without a lease.
    package var renewedAt: MonotonicInstant? { lease?.renewed }

    /// Takes one step.
    package mutating func step(_ event: Event) -> [Effect] {
        switch event {
        case .closed(let batch, let now): close(batch, at: now)
        case .replied(let batch, let member, let reply): hear(batch, member, reply)
        case .silent(let batch, let member): miss(batch, member)
        case .asking(let batch): ask(batch)
        case .learned(let batch, let authority, let timeline, let begun):
            learn(batch, authority, timeline, begun: begun)
        case .unread(let batch): forget(batch)
        case .historyChanged: beginAnew()
        case .inspected(let member, let finding, let head, let now):
            inspect(member, finding, head: head, at: now)
        }
    }

    /// A lease that is valid at a time after the arrival of every check in the batch means that no
    /// revocation acknowledged before those arrivals can have bypassed the members.
    private mutating func close(_ batch: Batch, at now: MonotonicInstant) -> [Effect] {
        guard let lease, now < lease.until else { return [.ask(batch)] }
        let orders = lease.authority.members.compactMap { member -> Order? in
            guard member.identity != nil, let view = lease.views[member.token] else { return nil }
            let isFresh = view.checkedAt.map { now < $0 + lease.authority.lease } ?? false
            return Order(
                member: member,
                after: view.applied,
                checked: isFresh ? view.connections : []
            )
        }
        guard orders.count >= lease.authority.majority else { return [.ask(batch)] }
        polls[batch] = Poll(
            epoch: lease.authority.epoch,
            at: now,
            majority: lease.authority.majority,
            awaited: Dictionary(uniqueKeysWithValues: orders.map { ($0.member.token, $0.after) })
        )
        return [.poll(batch, orders)]
    }

    /// The heads seen so far are older than the statement: what they count was committed before it.
    private mutating func ask(_ batch: Batch) -> [Effect] {
        candidates[batch] = lease?.views.compactMapValues { $0.applied == nil ? $0.seen : nil }
        return []
    }

    private mutating func learn(
        _ batch: Batch,
        _ authority: Authority,
        _ timeline: DatabaseTimeline,
        begun: MonotonicInstant
    ) -> [Effect] {
        if self.timeline != timeline { _ = beginAnew() }
        self.timeline = timeline
        let vouched = candidates.removeValue(forKey: batch) ?? [:]
        // An older snapshot that answers late says nothing that is not known better.
        guard authority.epoch >= epoch else { return [] }
        epoch = authority.epoch
        guard authority.state == .redis, authority.epoch != distrusted else {
            lease = nil
            return []
        }
        let until = begun + authority.lease
        if let held = lease, held.authority.epoch == authority.epoch {
            lease?.until = max(held.until, until)
            lease?.renewed = max(held.renewed, begun)
        } else {
            lease = Lease(
                authority: authority,
                until: until,
                renewed: begun,
                views: Dictionary(
                    authority.members.map { ($0.token, MemberView()) },
                    uniquingKeysWith: { first, _ in first }
                )
            )
        }
        for (token, position) in vouched where lease?.views[token]?.applied == nil {
            lease?.views[token]?.applied = position
        }
        return []
    }

    private mutating func forget(_ batch: Batch) -> [Effect] {
        candidates[batch] = nil
        return []
    }

    /// Epochs of another history may be other epochs; positions and leases go with them (F4, H34).
    private mutating func beginAnew() -> [Effect] {
        lease = nil
        candidates = [:]
        epoch = 0
        timeline = nil
        return []
    }
}

// The members' side of the shell: what `AuthorityCore` wants asked is sent, on connections of the
// batch's own event loop, and what comes back goes to it. No task is started: answers arrive as
// callbacks, and the leader of the batch waits for the outcome.
import Primitives
import Synchronization

extension ReadIndex {
    /// Asks the members for a batch that is closed; false where PostgreSQL must be asked.
    func consult(_ batch: ReadIndexCore.Batch) async -> Bool {
        let begun = MonotonicInstant.now
        let effects = state.withLock { state in
            let effects = state.authority.step(.closed(batch, at: begun))
            if case .ask = effects.first { state.isAnsweredByMembers = false }
            return effects
        }
        if case .ask = effects.first { return false }
        return await withCheckedContinuation { leader in
            state.withLock { $0.polling[batch] = Polling(leader: leader, begun: begun) }
            carryOut(effects)
        }
    }

    /// Takes a step and, within the same critical section, applies what a member brought.
    private func tell(_ event: AuthorityCore.Event) {
        let effects = state.withLock { state in
            let effects = state.authority.step(event)
            for effect in effects {
                switch effect {
                case .apply(let entries): for entry in entries { state.set.insert(entry) }
                case .reload: _ = state.core.step(.forget)
                case .close(let authority, let reason): state.closing = (authority, reason)
                case .poll, .confirmed, .ask, .drop: break
                }
            }
            return effects
        }
        carryOut(effects)
    }

    private func carryOut(_ effects: [AuthorityCore.Effect]) {
        for effect in effects {
            switch effect {
            case .poll(let batch, let orders):
                instruments.polls.increment(by: orders.count)
                for order in orders {
                    members.poll(batch, order) { [weak self] event in self?.tell(event) }
                }
            case .confirmed(let batch):
                let polling = state.withLock { state in
                    let polling = state.polling.removeValue(forKey: batch)
                    state.isAnsweredByMembers = true
                    if let begun = polling?.begun {
                        state.known.readAt = max(state.known.readAt ?? begun, begun)
                    }
                    return polling
                }
                if let polling { instruments.pollTime.record(.now - polling.begun) }
                perform(step(.confirmed(batch)))
                polling?.leader.resume(returning: true)
            case .ask(let batch):
                instruments.fallbacks.increment()
                let polling = state.withLock { state in
                    state.isAnsweredByMembers = false
                    return state.polling.removeValue(forKey: batch)
                }
                polling?.leader.resume(returning: false)
            case .drop(let token, let connection):
                let endpoint = state.withLock { state in
                    state.authority.leased?.members.first { $0.token == token }?.endpoint
                }
                if let endpoint { members.drop(connection, at: endpoint) }
            case .apply, .reload, .close: break
            }
        }
    }

    // MARK: The keeper's questions

    /// What a look at a member of the lease brought.
    func inspected(
        _ token: MemberToken,
        _ look: AuthorityMembers.Look,
        at begun: MonotonicInstant
    ) {
        tell(.inspected(token, look.finding, head: look.head, at: begun))
    }

    /// The authority that this node has a reason to close, once.
    func takeClosing() -> (Authority, Distrust)? {
        state.withLock { state in
            defer { state.closing = nil }
            return state.closing
        }
    }

    /// Whether this node has found an epoch wanting.
    func distrusts(_ epoch: Int64) -> Bool {
        state.withLock { $0.authority.distrusted == epoch }
    }

    /// The authority as of the last read; nil before the first.
    package var authority: Authority? { state.withLock { $0.lastSeen } }

    /// Whether the members have answered the last batch; false where PostgreSQL was asked for it.
    ///
    /// `confirm` first: where nobody asks, nothing shows that members are lost, because the keeper
    /// leaves those alone that do not answer.
    package var isAnsweredByMembers: Bool { state.withLock { $0.isAnsweredByMembers } }

    /// How long ago the lease was renewed; nil without one.
    package var leaseAge: Duration? {
        state.withLock { $0.authority.renewedAt }.map { .now - $0 }
    }
}

/// The numbers of the authority.
struct AuthorityMetrics: Sendable {
    let polls: Counter
    let fallbacks: Counter
    let pollTime: Histogram

    init(_ metrics: MetricsRegistry) {
        polls = metrics.counter(
            "watchword_revocation_polls_total",
            help: "Questions to members of the authority."
        )
        fallbacks = metrics.counter(
            "watchword_revocation_fallbacks_total",
            help: "Batches that the members did not answer and PostgreSQL was asked for."
        )
        pollTime = metrics.histogram(
            "watchword_revocation_poll_seconds",
            help: "Time of one read-index that the members answered."
        )
    }

    /// Adds what is computed from the state of the read-index.
    func publish(of index: ReadIndex, _ metrics: MetricsRegistry) {
        metrics.computed(
            "watchword_authority_epoch",
            help: "The epoch of the authority, as of the last read."
        ) { [weak index] in Double(index?.authority?.epoch ?? 0) }
        for state in AuthorityState.allCases {
            metrics.computed(
                "watchword_authority_state",
                help: "1 for the state of the authority, as of the last read.",
                labels: ["state": state.rawValue]
            ) { [weak index] in index?.authority?.state == state ? 1 : 0 }
        }
        metrics.computed(
            "watchword_authority_lease_age_seconds",
            help: "How long ago the lease on the members was renewed; -1 without one."
        ) { [weak index] in index?.leaseAge?.inSeconds ?? -1 }
    }
}

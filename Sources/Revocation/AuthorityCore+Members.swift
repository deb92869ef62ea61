// The members' side of `AuthorityCore`: which answers count, and what is applied of them. An answer
// counts when it is the answer to this batch, from the process that was adopted, with the token of
// the lease, and everything up to the head it shows has been applied.
import Primitives

/// What a node knows of one member.
struct MemberView: Sendable {
    /// Everything in the member's log up to here is in the set; nil where that is not known.
    var applied: UInt64?
    /// The last head seen while `applied` was not known.
    var seen: UInt64?
    /// The connections on which the member was found to be who it must be.
    var connections: Set<AuthorityCore.Connection> = []
    /// When a check that went well was begun, last.
    var checkedAt: MonotonicInstant?
}

extension AuthorityCore {
    /// The most connections to one member that are remembered; older ones are checked again.
    private static let connectionLimit = 1024

    mutating func hear(_ batch: Batch, _ token: MemberToken, _ reply: Reply) -> [Effect] {
        guard let poll = polls[batch], let after = poll.awaited[token] else { return [] }
        guard reply.echo == batch else {
            return [.drop(token, reply.connection)] + miss(batch, token)
        }
        guard let lease, lease.authority.epoch == poll.epoch,
            let member = lease.authority.members.first(where: { $0.token == token })
        else { return miss(batch, token) }
        #if DEBUG
        if Mutant.active == .noToken, reply.token != token { return count(batch, token) }
        if Mutant.active == .staleMember { note(reply.connection, of: token) }
        #endif
        if let finding = reply.finding {
            let effects = judge(member, finding, head: reply.token, at: poll.at)
            guard effects.isEmpty else { return effects + miss(batch, token) }
            if finding.identity == member.identity { note(reply.connection, of: token) }
        }
        guard let view = self.lease?.views[token], view.connections.contains(reply.connection),
            reply.token == token
        else { return miss(batch, token) }
        guard let after else {
            // Where nothing was ever published there is nothing to apply.
            self.lease?.views[token]?.seen = reply.position
            guard reply.position == 0 else { return miss(batch, token) }
            self.lease?.views[token]?.applied = view.applied ?? 0
            return count(batch, token)
        }
        #if DEBUG
        let goesBack = Mutant.active == .staleMember || Mutant.active == .tokenIsEpoch
        if goesBack, reply.position < after { return count(batch, token) }
        #endif
        guard reply.position >= after else {
            return distrust(lease.authority, .headWentBack(endpoint: member.endpoint))
                + miss(batch, token)
        }
        return advance(batch, member, from: after, reply)
    }

    /// A member that did not answer, or whose answer does not count.
    mutating func miss(_ batch: Batch, _ token: MemberToken) -> [Effect] {
        guard polls[batch]?.awaited.removeValue(forKey: token) != nil else { return [] }
        return decide(batch)
    }

    /// A look at a member besides the batches.
    mutating func inspect(
        _ token: MemberToken,
        _ finding: MemberFinding,
        head: MemberToken?,
        at now: MonotonicInstant
    ) -> [Effect] {
        guard let member = lease?.authority.members.first(where: { $0.token == token }) else {
            return []
        }
        return judge(member, finding, head: head, at: now)
    }

    /// Applies what came, if it is complete.
    private mutating func advance(
        _ batch: Batch,
        _ member: AuthorityMember,
        from after: UInt64,
        _ reply: Reply
    ) -> [Effect] {
        let token = member.token
        var last = after
        for item in reply.entries {
            // What cannot be read is not passed over: PostgreSQL is asked what it is (W10).
            guard item.position == last + 1, item.entry != nil else {
                return gap(batch, token, reply)
            }
            last = item.position
        }
        let goal = polls[batch]?.goals[token] ?? reply.position
        guard last >= goal || reply.isCut, last > after || !reply.isCut else {
            return gap(batch, token, reply)
        }
        let before = lease?.views[token]?.applied ?? last
        lease?.views[token]?.applied = max(before, last)
        let entries = reply.entries.compactMap(\.entry)
        let applied: [Effect] = entries.isEmpty ? [] : [.apply(entries)]
        guard last < goal else { return applied + count(batch, token) }
        polls[batch]?.goals[token] = goal
        polls[batch]?.awaited[token] = .some(last)
        let connections = lease?.views[token]?.connections ?? []
        return applied + [.poll(batch, [Order(member: member, after: last, checked: connections)])]
    }

    /// Ids are dense, so what is missing was trimmed away, and only the database has it (H21).
    private mutating func gap(_ batch: Batch, _ token: MemberToken, _ reply: Reply) -> [Effect] {
        lease?.views[token]?.applied = nil
        lease?.views[token]?.seen = reply.position
        return miss(batch, token)
    }

    private mutating func count(_ batch: Batch, _ token: MemberToken) -> [Effect] {
        guard polls[batch]?.awaited.removeValue(forKey: token) != nil else { return [] }
        polls[batch]?.heard += 1
        return decide(batch)
    }

    /// Decides as soon as the outcome is known, and keeps the batch until everybody has answered,
    /// because later answers still move positions.
    private mutating func decide(_ batch: Batch) -> [Effect] {
        guard let poll = polls[batch] else { return [] }
        if poll.awaited.isEmpty { polls[batch] = nil }
        guard !poll.isDecided else { return [] }
        #if DEBUG
        if Mutant.active == .readQuorumOne, poll.heard == 1 {
            polls[batch]?.isDecided = true
            return [.confirmed(batch)]
        }
        #endif
        if poll.heard >= poll.majority {
            polls[batch]?.isDecided = true
            return [.confirmed(batch)]
        }
        guard poll.heard + poll.awaited.count < poll.majority else { return [] }
        polls[batch]?.isDecided = true
        return [.ask(batch)]
    }

    /// A member without its token is merely lost, and will not be heard.
    ///
    /// One that has it must be the process that was adopted, and must not be able to forget (A4).
    private mutating func judge(
        _ member: AuthorityMember,
        _ finding: MemberFinding,
        head: MemberToken?,
        at now: MonotonicInstant
    ) -> [Effect] {
        guard let lease, head == member.token else { return [] }
        #if DEBUG
        if Mutant.active == .staleMember { return [] }
        #endif
        switch finding {
        case .unfit(let flaw):
            return distrust(lease.authority, .unfit(endpoint: member.endpoint, flaw))
        case .fit(let identity):
            guard identity == member.identity else {
                return distrust(lease.authority, .identityChanged(endpoint: member.endpoint))
            }
            let before = lease.views[member.token]?.checkedAt ?? now
            self.lease?.views[member.token]?.checkedAt = max(before, now)
            return []
        }
    }

    private mutating func note(_ connection: Connection, of token: MemberToken) {
        if lease?.views[token]?.connections.count ?? 0 >= Self.connectionLimit {
            lease?.views[token]?.connections = []
        }
        lease?.views[token]?.connections.insert(connection)
    }

    private mutating func distrust(_ authority: Authority, _ reason: Distrust) -> [Effect] {
        lease = nil
        distrusted = authority.epoch
        return [.reload, .close(authority, because: reason)]
    }
}

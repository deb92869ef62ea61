// How the messages of the simulated cluster travel: each is sent, then done at its target, then
// answered, in steps that the dice choose. One that is lost is reported as such to its sender, and
// where it can, happens all the same, at once or later.
import Primitives
import Revocation

extension AuthoritySimulation {
    /// Moves one message on that the dice choose, unless it is of those that take long.
    mutating func advanceAny() {
        let index = dice.below(jobs.count)
        if let slow, jobs[index].job.kind == slow, dice.below(12) > 0 { return }
        advance(index)
    }

    /// Moves one message on.
    mutating func advance(_ index: Int) {
        let (node, job) = jobs[index]
        jobs.swapAt(index, jobs.count - 1)
        jobs.removeLast()
        switch job {
        case .lead(let batch): lead(node, batch)
        case .read(let batch, let scope, let begun, let answer):
            read(node, batch, scope, begun, answer)
        case .restore(let batch): perform(node, nodes[node].index.step(.restored(batch)))
        case .poll(let batch, let order, let reply, let isWhole):
            poll(node, batch, order, reply, isWhole)
        case .commit(let ticket, let bit, let isDone): commit(node, ticket, bit, isDone)
        case .observe(let ticket, let authority, let history):
            observe(node, ticket, authority, history)
        case .publish(let ticket, let member, let bits, let isTaken):
            publish(node, ticket, member, bits, isTaken)
        case .fence(let ticket, let member, let isFenced): fence(node, ticket, member, isFenced)
        case .close(let ticket, let epoch, let isDone): close(node, ticket, epoch, isDone)
        case .drained(let epoch): markDrained(epoch)
        case .wake(let ticket, let instant): wake(node, ticket, instant)
        case .inspect(let member, let begun, let finding, let head):
            inspect(node, member, begun, finding, head)
        case .adopt(let epoch, let first, let adopted): adopt(node, epoch, first, adopted)
        }
    }

    private var isLost: Bool { mutating get { !isOpening && dice.below(rarity) == 0 } }

    // MARK: The read-index

    private mutating func lead(_ node: Int, _ batch: ReadIndexCore.Batch) {
        if dice.below(40) == 0 {
            if let leader = nodes[node].leaders[batch] { nodes[node].owed[leader] = nil }
            return perform(node, nodes[node].index.step(.abandoned(batch)))
        }
        // Closed first; the lease is tested after that (H17).
        guard !nodes[node].index.step(.closing(batch)).isEmpty else { return }
        perform(node, nodes[node].authority.step(.closed(batch, at: clock(node))))
    }

    private mutating func read(
        _ node: Int,
        _ batch: ReadIndexCore.Batch,
        _ scope: ReadIndexCore.Scope,
        _ begun: MonotonicInstant,
        _ brought: SimulatedAnswer?
    ) {
        guard !isLost else { return fail(node, batch) }
        guard var rest = brought else {
            let server = server(of: node, mayBeStale: true)
            let read = server.read(scope, skipsXmin: fault == .skipsXmin)
            jobs.append((node, .read(batch, scope, begun: begun, read)))
            return
        }
        // In pieces, and other things happen between them; what it says counts after the last.
        let piece = rest.bits.suffix(1 + dice.below(4))
        for bit in piece { nodes[node].memory |= bit }
        rest.bits.removeLast(piece.count)
        guard rest.bits.isEmpty else {
            jobs.append((node, .read(batch, scope, begun: begun, rest)))
            return
        }
        var reading = rest.reading
        if fault == .splitsTheSnapshot { reading = reading.with(primary.authority) }
        let effects = nodes[node].index.step(.completed(batch, reading))
        for effect in effects {
            if case .note(let reading) = effect, let row = reading.authority {
                nodes[node].lastSeen = row
                let seen = asSeen(row)
                _ = nodes[node].authority.step(
                    .learned(batch, seen, reading.timeline, begun: begun)
                )
            } else if case .read = effect {
                _ = nodes[node].authority.step(.historyChanged)
            }
        }
        perform(node, effects)
        if let late = nodes[node].stowaways.removeValue(forKey: batch) { answer(node, late) }
    }

    private mutating func fail(_ node: Int, _ batch: ReadIndexCore.Batch) {
        _ = nodes[node].authority.step(.unread(batch))
        for waiter in nodes[node].stowaways.removeValue(forKey: batch) ?? [] {
            nodes[node].owed[waiter] = nil
        }
        perform(node, nodes[node].index.step(.failed(batch)))
    }

    /// Which server a node's connection leads to.
    private func server(of node: Int, mayBeStale: Bool) -> SimulatedPrimary {
        if fault == .readsStaleReplica, mayBeStale { return standby }
        return nodes[node].stale ?? primary
    }

    private func asSeen(_ row: Authority) -> Authority {
        guard fault == .readQuorumOne, let first = row.members.first(where: { $0.identity != nil })
        else { return row }
        return Authority(epoch: row.epoch, state: row.state, members: [first], lease: row.lease)
    }

    // MARK: The members

    private mutating func poll(
        _ node: Int,
        _ batch: ReadIndexCore.Batch,
        _ order: AuthorityCore.Order,
        _ reply: AuthorityCore.Reply?,
        _ isWhole: Bool
    ) {
        let token = order.member.token
        let member = place(of: order.member)
        let connection = nodes[node].connections[member]
        guard nodes[node].reaches[member], !isLost,
            reply.map({ $0.connection == connection }) ?? true
        else {
            reconnect(node, member)
            return perform(node, nodes[node].authority.step(.silent(batch, token)))
        }
        guard let reply else {
            let head = answer(node, batch, order)
            let isWhole = fault != .splitsThePoll
            let told = isWhole ? range(node, head, order) : head
            jobs.append((node, .poll(batch, order, told, isWhole: isWhole)))
            return
        }
        guard isWhole else {
            jobs.append((node, .poll(batch, order, range(node, reply, order), isWhole: true)))
            return
        }
        var told = reply
        if let before = nodes[node].lastReply[member], dice.below(12) == 0 {
            told = shifted(before, batch, connection)
        }
        nodes[node].lastReply[member] = reply
        perform(node, nodes[node].authority.step(.replied(batch, token, told)))
    }

    /// What a member says of itself and of its head.
    private func answer(
        _ node: Int,
        _ batch: ReadIndexCore.Batch,
        _ order: AuthorityCore.Order
    ) -> AuthorityCore.Reply {
        let place = place(of: order.member)
        let member = members[asked(by: node, place)]
        let connection = nodes[node].connections[place]
        let isKnown = order.checked.contains(connection)
        let identity =
            fault == .asksStrangers
            ? order.member.identity ?? member.identity : identity(of: member, as: order.member)
        return AuthorityCore.Reply(
            connection: connection,
            echo: batch,
            finding: isKnown ? nil : .fit(identity),
            token: fault == .checksNoToken ? order.member.token : member.token,
            position: member.position
        )
    }

    /// Where nobody checks the token, nobody checks the process either.
    private func identity(
        of member: SimulatedMember,
        as adopted: AuthorityMember
    ) -> MemberIdentity {
        guard fault == .checksNoToken || fault == .tokenIsEpoch else { return member.identity }
        return adopted.identity ?? member.identity
    }

    /// Whether this is the process that was adopted, as the scripts compare it.
    private mutating func isAdopted(_ found: SimulatedMember, _ member: AuthorityMember) -> Bool {
        let isAdopted = member.identity.map { $0 == identity(of: found, as: member) } ?? false
        if !isAdopted, found.token == member.token { strangers += 1 }
        return isAdopted
    }

    /// Adds what stands in the log behind the position that was asked for.
    private func range(
        _ node: Int,
        _ head: AuthorityCore.Reply,
        _ order: AuthorityCore.Order
    ) -> AuthorityCore.Reply {
        guard let after = order.after else { return head }
        let limit = 3
        let asked = asked(by: node, place(of: order.member))
        let entries = members[asked].entries(after: after, limit: limit)
        return AuthorityCore.Reply(
            connection: head.connection,
            echo: head.echo,
            finding: head.finding,
            token: head.token,
            position: head.position,
            entries: entries,
            isCut: entries.count >= limit
        )
    }

    /// An answer of before, on a connection that is out of step (H16).
    private func shifted(
        _ before: AuthorityCore.Reply,
        _ batch: ReadIndexCore.Batch,
        _ connection: UInt64
    ) -> AuthorityCore.Reply {
        AuthorityCore.Reply(
            connection: connection,
            echo: fault == .ignoresEcho ? batch : before.echo,
            token: before.token,
            position: before.position,
            entries: before.entries,
            isCut: before.isCut
        )
    }

    private mutating func inspect(
        _ node: Int,
        _ member: AuthorityMember,
        _ begun: MonotonicInstant,
        _ finding: MemberFinding?,
        _ head: MemberToken?
    ) {
        if let finding {
            let event = AuthorityCore.Event.inspected(member.token, finding, head: head, at: begun)
            return perform(node, nodes[node].authority.step(event))
        }
        let place = place(of: member)
        guard nodes[node].reaches[place], !isLost else { return }
        let found = members[written(by: node, place)]
        let fit = MemberFinding.fit(identity(of: found, as: member))
        jobs.append((node, .inspect(member, begun, fit, found.token)))
    }

    // MARK: Revoking

    private mutating func commit(
        _ node: Int,
        _ ticket: RevokerCore.Ticket,
        _ bit: UInt64,
        _ isDone: Bool
    ) {
        let isLost = dice.below(2 * rarity) == 0
        if isLost { nodes[node].bits[ticket] = nil }
        guard isDone else {
            // Without an answer the commit may have happened, and is never acknowledged.
            let isCommitted =
                nodes[node].stale?.commit(bit) ?? primary.commit(bit)
            if isCommitted, !isLost { jobs.append((node, .commit(ticket, bit, isDone: true))) }
            return
        }
        guard !isLost else { return }
        let entries = [SimulatedEntry.entry(bit)]
        perform(node, nodes[node].revoker.step(.committed(ticket, entries)))
    }

    private mutating func observe(
        _ node: Int,
        _ ticket: RevokerCore.Ticket,
        _ authority: Authority?,
        _ history: DatabaseTimeline?
    ) {
        guard !isLost else {
            return perform(node, nodes[node].revoker.step(.failed(ticket)))
        }
        guard let authority, let history else {
            let server = server(of: node, mayBeStale: false)
            let row = nodes[node].early.removeValue(forKey: ticket) ?? server.authority
            jobs.append((node, .observe(ticket, row, server.timeline)))
            return
        }
        let event = RevokerCore.Event.observed(ticket, authority, history, at: clock(node))
        perform(node, nodes[node].revoker.step(event))
    }

    private mutating func publish(
        _ node: Int,
        _ ticket: RevokerCore.Ticket,
        _ member: AuthorityMember,
        _ bits: UInt64,
        _ isTaken: Bool?
    ) {
        if let isTaken {
            if isTaken, fault == .writeQuorumOne { acknowledge(node, ticket) }
            let event = RevokerCore.Event.published(ticket, member.token, isTaken)
            return perform(node, nodes[node].revoker.step(event))
        }
        let place = place(of: member)
        let isLost = isLost || !nodes[node].reaches[place]
        // Nobody waits for ticket 0, so it is not sent again.
        if isLost, ticket == 0 { return }
        if isLost, dice.below(2) == 0 {
            // Given up, and on its way still.
            jobs.append((node, .publish(0, member, bits, nil)))
        } else if !isLost || nodes[node].reaches[place] {
            let process = written(by: node, place)
            let checks = fault != .checksNoToken
            let isStranger = !isAdopted(members[process], member)
            let isTaken =
                (!isStranger || fault == .publishesToStrangers)
                && members[process].publish(member.token, bits, checksToken: checks)
            if !isLost {
                jobs.append((node, .publish(ticket, member, bits, isTaken)))
                return
            }
        }
        jobs.append((node, .publish(ticket, member, bits, false)))
    }

    private mutating func fence(
        _ node: Int,
        _ ticket: RevokerCore.Ticket,
        _ member: AuthorityMember,
        _ isFenced: Bool?
    ) {
        if let isFenced {
            // With one fence the others are taken for fenced, so it has to be heard first.
            if !isFenced, fault == .fencesOneOfThree, isFenceAwaited(node, ticket) {
                jobs.append((node, .fence(ticket, member, isFenced)))
                return
            }
            let event = RevokerCore.Event.fenced(ticket, member.token, isFenced)
            perform(node, nodes[node].revoker.step(event))
            if isFenced, fault == .fencesOneOfThree { pretendFenced(node, ticket) }
            return
        }
        // Nobody asks a member that was away when it was adopted.
        guard member.identity != nil else {
            jobs.append((node, .fence(ticket, member, true)))
            return
        }
        let place = place(of: member)
        let process = written(by: node, place)
        guard nodes[node].reaches[place] else {
            jobs.append((node, .fence(ticket, member, false)))
            return
        }
        let isLost = isLost
        // A stranger loses the token too, but vouches for nothing.
        let counts = isAdopted(members[process], member) || fault == .fencesStrangers
        if !isLost || dice.below(2) == 0 { members[process].fence(member.token) }
        jobs.append((node, .fence(ticket, member, !isLost && counts)))
    }

    /// Whether a fence of this ticket may still succeed.
    private func isFenceAwaited(_ node: Int, _ ticket: RevokerCore.Ticket) -> Bool {
        jobs.contains { owner, job in
            if case .fence(ticket, _, let done) = job {
                owner == node && done != false
            } else {
                false
            }
        }
    }

    /// Says of all that are not fenced that they are.
    private mutating func pretendFenced(_ node: Int, _ ticket: RevokerCore.Ticket) {
        for (owner, job) in jobs where owner == node {
            guard case .fence(ticket, let other, _) = job else { continue }
            perform(node, nodes[node].revoker.step(.fenced(ticket, other.token, true)))
        }
    }

    // MARK: The row

    private mutating func change(_ state: AuthorityState, _ members: [AuthorityMember] = []) {
        let row = primary.authority
        primary.authority = Authority(
            epoch: state == .pg ? row.epoch : row.epoch + 1,
            state: state,
            members: members,
            lease: row.lease
        )
    }

    private mutating func close(
        _ node: Int,
        _ ticket: RevokerCore.Ticket,
        _ epoch: Int64,
        _ isDone: Bool
    ) {
        guard !isLost else { return perform(node, nodes[node].revoker.step(.failed(ticket))) }
        guard !isDone else { return perform(node, nodes[node].revoker.step(.closed(ticket))) }
        if primary.authority.epoch == epoch, primary.authority.state == .redis { change(.draining) }
        jobs.append((node, .close(ticket, epoch, isDone: true)))
    }

    private mutating func markDrained(_ epoch: Int64) {
        if primary.authority.epoch == epoch, primary.authority.state == .draining { change(.pg) }
    }

    private mutating func wake(
        _ node: Int,
        _ ticket: RevokerCore.Ticket,
        _ instant: MonotonicInstant
    ) {
        guard clock(node) >= instant else {
            jobs.append((node, .wake(ticket, instant)))
            return
        }
        perform(node, nodes[node].revoker.step(.woken(ticket, at: clock(node))))
    }

    /// One member after the other gets a token of this attempt; then the row changes, if nobody
    /// was faster.
    private mutating func adopt(
        _ node: Int,
        _ epoch: Int64,
        _ first: Int,
        _ adopted: [AuthorityMember]
    ) {
        guard adopted.count == size else {
            let place = first + adopted.count
            nextToken += 1
            let text = fault == .tokenIsEpoch ? "e\(epoch)-\(place)" : "t\(nextToken)"
            let token = MemberToken(text: text)
            let isReached = nodes[node].reaches[place] && !isLost
            let process = written(by: node, place)
            // What is not answered may have happened.
            if isReached || nodes[node].reaches[place] && dice.below(2) == 0 {
                members[process].adopt(token)
            }
            let member = AuthorityMember(
                endpoint: "\(place)",
                token: token,
                identity: isReached ? members[process].identity : nil
            )
            jobs.append((node, .adopt(epoch, from: first, adopted + [member])))
            return
        }
        let isReady = adopted.count { $0.identity != nil } > size / 2
        guard isReady, primary.authority.epoch == epoch, mayAdopt else { return }
        adoptions += 1
        change(.redis, adopted)
    }
}

extension Reading {
    /// The same log beside a row of another moment.
    fileprivate func with(_ row: Authority) -> Reading {
        Reading(
            timeline: timeline,
            nextLow: nextLow,
            databaseTime: databaseTime,
            horizon: horizon,
            authority: row
        )
    }
}

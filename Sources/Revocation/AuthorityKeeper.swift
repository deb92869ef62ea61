// Keeps the authority in good order: renews this node's lease and looks at the members at every
// renewal, closes an epoch whose members cannot be trusted or are lost, waits until it is drained,
// and adopts the members again when they are fit. Nothing here is needed for S1, which the cores
// keep: what the keeper does too late or too often costs time only (revocation.md 1.5, 1.9).
package import Logging
package import Postgres
package import Primitives
import ServiceLifecycle

/// Why members were not adopted.
package enum AdoptionRefusal: Error, CustomStringConvertible {
    /// No member is named in the settings.
    case noMembers
    /// Too few of them may be members now.
    case unfit([String])
    /// Another epoch has come, or somebody else is adopting.
    case overtaken
    /// Members are the authority already.
    case adopted(epoch: Int64)

    /// A sentence.
    package var description: String {
        switch self {
        case .noMembers: "authority.members names nobody"
        case .unfit(let reasons): reasons.joined(separator: "; ")
        case .overtaken: "somebody else is changing the authority"
        case .adopted(let epoch): "the members are the authority already, epoch \(epoch)"
        }
    }
}

/// Tends the authority.
package final class AuthorityKeeper: Service {
    private let settings: AuthoritySettings
    private let database: PostgresPool
    private let members: AuthorityMembers
    private let revoker: Revoker
    private let readIndex: ReadIndex
    private let entropy: Entropy
    private let logger: Logger

    /// How often it looks whether a member of the authority has been found wanting.
    private static let tick: Duration = .milliseconds(100)

    /// A keeper.
    package init(
        settings: AuthoritySettings,
        database: PostgresPool,
        members: AuthorityMembers,
        revoker: Revoker,
        readIndex: ReadIndex,
        entropy: Entropy,
        logger: Logger
    ) {
        self.settings = settings
        self.database = database
        self.members = members
        self.revoker = revoker
        self.readIndex = readIndex
        self.entropy = entropy
        self.logger = logger
    }

    /// What a keeper remembers from round to round.
    private struct Memory {
        var nextRound = MonotonicInstant(nanoseconds: 0)
        var quiet: (epoch: Int64, since: MonotonicInstant)?
        var lastReason = ""
    }

    /// Tends it until shutdown.
    package func run() async throws {
        var memory = Memory()
        while !Task.isShuttingDownGracefully {
            do {
                try await cancelWhenGracefulShutdown { try await Task.sleep(for: self.pause) }
                if let (authority, reason) = readIndex.takeClosing() {
                    try await revoker.close(authority, because: "\(reason)")
                    try await readIndex.renew()
                }
                guard memory.nextRound <= .now else { continue }
                memory.nextRound = .now + interval
                let before = memory
                memory = try await cancelWhenGracefulShutdown { try await self.round(before) }
            } catch is CancellationError {
                return
            } catch {
                logger.info("the authority could not be tended", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Only members can be found wanting; without them a node is not woken for nothing.
    private var pause: Duration {
        let isQuiet = readIndex.authority?.state == .pg && settings.members.isEmpty
        return isQuiet ? interval : Self.tick
    }

    /// A third of the lease, less up to a quarter of that, so that nodes do not do it all at once.
    private var interval: Duration {
        let lease = readIndex.authority?.lease ?? settings.lease
        let third = min(lease, settings.lease) / 3
        return third - third / 1000 * Int(entropy.next() % 250)
    }

    /// One round; returns what to remember.
    private func round(_ before: Memory) async throws -> Memory {
        var memory = before
        guard let authority = readIndex.authority else { return before }
        if authority.state != .pg { memory.quiet = nil }
        switch authority.state {
        case .redis: try await tend(authority)
        case .draining:
            #if DEBUG
            if Mutant.active == .adoptDraining { await tryToAdopt(&memory) }
            #endif
            try await revoker.settle()
            try await readIndex.renew()
        case .pg where settings.members.isEmpty || settings.adoption == .manual: break
        case .pg:
            if memory.quiet?.epoch != authority.epoch { memory.quiet = (authority.epoch, .now) }
            guard let since = memory.quiet?.since, since + settings.adoptAfter <= .now else {
                return memory
            }
            await tryToAdopt(&memory)
        }
        return memory
    }

    /// Looks at the members of the epoch, then renews the lease.
    ///
    /// A member that does not answer is left alone: the others may be enough, and if they are not
    /// every batch asks PostgreSQL. One that came back empty is adopted anew, with all.
    private func tend(_ authority: Authority) async throws {
        var returned: [String] = []
        for member in authority.members {
            let begun = MonotonicInstant.now
            guard let look = await members.look(at: member.endpoint) else { continue }
            readIndex.inspected(member.token, look, at: begun)
            if look.head != member.token || member.identity == nil,
                case .fit = look.finding
            {
                returned.append(member.endpoint)
            }
        }
        try await readIndex.renew()
        guard readIndex.authority?.epoch == authority.epoch else { return }
        if readIndex.distrusts(authority.epoch) {
            try await revoker.close(authority, because: "its members cannot be trusted")
        } else if !returned.isEmpty, settings.adoption == .automatic {
            let names = returned.joined(separator: ", ")
            try await revoker.close(authority, because: "\(names) has lost its token")
        } else {
            return
        }
        try await readIndex.renew()
    }

    private func tryToAdopt(_ memory: inout Memory) async {
        do {
            let epoch = try await adopt()
            logger.notice("the members are the authority", metadata: ["epoch": "\(epoch)"])
            memory.lastReason = ""
        } catch AdoptionRefusal.adopted, AdoptionRefusal.overtaken {
            // Another node was first; the next read tells.
            await learn()
        } catch let refusal as AdoptionRefusal {
            // The same reason again and again is said once.
            guard memory.lastReason != refusal.description else { return }
            memory.lastReason = refusal.description
            logger.warning("no member was adopted", metadata: ["reason": "\(refusal)"])
        } catch {
            logger.warning("no member was adopted", metadata: ["error": "\(error)"])
        }
    }

    private func learn() async {
        do {
            try await readIndex.renew()
        } catch {
            logger.info("the authority could not be read", metadata: ["error": "\(error)"])
        }
    }

    /// Gives the members fresh tokens and makes them the authority.
    ///
    /// Nothing is copied into them: whoever takes a lease does so with a statement whose snapshot
    /// holds every revocation so far (revocation.md 1.5).
    ///
    /// - Returns: the new epoch.
    /// - Throws: `AdoptionRefusal`, or a fault of the database.
    package func adopt() async throws -> Int64 {
        guard !members.endpoints.isEmpty else { throw AdoptionRefusal.noMembers }
        try await revoker.settle()
        let epoch = try await database.transaction { transaction -> Int64 in
            guard try await mayTry(transaction),
                let observed = try await transaction.first(AuthorityStore.get())
            else { throw AdoptionRefusal.overtaken }
            let authority = observed.authority
            guard authority.state != .redis else {
                throw AdoptionRefusal.adopted(epoch: authority.epoch)
            }
            guard mayFollow(authority.state) else { throw AdoptionRefusal.overtaken }
            let adopted = try await prepare()
            let changed = try await transaction.execute(
                AuthorityStore.adopt(
                    authority.epoch,
                    try AuthorityStore.text(of: adopted),
                    Int32(settings.lease.wholeMicroseconds / 1000)
                )
            )
            guard changed == 1 else { throw AdoptionRefusal.overtaken }
            return authority.epoch + 1
        }
        try await readIndex.renew()
        return epoch
    }

    /// Whether members may be the authority next: no lease of an earlier epoch is left (F2).
    private func mayFollow(_ state: AuthorityState) -> Bool {
        #if DEBUG
        if Mutant.active == .adoptDraining { return state != .redis }
        #endif
        return state == .pg
    }

    /// Whether it is this node that is to try, of several that want to.
    private func mayTry(_ transaction: PostgresTransaction) async throws -> Bool {
        #if DEBUG
        if Mutant.active == .tokenIsEpoch { return true }
        #endif
        return try await transaction.first(AuthorityStore.lock()) == true
    }

    /// A token that no other attempt has, of this node or another (H20).
    private func freshToken(_ number: Int) -> MemberToken {
        #if DEBUG
        if Mutant.active == .tokenIsEpoch {
            return MemberToken(text: "\((readIndex.authority?.epoch ?? 0) + 1)-\(number)")
        }
        #endif
        return MemberToken(entropy: entropy)
    }

    /// Empties the fit ones and gives them tokens, which are random for each attempt (H20); looks
    /// at them before and after, so that the identity recorded is that of the process emptied.
    private func prepare() async throws -> [AuthorityMember] {
        var adopted: [AuthorityMember] = []
        var reasons: [String] = []
        for endpoint in members.endpoints {
            let token = freshToken(adopted.count)
            var identity: MemberIdentity?
            switch await members.look(at: endpoint)?.finding {
            case .fit(let found):
                let isReady = await members.adopt(endpoint, token)
                let after = isReady ? await members.look(at: endpoint) : nil
                if after?.finding == .fit(found), after?.head == token {
                    identity = found
                } else {
                    reasons.append("\(endpoint): it did not take its token")
                }
            case .unfit(let flaw): reasons.append("\(endpoint): \(flaw)")
            case nil: reasons.append("\(endpoint): it does not answer")
            }
            adopted.append(
                AuthorityMember(endpoint: endpoint, token: token, identity: identity)
            )
        }
        let fit = adopted.count { $0.identity != nil }
        guard fit > adopted.count / 2 else { throw AdoptionRefusal.unfit(reasons) }
        return adopted
    }
}

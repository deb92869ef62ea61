// Keeps the node's roles as new as what the revocation log has told of them. A check never reads a
// role from the database; the batch that reveals a change reads the changed roles before it is
// answered (H27). Where that fails, the roles that changed and those that include them are in
// doubt: whoever holds one is answered 503, and nobody else notices (W10, W11).
package import Logging
package import Postgres
package import Primitives
package import Revocation
import ServiceLifecycle
import Synchronization

/// Keeps the node's snapshot of the roles.
package final class RoleKeeper: Service {
    /// The roles are read one reading at a time.
    private enum Reading { case roles }
    private struct State {
        var snapshot = RoleSnapshot()
        /// Ids that were looked for and are not there, with when; they were deleted.
        var absent: [RoleID: MonotonicInstant] = [:]
        /// Counts the readings; what was made from an older one is made anew.
        var generation = 0
        /// Which news of the revocation log have been looked at: read, or taken for doubtful.
        var holds = 0
        /// What could not be read, with the number of its last news.
        var unread: [RoleID: Int] = [:]
        /// Ids that somebody wants looked for and nobody has begun to.
        var wanted: Set<RoleID> = []
    }
    private let database: any PostgresExecutor
    private let readIndex: ReadIndex
    private let logger: Logger
    private let state = Mutex(State())
    private let reads = SharedRead<Reading>()
    private let readTime: Histogram

    /// How long one reading may take before the roles are in doubt.
    private let readLimit: Duration
    /// How long an id that is not there is not looked for.
    private static let absence: Duration = .seconds(1)
    /// The most such ids that are remembered.
    private static let absentLimit = 10_000
    /// The most ids that wait to be looked for, and the most of them that one reading takes along.
    private static let wantedLimit = 10_000
    private static let together = 500

    /// A keeper that has loaded nothing yet.
    package init(
        database: any PostgresExecutor,
        readIndex: ReadIndex,
        readLimit: Duration,
        logger: Logger,
        metrics: MetricsRegistry
    ) {
        self.database = database
        self.readIndex = readIndex
        self.readLimit = readLimit
        self.logger = logger
        readTime = metrics.histogram(
            "watchword_roles_read_seconds",
            help: "Time of reading roles and working out what they stand for."
        )
        metrics.computed("watchword_roles", help: "Roles held in memory.") { [weak self] in
            Double(self?.snapshot.roles.count ?? 0)
        }
        metrics.computed(
            "watchword_roles_doubtful",
            help: "Roles of which this node does not know what they permit now."
        ) { [weak self] in Double(self?.snapshot.doubtful.count ?? 0) }
    }

    /// The snapshot as it is now.
    package var snapshot: RoleSnapshot { state.withLock { $0.snapshot } }

    /// The snapshot, a number that is another one for each that was made, and how many of the news
    /// of the revocation log it has taken in.
    package var current: (snapshot: RoleSnapshot, generation: Int, holds: Int) {
        state.withLock { ($0.snapshot, $0.generation, $0.holds) }
    }

    /// How many of the news of the revocation log about roles the snapshot has taken in.
    package var heldChanges: Int { state.withLock { $0.holds } }

    /// Reads all roles, page by page; before the node has read anything of the log.
    package func load() async throws { try await reload {} }

    private func reload(_ confirm: () async throws -> Void) async throws {
        let covered = heldChanges
        let begun = MonotonicInstant.now
        var all: [RoleDefinition] = []
        while true {
            let last = all.last?.id ?? RoleID(high: 0, low: 0)
            let page = try await database.rows(RoleReadStore.page(last))
            all += page
            guard page.count == RoleReadStore.pageSize else { break }
        }
        // Each page is of a moment of its own: a role of a later one may include what was made
        // after the page where its id belongs, for ids are of nodes' clocks. Nobody tells of a new
        // role, so without it the one that includes it would permit less than was given.
        let unmet = Set(all.flatMap(\.includes)).subtracting(all.map(\.id))
        if !unmet.isEmpty { all += try await database.rows(RoleReadStore.find(Array(unmet))) }
        try await confirm()
        take(all, instead: nil, covering: covered)
        readTime.record(.now - begun)
    }

    /// Takes in the news of the revocation log up to the number `changes`.
    ///
    /// One statement for all who wait. It does not fail: what cannot be read is in doubt.
    ///
    /// - Parameter changed: which roles the news after a number are about, with their numbers.
    package func catchUp(
        to changes: Int,
        _ changed: (_ after: Int) -> [RoleID: Int]
    ) async throws {
        #if DEBUG
        if Mutant.active == .staleRoles {
            // It takes itself for one that has read.
            state.withLock { $0.holds = max($0.holds, changes) }
            return
        }
        #endif
        while heldChanges < changes {
            let news = changed(heldChanges)
            do {
                _ = try await reads.run(.roles) {
                    try await read(Array(news.keys), covering: changes)
                }
            } catch is CancellationError {
                throw CancellationError()
            } catch SharedReadFault.unread where heldChanges < changes && !Task.isCancelled {
                // The one who read was not serious, or has failed: find out.
                continue
            } catch {
                doubt(news, covering: changes, error)
            }
        }
    }

    /// Takes roles for doubtful.
    private func doubt(_ news: [RoleID: Int], covering changes: Int, _ error: any Error) {
        logger.warning(
            "roles have changed and could not be read",
            metadata: ["roles": "\(news.count)", "error": "\(error)"]
        )
        state.withLock { state in
            state.unread.merge(news) { max($0, $1) }
            state.snapshot.doubt(state.unread.keys)
            state.generation += 1
            state.holds = max(state.holds, changes)
        }
    }

    /// Reads some roles; the reading has seen the news up to `covered`.
    private func read(_ ids: [RoleID], covering covered: Int) async throws {
        let begun = MonotonicInstant.now
        let found = try await database.rows(
            RoleReadStore.find(ids),
            deadline: .after(readLimit)
        )
        // No snapshot may be newer than what the node has read of the log: what somebody holds is
        // as old as that.
        try await readIndex.confirm()
        take(found, instead: ids, covering: covered)
        readTime.record(.now - begun)
    }

    /// Puts what was read into the snapshot.
    ///
    /// Readings do not overlap (`SharedRead`), except with the first.
    private func take(_ found: [RoleDefinition], instead ids: [RoleID]?, covering covered: Int) {
        var next = snapshot
        next.replace(found, instead: ids)
        state.withLock { state in
            let read = ids.map(Set.init)
            state.unread = state.unread.filter { id, number in
                number > covered || read.map { !$0.contains(id) } ?? false
            }
            next.doubt(state.unread.keys)
            state.snapshot = next
            state.generation += 1
            // What a full reading covers it has read; news of some roles are taken in by number.
            state.holds = max(state.holds, covered)
        }
    }

    /// The snapshot, for somebody who holds `ids`; what it lacks of them is read first.
    ///
    /// Those who lack something at the same time share one read; an id that was not found is looked
    /// for again a second later at the earliest, and until then grants nothing.
    ///
    /// - Throws: `RoleDoubt` where one of them is in doubt.
    package func snapshot(knowing ids: [RoleID]) async throws -> RoleSnapshot {
        try await learn(ids)
        let snapshot = snapshot
        guard !snapshot.doubts(ids) else { throw RoleDoubt() }
        return snapshot
    }

    /// Reads those of `ids` that the snapshot lacks, unless they were looked for a moment ago.
    ///
    /// One statement for all who wait, whatever they lack.
    package func learn(_ ids: [RoleID]) async throws {
        // Another round is for who began to wait after the reading had begun.
        for _ in 0..<8 {
            let missing = lacking(ids)
            guard !missing.isEmpty else { return }
            want(missing)
            _ = try await reads.run(.roles) {
                let all = takeWanted(missing)
                try await read(all, covering: heldChanges)
                noteAbsent(all)
            }
        }
        // A role that was not read is not one that permits nothing.
        guard lacking(ids).isEmpty else { throw SharedReadFault.unread }
    }

    /// Leaves `ids` for whoever reads next.
    private func want(_ ids: [RoleID]) {
        state.withLock { state in
            if state.wanted.count < Self.wantedLimit { state.wanted.formUnion(ids) }
        }
    }

    /// `own`, and of what others want as much as one reading has time for.
    private func takeWanted(_ own: [RoleID]) -> [RoleID] {
        let wanted = state.withLock { state in
            defer { state.wanted = [] }
            return Array(state.wanted)
        }
        let open = lacking(wanted)
        want(Array(open.dropFirst(Self.together)))
        return Array(Set(open.prefix(Self.together)).union(own))
    }

    private func lacking(_ ids: [RoleID]) -> [RoleID] {
        state.withLock { state in
            let missing = ids.filter { state.snapshot.roles[$0] == nil }
            guard !missing.isEmpty else { return [] }
            let now = MonotonicInstant.now
            return missing.filter { id in
                state.absent[id].map { now - $0 >= Self.absence } ?? true
            }
        }
    }

    private func noteAbsent(_ ids: [RoleID]) {
        let now = MonotonicInstant.now
        state.withLock { state in
            if state.absent.count >= Self.absentLimit { state.absent = [:] }
            for id in ids where state.snapshot.roles[id] == nil { state.absent[id] = now }
        }
    }

    /// Reads what is in doubt twice a second, and everything every ten minutes, until shutdown.
    package func run() async throws {
        var turns = 0
        await untilShutdown(every: .seconds(0.5)) {
            turns += 1
            if turns % 1200 == 0 {
                _ = try await reads.run(.roles) {
                    try await reload { try await readIndex.confirm() }
                }
            } else {
                try await mend()
            }
        } onFailure: {
            logger.warning("the roles could not be read again", metadata: ["error": "\($0)"])
        }
    }

    private func mend() async throws {
        let (unread, covered) = state.withLock { (Array($0.unread.keys), $0.holds) }
        guard !unread.isEmpty else { return }
        _ = try await reads.run(.roles) { try await read(unread, covering: covered) }
    }

    /// All statements, for the test that prepares them.
    package static var statements: [StatementInfo] {
        [RoleReadStore.page.info, RoleReadStore.find.info]
    }
}

/// A role has changed and could not be read since.
package struct RoleDoubt: Fault {
    /// The fault.
    package init() {}
    package var isTransient: Bool { true }
    package var description: String { "a role has changed and could not be read" }
}

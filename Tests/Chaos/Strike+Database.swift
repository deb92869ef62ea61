// The faults of PostgreSQL itself: frozen and killed processes, crashes, failovers, two primaries,
// writers and locks that stay open.
import ChaosKit
import Glibc
import TestKit

extension Strike {
    mutating func strikeDatabase() async throws {
        let database = rig.database
        var spender: ChildProcess?
        if [.killBackend, .crashPrimary, .failOver].contains(kind) {
            spender = try await spend()
            try await pause(100...300)
        }
        defer { spender?.kill() }
        switch kind {
        case .freezeBackends:
            let share = Int.random(in: 1...4, using: &dice)
            try await freeze(
                database.backends.shuffled(using: &dice).filter { _ in
                    Int.random(in: 0..<4, using: &dice) < share
                }
            )
        case .freezeCommits: try await freezeCommits()
        case .freezeHelper:
            let helpers = database.processes().filter { !$0.title.contains("127.0.0.1(") }
            try await freeze(helpers.map(\.id).shuffled(using: &dice).prefix(1) + [])
        case .killBackend:
            // The whole server begins anew from its log then, without a new postmaster.
            if let victim = database.backends.randomElement(using: &dice) { kill(victim, SIGKILL) }
            try await pause(500...1000)
        case .crashPrimary: try await Blocking.run { try database.crash() }
        case .failOver:
            let isSynchronous = !plan.mayLose
            let begun = nanoseconds()
            if plan.mayLose {
                // Commits are acknowledged and go nowhere.
                let senders = database.processes().filter { $0.title.contains("walsender") }
                for sender in senders { kill(sender.id, SIGSTOP) }
                try await pause(100...600)
            }
            let gone = try await Blocking.run {
                try database.failOver(isSynchronous: isSynchronous)
            }
            history.failedOver(from: begun, gone: gone, until: nanoseconds())
        case .freezeStandby:
            let standby = 1 - database.primary
            try await freeze(database.processes(of: standby).map(\.id))
        case .partPrimaries: try await partPrimaries()
        case .longWriter:
            let seconds = Double(dice.milliseconds(300...2000)) / 1000
            await attempt {
                try database.sql("SELECT pg_current_xact_id(), pg_sleep(\(seconds))")
            }
        case .lockLog:
            // Whoever revokes waits before it can append; whoever reads does not.
            let seconds = Double(dice.milliseconds(300...2500)) / 1000
            await attempt {
                try database.sql(
                    """
                    LOCK TABLE revocation_log IN SHARE ROW EXCLUSIVE MODE;
                    SELECT pg_sleep(\(seconds))
                    """
                )
            }
        default: preconditionFailure("\(kind) is no fault of the database")
        }
    }

    /// The standby becomes the primary while the one of before goes on (A2 broken, H9): one node
    /// has a way to the old one alone, the others to the new one alone.
    ///
    /// What the others revoke and acknowledge meanwhile the one does not hear of.
    private mutating func partPrimaries() async throws {
        let database = rig.database
        let old = database.primary
        let cut = (0..<Rig.nodeCount).map { other in
            Rig.routes(of: other).lowerBound + (other == node ? 1 - old : old)
        }
        var closed = FaultProxy.Fault()
        closed.refuses = true
        for route in cut { rig.proxy.set(closed, on: route) }
        try await Blocking.run { try database.promoteBeside() }
        for route in cut { rig.proxy.reset(route) }
        try await pause(4000...8000)
        try await Blocking.run { try database.fenceOther() }
        for route in cut { rig.proxy.set(FaultProxy.Fault(), on: route) }
    }

    /// Freezes some of the backends that have written and not yet committed, and lets the others
    /// go on: lower numbers are committed after higher ones were read (F1).
    ///
    /// Commits gather while the standby does not answer.
    private mutating func freezeCommits() async throws {
        let database = rig.database
        let standby = database.processes(of: 1 - database.primary).map(\.id)
        for process in standby { kill(process, SIGSTOP) }
        try await pause(150...300)
        let log = "/tmp/\(getpid()).commits"
        defer { unlink(log) }
        let words = database.words(
            "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name"
                + " <> 'psql'"
        )
        await attempt { _ = try ChildProcess.launch(words, log: log).wait() }
        let waiting = PrivateFolder.read(log).split(separator: "\n").compactMap { Int32($0) }
        let held = waiting.filter { _ in Bool.random(using: &dice) }
        for process in held { kill(process, SIGSTOP) }
        for process in standby { kill(process, SIGCONT) }
        try await pause(100...800)
        for process in held { kill(process, SIGCONT) }
    }

    /// Takes transaction numbers as fast as it can, for whatever comes next; returns when it does.
    ///
    /// What was rolled back and not yet flushed leaves nothing in the log, so a crash or a failover
    /// gives those numbers out again, for other revocations (F4).
    private func spend() async throws -> ChildProcess {
        let loop = """
            DO $$ BEGIN FOR i IN 1..1000000 LOOP
                PERFORM pg_current_xact_id(); ROLLBACK;
                IF i = 1000 THEN RAISE NOTICE 'spending'; END IF;
            END LOOP; END $$
            """
        let log = "/tmp/\(getpid()).spender"
        defer { unlink(log) }
        let spender = try ChildProcess.launch(rig.database.words(loop), log: log)
        // On a busy machine it takes a while until it has begun.
        let limit = nanoseconds() + 5_000_000_000
        while PrivateFolder.read(log).isEmpty, spender.isRunning, nanoseconds() < limit {
            try await Task.sleep(for: .milliseconds(10))
        }
        return spender
    }
}

// The load: keep-alive connections to every node, and to the gateway before it, on one thread. In
// the milliseconds in which a revocation has just been acknowledged every connection fires, again
// and again; otherwise a trickle checks what is about to be revoked and what was revoked a while
// ago. Times are taken around the write and after the read. It must be cheap, because it shares the
// machine with all that it tests.
import ChaosKit
import Glibc
import Synchronization

/// Sends checks of what `aim` names until it is stopped.
final class Load: Sendable {
    private let aim: Aim
    private let history: History
    private let ports: Ports
    private let plan: CampaignPlan
    private let isStopped = Atomic<Bool>(false)
    private let hasEnded = Atomic<Bool>(false)

    /// Where nodes are asked, and the gateways before them, if there are any.
    typealias Ports = (nodes: [Int], gateways: [Int])

    /// A load on these.
    init(_ aim: Aim, _ history: History, ports: Ports, _ plan: CampaignPlan) {
        self.aim = aim
        self.history = history
        self.ports = ports
        self.plan = plan
    }

    /// Runs on the calling thread.
    func run() {
        LoadLoop(aim, history, ports, plan).run { isStopped.load(ordering: .relaxed) }
        hasEnded.store(true, ordering: .releasing)
    }

    /// Ends it and waits until it has.
    func stop() {
        isStopped.store(true, ordering: .relaxed)
        while !hasEnded.load(ordering: .acquiring) { usleep(1000) }
    }
}

private final class LoadLoop {
    private let aim: Aim
    private let history: History
    private let wires: [Wire]
    private let bound: Int64?
    private var sights: [Aim.Sight] = []
    private var old: (all: [Target], latest: [Target]) = ([], [])
    private var edition = -1
    private var next = 0
    /// When each node is due again.
    private var trickleAt: [Int64]
    private var records: [CheckRecord] = []
    /// How long after an acknowledgement everybody fires.
    private static let window: Int64 = 5_000_000
    /// The pauses between checks of a node that are no near misses, in nanoseconds: short ones, so
    /// that a read is under way, and long ones, so that the next has to begin one.
    private static let trickle: ClosedRange<Int64> = 500_000...20_000_000

    init(_ aim: Aim, _ history: History, _ ports: Load.Ports, _ plan: CampaignPlan) {
        self.aim = aim
        self.history = history
        bound = plan.bound.map { Int64($0) * 1_000_000 }
        wires = Self.wires(ports, plan)
        trickleAt = Array(repeating: 0, count: ports.nodes.count)
    }

    /// Node by node in turn, so that a part of them is a part of each; which of a node's lead
    /// through its gateway, the seed decides.
    private static func wires(_ ports: Load.Ports, _ plan: CampaignPlan) -> [Wire] {
        var dice = Dice(seed: plan.seed)
        let share = plan.through.share(of: plan.connections)
        let guarded = ports.nodes.map { _ in
            Set((0..<plan.connections).shuffled(using: &dice).prefix(share))
        }
        return (0..<plan.connections).flatMap { number in
            ports.nodes.indices.map { node in
                if guarded[node].contains(number) {
                    return Wire(node: node, port: ports.gateways[node], .guarded)
                }
                // Four and the number of nodes have no divisor in common.
                let isGeneral = (number * ports.nodes.count + node).isMultiple(of: 4)
                return Wire(node: node, port: ports.nodes[node], isGeneral ? .general : .plain)
            }
        }
    }

    func run(until isStopped: () -> Bool) {
        while !isStopped() {
            if aim.edition != edition {
                edition = aim.edition
                sights = aim.all
                old = aim.old
            }
            let now = nanoseconds()
            for wire in wires { wire.connect(now) }
            fire(now)
            listen()
            if !records.isEmpty {
                history.checked(records)
                records.removeAll(keepingCapacity: true)
            }
        }
        for wire in wires where wire.descriptor >= 0 { wire.lose() }
    }

    private func fire(_ now: Int64) {
        let since = now - (bound ?? 0)
        let fresh = sights.filter {
            guard let end = $0.acknowledged else { return false }
            return end < since && since - end < Self.window
        }
        if !fresh.isEmpty {
            for wire in wires where wire.state == .idle {
                next += 1
                wire.ask(fresh[next % fresh.count].target)
            }
            return
        }
        guard trickleAt.contains(where: { $0 <= now }) else { return }
        let first = Int.random(in: 0..<wires.count)
        for wire in wires[first...] + wires[..<first]
        where wire.state == .idle && trickleAt[wire.node] <= now {
            trickleAt[wire.node] = now + Int64.random(in: Self.trickle)
            next += 1
            let target =
                switch Int.random(in: 0..<4) {
                case 0: old.all.randomElement()
                case 1: old.latest.randomElement()
                default: sights.randomElement()?.target
                }
            if let target { wire.ask(target) }
        }
    }

    /// Waits for answers, a bell or the next trickle.
    private func listen() {
        var list = [pollfd(fd: aim.ear, events: Int16(POLLIN), revents: 0)]
        var busy: [Wire] = []
        for wire in wires {
            switch wire.state {
            case .closed, .idle: continue
            case .connecting:
                list.append(pollfd(fd: wire.descriptor, events: Int16(POLLOUT), revents: 0))
            case .asking:
                list.append(pollfd(fd: wire.descriptor, events: Int16(POLLIN), revents: 0))
            }
            busy.append(wire)
        }
        poll(&list, nfds_t(list.count), 1)
        if list[0].revents != 0 {
            var rung = [UInt8](repeating: 0, count: 256)
            _ = read(aim.ear, &rung, rung.count)
        }
        for (wire, entry) in zip(busy, list.dropFirst()) where entry.revents != 0 {
            if let record = wire.hear(bound) { records.append(record) }
        }
    }
}

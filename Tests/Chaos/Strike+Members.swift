// The faults of the members of the authority and of a node's ways to them. None lets a process
// forget and keep its token (A4), except that an old snapshot comes back under it in another
// process, which nodes must notice.
import ChaosKit
import Glibc
import TestKit

extension Strike {
    /// Some of the members, mostly one.
    private mutating func some() -> [Int] {
        let count = min(
            rig.members.count,
            dice.choose([(1, weight: 4), (2, weight: 2), (3, weight: 1)])
        )
        return Array((0..<rig.members.count).shuffled(using: &dice).prefix(count))
    }

    mutating func strikeMembers() async throws {
        let members = rig.members
        let victims = some()
        history.note("members \(victims)")
        switch kind {
        case .freezeMembers:
            for member in victims { members.server(member).freeze() }
            try await pause(50...2500)
            for member in victims { members.server(member).thaw() }
        case .killMember:
            for member in victims { try await members.server(member).kill() }
            try await pause(0...1000)
            for member in victims { try await members.server(member).restart() }
        case .restoreMember: try await restore(victims)
        case .demoteMember: try await demote(victims[0])
        case .moveMembers: try await move()
        case .strayMembers: try await stray()
        case .flushMembers:
            for member in victims { await attempt { try members.command(member, "FLUSHALL") } }
        case .farAdoption: try await adoptFar(victims)
        case .fillMembers:
            for member in victims {
                await attempt { try members.command(member, "CONFIG", "SET", "maxmemory", "1mb") }
            }
            try await pause(100...2500)
            for member in victims {
                await attempt { try members.command(member, "CONFIG", "SET", "maxmemory", "1gb") }
            }
        default: preconditionFailure("\(kind) is no fault of members")
        }
    }

    /// Members are empty, and adopted again while one node is far from PostgreSQL and the others
    /// are far from the members: much happens between two statements of the one, log-outs are
    /// acknowledged before the adoption is done, and the first after it comes late to the members,
    /// which have nothing to tell until then.
    private mutating func adoptFar(_ victims: [Int]) async throws {
        let (rig, node) = (rig, node)
        for member in victims { await attempt { try rig.members.command(member, "FLUSHALL") } }
        var far = FaultProxy.Fault()
        far.delay = [.requests: dice.milliseconds(40...120), .replies: dice.milliseconds(40...120)]
        let own = Array(Rig.routes(of: node).prefix(2))
        for route in own { rig.proxy.set(far, on: route) }
        far.delay = [.requests: dice.milliseconds(40...120)]
        let others = (0..<Rig.nodeCount).filter { $0 != node }.flatMap { other in
            (0..<rig.members.count).map { Rig.route(of: other, toMember: $0) }
        }
        for route in others { rig.proxy.set(far, on: route) }
        try await pause(plan.lease / 2...plan.lease / 2)
        let limit = nanoseconds() + Int64(2 * plan.lease + 3000) * 1_000_000
        while nanoseconds() < limit, try await Blocking.run({ !rig.isAdopted }) {
            try await pause(20...20)
        }
        try await pause(300...300)
        for route in own + others { rig.proxy.set(FaultProxy.Fault(), on: route) }
    }

    /// Members come back with what they held a moment before, under the same token: the process
    /// that died, as a Redis with `save` does, or a server in its place that lags.
    ///
    /// Of that one node hears before the others, who still write to the member as it was.
    private mutating func restore(_ victims: [Int]) async throws {
        let members = rig.members
        for member in victims { await attempt { try members.save(member) } }
        let isReplaced = Int.random(in: 0..<4, using: &dice) > 0
        if isReplaced { for member in victims { try await members.prepare(member) } }
        // The longer, the more it has forgotten.
        try await pause(50...3000)
        for member in victims {
            if isReplaced {
                let port = members.move(member).port
                for node in 0..<Rig.nodeCount {
                    rig.proxy.lead(Rig.route(of: node, toMember: member), to: port)
                }
                rig.proxy.reset(Rig.route(of: node, toMember: member))
            } else {
                try await members.server(member).kill()
                try await members.server(member).restart()
            }
            members.forgetSaved(member)
        }
        try await pause(200...(isReplaced ? 3000 : 1000))
        guard isReplaced else { return }
        for route in allRoutes { rig.proxy.reset(route) }
    }

    /// A member follows another server for a while, which has nothing of the log.
    private mutating func demote(_ member: Int) async throws {
        let members = rig.members
        let master = "\(rig.redis.port)"
        await attempt { try members.command(member, "REPLICAOF", "127.0.0.1", master) }
        try await pause(5...1500)
        await attempt { try members.command(member, "REPLICAOF", "NO", "ONE") }
    }

    /// The names of most members lead to other servers from now on.
    ///
    /// One node keeps its connections to the old ones for a while, and often hears nothing of
    /// PostgreSQL either, so that it does not learn of another epoch before its lease is over (F2).
    private mutating func move() async throws {
        let members = rig.members
        let least = members.count / 2 + 1
        let share = Int.random(in: least...members.count, using: &dice)
        let moved = Array((0..<members.count).shuffled(using: &dice).prefix(share))
        history.note("moved \(moved)")
        for member in moved {
            let port = members.move(member).port
            for other in 0..<Rig.nodeCount {
                rig.proxy.lead(Rig.route(of: other, toMember: member), to: port)
                if other != node { rig.proxy.reset(Rig.route(of: other, toMember: member)) }
            }
        }
        if Int.random(in: 0..<4, using: &dice) > 0 {
            var deaf = FaultProxy.Fault()
            deaf.holds = [.requests, .replies]
            let ways = Array(Rig.routes(of: node).prefix(2))
            try await proxied(ways, deaf, plan.lease / 2...plan.lease + 500)
        } else {
            try await pause(plan.lease / 6...plan.lease)
        }
        for member in moved { rig.proxy.reset(Rig.route(of: node, toMember: member)) }
    }

    /// The names of most members lead one node to copies of them, token included, in what it asks
    /// or in what it writes; everything else stays with the members (H4).
    private mutating func stray() async throws {
        let members = rig.members
        let strayed = (0..<members.count).shuffled(using: &dice).prefix(members.count / 2 + 1)
        let isWriting = Bool.random(using: &dice)
        history.note("strayed \(Array(strayed)) in what it \(isWriting ? "writes" : "asks")")
        for member in strayed { await attempt { try members.save(member) } }
        for member in strayed { try await members.prepare(member) }
        for member in strayed {
            let route = Rig.route(of: node, toMember: member)
            rig.proxy.lead(route, to: members.other(member).port)
            rig.proxy.reset(route, withScripts: isWriting)
        }
        try await pause(plan.lease / 6...plan.lease)
        for member in strayed {
            let route = Rig.route(of: node, toMember: member)
            rig.proxy.lead(route, to: members.server(member).port)
            rig.proxy.reset(route)
            // Where the file was written late.
            members.forgetSaved(member)
        }
    }

    mutating func strikeMemberLink() async throws {
        let node = node
        let routes = some().map { Rig.route(of: node, toMember: $0) }
        switch kind {
        case .resetMembers: for route in routes { rig.proxy.reset(route) }
        case .delayMembers:
            var fault = FaultProxy.Fault()
            fault.delay = [
                .requests: dice.milliseconds(0...60), .replies: dice.milliseconds(0...60),
            ]
            try await proxied(routes, fault, 300...2500)
        case .spreadMembers: try await spread()
        default: try await cut(routes)
        }
    }

    /// Each node has a short way to some members and a long one to the others, again and again: who
    /// revokes is heard first where others who check do not ask first.
    ///
    /// The way back is long too: who asks all the time would soon know, by an answer to an old
    /// question, what a member far away has just taken.
    private mutating func spread() async throws {
        for _ in 0..<Int.random(in: 5...20, using: &dice) {
            for route in allRoutes {
                var way = FaultProxy.Fault()
                if Bool.random(using: &dice) {
                    let far = dice.milliseconds(50...200)
                    way.delay = [.requests: far, .replies: far]
                }
                rig.proxy.set(way, on: route)
            }
            try await pause(100...300)
        }
        for route in allRoutes { rig.proxy.set(FaultProxy.Fault(), on: route) }
    }

    /// Nothing passes on `routes` for a while, in one direction or both; who is first on the
    /// others is a matter of chance, again and again.
    private mutating func cut(_ routes: [Int]) async throws {
        var fault = FaultProxy.Fault()
        fault.holds = dice.choose([
            ([.requests], weight: 3), ([.replies], weight: 1),
            ([.requests, .replies], weight: 1),
        ])
        for route in routes { rig.proxy.set(fault, on: route) }
        for _ in 0..<Int.random(in: 3...15, using: &dice) {
            for route in allRoutes where !routes.contains(route) {
                var disorder = FaultProxy.Fault()
                disorder.delay = [.requests: dice.milliseconds(0...8)]
                rig.proxy.set(disorder, on: route)
            }
            try await pause(100...200)
        }
        for route in allRoutes { rig.proxy.set(FaultProxy.Fault(), on: route) }
    }

    private var allRoutes: [Int] {
        (0..<Rig.nodeCount).flatMap { node in
            (0..<rig.members.count).map { Rig.route(of: node, toMember: $0) }
        }
    }
}

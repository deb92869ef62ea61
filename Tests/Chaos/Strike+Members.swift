// The faults of the members of the authority and of a node's ways to them. None lets a process
// forget and keep its token (A4), except that an old snapshot comes back under it in another
// process, which nodes must notice.
import ChaosKit
import Glibc
import TestKit

extension Strike {
    /// Some of the members, at least one.
    private mutating func some() -> [Int] {
        let count = Int.random(in: 1...rig.members.count, using: &dice)
        return Array((0..<rig.members.count).shuffled(using: &dice).prefix(count))
    }

    mutating func strikeMembers() async throws {
        let members = rig.members
        let victims = some()
        history.note("members \(victims)")
        switch kind {
        case .freezeMembers:
            for member in victims { members.servers[member].freeze() }
            try await pause(50...2500)
            for member in victims { members.servers[member].thaw() }
        case .killMember:
            for member in victims { try await members.servers[member].kill() }
            try await pause(0...1000)
            for member in victims { try await members.servers[member].restart() }
        case .restoreMember: try await restore(victims)
        case .demoteMember: try await demote(victims[0])
        case .flushMembers:
            for member in victims { await attempt { try members.command(member, "FLUSHALL") } }
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

    /// Members come back with what they held a moment before they died, under the same token, as a
    /// Redis with `save` does.
    private mutating func restore(_ victims: [Int]) async throws {
        let members = rig.members
        for member in victims { await attempt { try members.save(member) } }
        try await pause(50...500)
        for member in victims { try await members.servers[member].kill() }
        for member in victims {
            try await members.servers[member].restart()
            members.forgetSaved(member)
        }
        try await pause(200...1000)
    }

    /// A member follows another server for a while, which has nothing of the log.
    private mutating func demote(_ member: Int) async throws {
        let members = rig.members
        let master = "\(rig.redis.port)"
        await attempt { try members.command(member, "REPLICAOF", "127.0.0.1", master) }
        try await pause(5...1500)
        await attempt { try members.command(member, "REPLICAOF", "NO", "ONE") }
    }

    mutating func strikeMemberLink() async throws {
        let node = node
        let routes = some().map { Rig.route(of: node, toMember: $0) }
        var fault = FaultProxy.Fault()
        switch kind {
        case .resetMembers:
            for route in routes { rig.proxy.reset(route) }
            return
        case .delayMembers:
            fault.delay = [
                .requests: dice.milliseconds(0...60), .replies: dice.milliseconds(0...60),
            ]
        default:
            fault.holds = dice.choose([
                ([.requests], weight: 2), ([.replies], weight: 1),
                ([.requests, .replies], weight: 1),
            ])
        }
        try await proxied(routes, fault, 50...2500)
    }
}

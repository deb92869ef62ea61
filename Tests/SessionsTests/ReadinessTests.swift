// What a node says of itself at `/readyz`: each thing that is not well has its name, and only what
// keeps `/verify` from answering takes the node out. Draining is in ClusterTests, with a listener.
import ClusterKit
import Primitives
import Revocation
import TestKit
import Testing
import Tokens
import Web

@Suite(.serialized) struct ReadinessTests {
    /// The names of what a node complains about.
    private func named(_ readiness: Readiness) -> [String] {
        readiness.checks.filter { $0.complaint != nil }.map(\.name)
    }

    private func untilReady(_ node: TestNode) async throws {
        try await until("the node is ready") { await node.readiness().status == "ready" }
    }

    @Test(arguments: [1, -1])
    func `A node whose clock is off by more than a minute is not ready (H13, A5)`(
        _ direction: Int
    ) async throws {
        try await Cluster.run { cluster in
            let node = cluster.nodes[0]
            try await untilReady(node)
            cluster.clock.advance(by: .seconds(30 * direction))
            let near = named(await node.readiness())
            #expect(!near.contains("clock"))
            cluster.clock.advance(by: .seconds(90 * direction))
            let off = await node.readiness()
            let clock = off.checks.first { $0.name == "clock" }
            #expect(clock?.complaint != nil && clock?.isRequired == true)
            #expect(!off.isReady && off.status == "not-ready")
            // By a clock that is behind no key has begun to sign either.
            let all = named(off)
            #expect(direction < 0 || all == ["clock"])
            cluster.clock.advance(by: .seconds(-120 * direction))
            try await untilReady(node)
        }
    }

    @Test func `A key that does not open is named, and takes a node out where it signs (W10)`()
        async throws
    {
        let first = MasterKey.generate(version: 1, entropy: .system)
        let second = MasterKey.generate(version: 2, entropy: .system)
        try await Cluster.run(
            2,
            set: ["keys.master": first],
            only: [1: ["keys.master": "\(first),\(second)"]]
        ) { cluster in
            let (old, new) = (cluster.nodes[0], cluster.nodes[1])
            try await untilReady(old)
            try await cluster.renewRefreshKey(on: 1)
            try await old.keys.reload()
            let degraded = await old.readiness()
            let lesser = named(degraded)
            #expect(lesser == ["keys"])
            #expect(degraded.isReady && degraded.status == "degraded")
            _ = try await new.keys.makeSigningKey(atOnce: true, by: nil, cluster.trace())
            try await old.keys.reload()
            let out = await old.readiness()
            let greater = named(out)
            #expect(greater == ["keys"])
            #expect(!out.isReady && out.status == "not-ready")
            try await untilReady(new)
        }
    }

    @Test(arguments: [1, 3])
    func `Members that do not answer are named, and the node serves on (H30)`(
        _ count: Int
    ) async throws {
        var started: [RedisServer] = []
        for _ in 0..<count { started.append(try await RedisServer.start()) }
        let members = started
        let settings = [
            "authority.members": members.map { "unix://\($0.socket)" }.joined(separator: ","),
            // Nothing but the members decides who answers: no lease ends meanwhile.
            "authority.lease": "60s", "authority.poll_limit": "1s",
            "authority.publish_limit": "5s",
        ]
        try await Cluster.run(set: settings) { cluster in
            let node = cluster.nodes[0]
            let before = await node.readiness()
            let unadopted = named(before)
            #expect(unadopted.contains("authority") && before.isReady)
            _ = try await node.keeper.adopt()
            try await untilReady(node)
            if count == 3 {
                // One of three is not missed.
                members[0].freeze()
                try await untilReady(node)
            }
            members[count - 1].freeze()
            // Nobody has revoked anything, so the members are the authority still.
            try await node.readIndex.confirm()
            let lost = await node.readiness()
            let missed = named(lost)
            #expect(missed == ["authority"])
            #expect(lost.isReady && lost.status == "degraded")
            #expect(node.readIndex.authority?.state == .redis)
            for member in members { member.thaw() }
            try await untilReady(node)
            #expect(node.readIndex.authority?.epoch == 2)
        }
    }
}

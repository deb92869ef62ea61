// More of what can happen to members of the Redis authority, each of it alone: demoted and promoted
// back, trimmed, or late with one answer. Nothing else gives it away, so what notices it is what
// the protocol has for it and not a log-out that closes the epoch.
import ChaosKit
import ClusterKit
import Primitives
import Revocation
import Sessions
import TestKit
import Testing

extension AuthorityTests {
    private static let reads = "watchword_revocation_reads_total"
    private static let fallbacks = "watchword_revocation_fallbacks_total"

    /// The process is the same, its token and its log are there; only its history is another.
    @Test func `A member that was demoted and promoted back closes the epoch (H4, H5, A4)`()
        async throws
    {
        try await withMembers(1) { cluster, members in
            try await revokeOne(cluster)
            let kept = try await cluster.signIn()
            for node in cluster.nodes { try await settle(node) }
            // No keeper looks until it is a master again.
            try await tell(members[0], "REPLICAOF", "127.0.0.1", "1")
            try await tell(members[0], "REPLICAOF", "NO", "ONE")
            let report = try await cluster.authority(.show)
            #expect(report.complaints == [])
            #expect(report.members == 1)
            #expect(report.epoch == 2)
            try await whileTended(cluster) {
                try await until("the epoch is closed") {
                    try await cluster.number("SELECT epoch FROM revocation_authority") > 2
                }
                try await until("it is adopted anew, as what it is now") {
                    try await cluster.number(Self.adopted + " AND epoch > 3") == 1
                }
                try await revokeOne(cluster)
                #expect(try await cluster.isGoodEverywhere(kept.accessToken))
            }
        }
    }

    @Test func `What was trimmed before a node has read it is found in PostgreSQL (H21, W1)`()
        async throws
    {
        try await withMembers(1, set: ["authority.lease": "60s"]) { cluster, members in
            let node = cluster.nodes[1]
            try await revokeOne(cluster)
            let pair = try await cluster.signIn()
            for node in cluster.nodes { try await settle(node) }
            #expect(try await cluster.isGoodEverywhere(pair.accessToken))
            // The second node asks nobody meanwhile.
            try await cluster.logOut(pair)
            try await tell(members[0], "XTRIM", "rv:log", "MAXLEN", "0")
            let reads = node.value(Self.reads)
            let fallbacks = node.value(Self.fallbacks)
            let verdict = try await cluster.judge(pair.accessToken, on: 1)
            guard case .refused(.revoked, _) = verdict else {
                throw Unexpected("the second node accepts what was revoked")
            }
            #expect(node.value(Self.reads) > reads)
            #expect(node.value(Self.fallbacks) == fallbacks + 1)
            // A gap is no reason to distrust the member: it answers again behind it.
            try await until("the member answers again") { try await answersFromMembers(node) }
            #expect(try await cluster.number(Self.adopted + " AND epoch = 2") == 1)
            try await revokeOne(cluster)
        }
    }

    /// What it reads at rest are the renewals of its lease.
    @Test func `A node at rest renews its lease and asks the members nothing`() async throws {
        try await withMembers(1, nodes: 1) { cluster, _ in
            let node = cluster.nodes[0]
            let polls = "watchword_revocation_polls_total"
            try await until("the members answer") { try await answersFromMembers(node) }
            try await whileTended(cluster) {
                let asked = node.value(polls)
                #expect(asked > 0)
                let before = node.value(Self.reads)
                try await until("the lease was renewed several times") {
                    node.value(Self.reads) >= before + 5
                }
                #expect(node.value(polls) == asked)
            }
            #expect(try await cluster.number(Self.adopted + " AND epoch = 2") == 1)
        }
    }

    /// The value of a metric as it is shown, with its fraction.
    private func exact(_ node: TestNode, _ name: String) throws -> Double {
        let lines = node.metrics.exposition().split(separator: "\n")
        let line = try #require(lines.first { $0.hasPrefix("\(name) ") }, "\(name)")
        return try #require(Double(line.dropFirst(name.count + 1)), "\(line)")
    }

    /// The states that the node shows as the one that is.
    private func states(_ node: TestNode) throws -> [String] {
        try ["pg", "redis", "draining"].filter { state in
            try exact(node, "watchword_authority_state{state=\"\(state)\"}") == 1
        }
    }

    /// What an operator's alerts go by.
    @Test func `Epoch, state and age of the lease are shown as they are`() async throws {
        try await withMembers(1, nodes: 1, set: ["authority.lease": "60s"]) { cluster, _ in
            let node = cluster.nodes[0]
            let age = "watchword_authority_lease_age_seconds"
            for round in 1...2 {
                let begun = MonotonicInstant.now
                try await node.readIndex.renew()
                let renewed = MonotonicInstant.now
                let young = try exact(node, age)
                let most = MonotonicInstant.now - begun
                #expect(young >= 0 && young <= most.inSeconds, "round \(round): \(young)")
                #expect(try states(node) == ["redis"])
                #expect(try exact(node, "watchword_authority_epoch") == 2)
                // Time itself, and not a wait for anything.
                try await Task.sleep(for: .milliseconds(1200))
                let least = MonotonicInstant.now - renewed
                let old = try exact(node, age)
                #expect(old >= least.inSeconds, "round \(round): \(old)")
            }
            #expect(try await cluster.authority(.close).state == "pg")
            try await node.readIndex.renew()
            #expect(try states(node) == ["pg"])
            #expect(try exact(node, "watchword_authority_epoch") == 3)
            #expect(try exact(node, age) == -1)
        }
    }

    /// Nothing is revoked and no epoch closed: the late answer meets a node that still polls.
    @Test func `A connection that owes an answer is given up, and the next poll has another (H16)`()
        async throws
    {
        var options = RedisServer.Options()
        options.tcp = true
        let member = try await RedisServer.start(options)
        let proxy = try FaultProxy(upstream: [member.port])
        defer { proxy.stop() }
        let settings = [
            "authority.members": "redis://127.0.0.1:\(proxy.ports[0])", "authority.lease": "60s",
            "authority.poll_limit": "2s", "authority.publish_limit": "5s",
        ]
        let connects = "watchword_redis_connects_total{pool=\"authority_1_polls\"}"
        try await Cluster.run(set: settings) { cluster in
            let node = cluster.nodes[0]
            _ = try await cluster.signUp()
            _ = try await node.keeper.adopt()
            try await revokeOne(cluster)
            let pair = try await cluster.signIn()
            try await until("the member answers") { try await answersFromMembers(node) }
            let made = node.value(connects)
            #expect(made >= 1)
            var fault = FaultProxy.Fault()
            fault.holds = [.replies]
            proxy.set(fault, on: 0)
            let before = node.value(Self.fallbacks)
            // The proxy may have looked at its faults a moment ago.
            try await until("one answer is held, and PostgreSQL is asked instead") {
                try await node.readIndex.confirm()
                return node.value(Self.fallbacks) > before
            }
            proxy.set(FaultProxy.Fault(), on: 0)
            try await until("the member answers again") { try await answersFromMembers(node) }
            #expect(node.value(connects) > made)
            #expect(try await cluster.isGoodEverywhere(pair.accessToken))
            #expect(try await cluster.number(Self.adopted + " AND epoch = 2") == 1)
            try await revokeOne(cluster)
        }
    }
}

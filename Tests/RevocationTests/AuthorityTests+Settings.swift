// What settings have to do with members: a member whose own settings change after its adoption is
// none any more (revocation.md 1.9), and who adopts is the operator's choice. And what the members
// are asked where many checks come at once.
import ClusterKit
import Primitives
import Revocation
import Sessions
import TestKit
import Testing

extension AuthorityTests {
    /// What it may not be when it is adopted it may not become: each renewal looks again.
    @Test(arguments: [
        ("save", "3600 1"), ("appendonly", "yes"), ("maxmemory-policy", "allkeys-lru"),
        ("maxmemory-policy", "volatile-ttl"),
    ])
    func `A member that is set up otherwise closes the epoch at a renewal (A4, H4, H6)`(
        _ name: String,
        _ value: String
    ) async throws {
        try await withMembers(1) { cluster, members in
            let kept = try await cluster.signIn()
            for node in cluster.nodes { try await settle(node) }
            try await tell(members[0], "CONFIG", "SET", name, value)
            // Nobody revokes anything, so nothing else could have noticed.
            try await whileTended(cluster) {
                try await until("PostgreSQL is the authority") {
                    try await cluster.text("SELECT state FROM revocation_authority") == "pg"
                }
                #expect(try await cluster.isGoodEverywhere(kept.accessToken))
                try await revokeOne(cluster)
            }
            // Nor was it adopted anew, and the operator is told why.
            #expect(try await cluster.number(Self.adopted) == 0)
            let report = try await cluster.authority(.show)
            #expect(report.complaints.joined().contains(name))
        }
    }

    @Test(arguments: ["automatic", "manual"])
    func `Nodes adopt members by themselves only where they may`(_ mode: String) async throws {
        try await withMembers(1, nodes: 1, set: ["authority.adoption": mode]) { cluster, _ in
            #expect(try await cluster.authority(.close).state == "pg")
            try await cluster.nodes[0].readIndex.renew()
            try await whileTended(cluster) {
                if mode == "manual" {
                    // Many rounds: each is a third of a second, and a tenth would be enough.
                    try await Task.sleep(for: .seconds(3))
                    #expect(try await cluster.number(Self.adopted) == 0)
                    #expect(try await cluster.authority(.adopt).state == "redis")
                }
                try await until("the member is adopted") {
                    try await cluster.number(Self.adopted + " AND epoch = 4") == 1
                }
                try await revokeOne(cluster)
            }
        }
    }

    /// What the members are asked follows the batches and not the checks.
    @Test func `Five hundred checks at once cost the members few questions, PostgreSQL none`()
        async throws
    {
        try await withMembers(1, nodes: 1, set: ["authority.lease": "60s"]) { cluster, _ in
            let node = cluster.nodes[0]
            let (reads, polls) = (
                "watchword_revocation_reads_total", "watchword_revocation_polls_total"
            )
            try await until("the members answer") { try await answersFromMembers(node) }
            let before = (reads: node.value(reads), polls: node.value(polls))
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<500 { group.addTask { try await node.readIndex.confirm() } }
                try await group.waitForAll()
            }
            #expect(node.value(reads) == before.reads)
            let asked = node.value(polls) - before.polls
            #expect((1...100).contains(asked), "\(asked)")
        }
    }
}

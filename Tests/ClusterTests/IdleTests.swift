// What a node does when nobody asks it anything: it does not ask either. What it reads of the log
// it reads for checks, and RevocationTests shows the same of members.
import Testing

@Suite struct IdleTests {
    @Test func `A node at rest asks nobody how far the revocations have got`() async throws {
        var plan = Cluster.Plan()
        plan.nodes = 1
        let cluster = try await Cluster.start(plan)
        let node = cluster.nodes[0]
        let tokens = try await cluster.signIn(cluster.person())
        let reads = "watchword_revocation_reads_total"
        let polls = "watchword_revocation_polls_total"
        let before = try await node.metric(reads)
        let answer = try await node.client.send("GET", "/verify", tokens.bearer)
        #expect(answer.status == 200)
        let asked = try await node.metric(reads)
        #expect(before > 0)
        #expect(asked > before)
        // The rest itself, and not a wait for anything: several turns of whatever is periodic.
        // Nobody may ask /readyz meanwhile, which reads the log as a check does.
        try await Task.sleep(for: .seconds(6))
        let rested = try await node.metric(reads)
        #expect(rested == asked)
        #expect(try await node.metric(polls) == 0)
    }
}

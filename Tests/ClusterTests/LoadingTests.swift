// What a node says while it starts: nothing, until it has read all that was ever revoked. A token
// that was ended before is refused by the first answer there is.
import TestKit
import Testing

@Suite(.serialized) struct LoadingTests {
    /// What a node says of somebody's token; nil where nobody listens.
    private func status(_ node: NodeProcess, _ tokens: Tokens) async throws -> Int? {
        do {
            return try await node.client.send("GET", "/verify", tokens.bearer).status
        } catch is ClusterError {
            return nil
        }
    }

    @Test func `A node that has not read the log yet answers no check (H24, W1, W10)`()
        async throws
    {
        var plan = Cluster.Plan()
        plan.isPatient = false
        plan.nodes = 1
        let cluster = try await Cluster.start(plan)
        let good = try await cluster.signIn(cluster.person())
        let ended = try await cluster.signIn(cluster.person())
        let out = try await cluster.node.send("POST", "/v1/auth/logout", ended.bearer)
        #expect(out.status == 204)
        // Each reading of the log reads this row as well.
        let holder = try await LockHolder(
            cluster,
            "LOCK TABLE revocation_authority IN ACCESS EXCLUSIVE MODE"
        )
        defer { holder.letGo() }
        let node = try await NodeProcess.launch(
            cluster.variables,
            log: "\(cluster.folder)/loading.log",
            secrets: cluster.secrets
        )
        try await eventually("the new node waits for the log") {
            try await cluster.sql(
                """
                SELECT count(*) FROM pg_locks
                 WHERE relation = 'revocation_authority'::regclass AND NOT granted
                """
            ) != "0"
        }
        for tokens in [good, ended, good, ended] {
            let answer = try await status(node, tokens)
            #expect(answer == nil || answer == 503)
        }
        holder.letGo()
        var first: Int?
        try await eventually("the new node answers", patience: .seconds(120)) {
            guard node.process.isRunning else {
                throw ClusterError("it ended: \(PrivateFolder.read(node.logFile).suffix(2000))")
            }
            first = try await status(node, ended)
            return first != nil && first != 503
        }
        #expect(first == 401)
        #expect(try await status(node, good) == 200)
    }
}

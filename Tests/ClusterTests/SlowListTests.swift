// A list that takes long: what a verdict has to wait for, what a log-out has, and what whoever
// signs in has, are read on connections that no list is on, so nobody else notices. Shown while the
// very same list waits at every node before and after: then it was not waited for, however slow the
// machine is.
import Testing

@Suite struct SlowListTests {
    private static let path = "/v1/admin/statistics"

    /// Two nodes of one event loop: its lists and its checks use the same connections.
    private func start() async throws -> Cluster {
        var plan = Cluster.Plan()
        plan.isPatient = false
        plan.nodes = 2
        plan.variables = ["WATCHWORD_HTTP_EVENT_LOOPS": "1"]
        return try await Cluster.start(plan)
    }

    /// Somebody who may see the list, signed in.
    private func reader(_ cluster: Cluster) async throws -> Tokens {
        let person = try await cluster.person()
        try await cluster.grant("readers", ["statistics:read"], to: person)
        return try await cluster.signIn(person)
    }

    /// Which lists wait for their table, and since when.
    private func waiting(_ cluster: Cluster) async throws -> [String] {
        try await cluster.sql(
            """
            SELECT DISTINCT a.pid || ' ' || a.query_start
              FROM pg_locks l
              JOIN pg_stat_activity a USING (pid)
             WHERE NOT l.granted
               AND l.relation = 'statistics_hours'::regclass
               AND a.query LIKE '%ORDER BY s.hour, s.measure%'
             ORDER BY 1
            """
        )
        .split(separator: "\n").map(String.init)
    }

    /// Does `work`, again and again, until one and the same list has waited at each node meanwhile.
    private func whileListsWait(
        _ cluster: Cluster,
        _ what: String,
        _ work: () async throws -> Void
    ) async throws {
        try await eventually("\(what) while lists wait") {
            let before = try await waiting(cluster)
            // A node has one connection for its lists.
            guard before.count == cluster.nodes.count else { return false }
            try await work()
            return try await waiting(cluster) == before
        }
    }

    /// Asks every node for the list all the time while `work` is done, and nobody is answered.
    private func withSlowLists(
        _ cluster: Cluster,
        _ tokens: Tokens,
        _ work: () async throws -> Void
    ) async throws {
        let holder = try await LockHolder(
            cluster,
            "LOCK TABLE statistics_hours IN ACCESS EXCLUSIVE MODE"
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            // Before the group waits for those who ask.
            defer { holder.letGo() }
            for node in cluster.nodes {
                group.addTask {
                    // Given up after `lock_timeout`, and asked for again.
                    while !Task.isCancelled {
                        _ = try await node.client.send("GET", Self.path, tokens.bearer)
                    }
                }
            }
            try await work()
            group.cancelAll()
        }
    }

    @Test
    func `a list that is not answered keeps no check and no log-out waiting (W1, W11)`()
        async throws
    {
        let cluster = try await start()
        let reader = try await reader(cluster)
        let person = try await cluster.person()
        let tokens = try await cluster.signIn(person)
        for node in cluster.nodes {
            let list = try await node.client.send("GET", Self.path, reader.bearer)
            #expect(list.status == 200, "\(list.body)")
        }
        try await cluster.expectEverywhere(200, tokens.bearer)

        try await withSlowLists(cluster, reader) {
            try await whileListsWait(cluster, "tokens are checked") {
                try await cluster.expectEverywhere(200, tokens.bearer)
            }
            try await whileListsWait(cluster, "a session is opened, used and ended") {
                let session = try await cluster.signIn(person)
                let own = try await cluster.node.send("GET", "/v1/me", session.bearer)
                #expect(own.status == 200, "\(own.body)")
                let out = try await cluster.node.send("POST", "/v1/auth/logout", session.bearer)
                #expect(out.status == 204, "\(out.body)")
                try await cluster.expectEverywhere(401, session.bearer)
            }
            // Rights that no token says, and a role that no node has met.
            try await whileListsWait(cluster, "new rights are in force") {
                try await cluster.raise(person, by: ["orders:write"])
                for node in cluster.nodes {
                    let path = "/verify?permission=orders:write"
                    let answer = try await node.client.send("GET", path, tokens.bearer)
                    #expect(answer.status == 200, "\(answer.body)")
                }
            }
        }
        // The list was only slow.
        for node in cluster.nodes {
            try await eventually("the list is answered again") {
                try await node.client.send("GET", Self.path, reader.bearer).status == 200
            }
        }
    }
}

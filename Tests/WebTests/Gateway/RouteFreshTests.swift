// Rules in memory are as new as the log tells, on nodes as the composition root builds them: on
// every node when a change is acknowledged, or no answer at all (W10, W11).
import Access
import ClusterKit
import Postgres
import Primitives
import Testing

@testable import Sessions
@testable import Web

@Suite(.serialized) struct RouteFreshTests {
    private static let settings = [
        "verify.original_request": "x-original", "verify.route_rules": "on",
    ]

    private static func put(
        _ cluster: Cluster,
        _ access: RouteAccess,
        on index: Int = 0
    ) async throws {
        let rule = RouteDefinition(methods: ["GET"], path: "/a", access: access)
        _ = try await cluster.nodes[index].web.routeRules.replace(
            with: [rule],
            by: RouteEditor(
                account: AccountID(at: cluster.clock.wall.now(), entropy: .system),
                trace: cluster.trace(),
                seen: .any
            )
        )
    }

    /// What a listener of the first node answers to `GET /a` without a credential.
    private static func ask(_ port: Int, _ query: String = "") async throws -> String {
        let server = RunningServer(port: port, logs: LogRecorder(), stop: {})
        return try await server.connect { client in
            try await client.send(
                Array(
                    ("GET /verify\(query) HTTP/1.1\r\nHost: a\r\nX-Original-Method: GET\r\n"
                        + "X-Original-URI: /a\r\n\r\n").utf8
                )
            )
            client.finish()
            let answer = try await client.readToEnd()
            return String(answer.dropFirst("HTTP/1.1 ".count).prefix(3))
        }
    }

    @Test func `a change on one node is in force on the other when it is acknowledged (W11)`()
        async throws
    {
        try await Cluster.run(2, set: Self.settings) { cluster in
            for round in 0..<10 {
                let access: RouteAccess = round % 2 == 0 ? .everybody : .authenticated
                try await Self.put(cluster, access, on: round % 2)
                for node in cluster.nodes {
                    _ = try await node.web.verifier.confirmation(node.web.routes, staleness: nil)
                    let found = node.web.routes.table.rules.map(\.definition.access)
                    #expect(found == [access], "round \(round)")
                }
            }
        }
    }

    @Test(arguments: [true, false])
    func `rules that cannot be read anew are not used: 503, and no old answer (W10)`(
        _ isFast: Bool
    ) async throws {
        try await Cluster.run(1, set: Self.settings) { cluster in
            let node = cluster.nodes[0]
            try await VerifyListener.run(cluster, isFast: isFast) { listener in
                try await Self.put(cluster, .everybody)
                #expect(try await Self.ask(listener.port) == "200")
                try await Self.put(cluster, .authenticated)
                // Whoever reads the rules waits from now on.
                let hold = cluster.makePool(applicationName: "holder")
                try await hold.start()
                try await hold.transaction { transaction in
                    try await transaction.script("LOCK TABLE route_rules IN ACCESS EXCLUSIVE MODE")
                    for query in ["", "?max_age=0"] {
                        #expect(try await Self.ask(listener.port, query) == "503")
                    }
                    #expect(!node.web.verifier.isFresh(within: .hours(1), node.web.routes))
                    // What needs no rules is not held up.
                    try await node.web.verifier.confirm()
                }
                await hold.close()
                #expect(try await Self.ask(listener.port) == "401")
            }
        }
    }

    /// What tells nodes of version `version` of the rules.
    private static func news(_ version: String) -> String {
        """
        INSERT INTO revocation_log (kind, subject, ver, expires_at)
        SELECT 12, uuid_send('00000000-0000-0000-0000-000000000000'), \(version),
               revocation_expiry()
          FROM route_rule_set;
        """
    }

    @Test func `a rule that this version cannot read lets nobody pass (W10)`() async throws {
        try await Cluster.run(1, set: Self.settings) { cluster in
            try await VerifyListener.run(cluster, isFast: true) { listener in
                try await Self.put(cluster, .everybody)
                #expect(try await Self.ask(listener.port) == "200")
                try await cluster.run(
                    """
                    INSERT INTO route_rules (id, position, methods, path, access, created_at,
                                             updated_at)
                    VALUES (gen_random_uuid(), 2, '{GET}', '/a//b', 'public', now(), now());
                    UPDATE route_rule_set SET version = version + 1;
                    """ + Self.news("version")
                )
                #expect(try await Self.ask(listener.port) == "500")
            }
        }
    }

    @Test func `a database that has lost a change of the rules has none to rest on (W2, W10)`()
        async throws
    {
        try await Cluster.run(1, set: Self.settings) { cluster in
            try await VerifyListener.run(cluster, isFast: true) { listener in
                try await Self.put(cluster, .everybody)
                #expect(try await Self.ask(listener.port) == "200")
                // The entry was written back, the rules were not (H7).
                try await cluster.run(Self.news("version + 1"))
                #expect(try await Self.ask(listener.port) == "503")
                try await Self.put(cluster, .authenticated)
                #expect(try await Self.ask(listener.port) == "401")
            }
        }
    }

    @Test func `a public page that is closed while a request waits is closed for it`() async throws
    {
        try await Cluster.run(1, set: Self.settings) { cluster in
            try await VerifyListener.run(cluster, isFast: true) { listener in
                for _ in 0..<20 {
                    try await Self.put(cluster, .everybody)
                    #expect(try await Self.ask(listener.port) == "200")
                    // The table still says public; the log that this request waits for does not.
                    try await Self.put(cluster, .authenticated)
                    #expect(try await Self.ask(listener.port) == "401")
                }
            }
        }
    }
}

// `X-Org` on the fast path of `/verify`: it stays there, it is as new as the log tells, and the
// sampler looks again at what was accepted there, as it does on the general path.
import Access
import ClusterKit
import Primitives
import Revocation
import Testing

@testable import Sessions
@testable import Web

@Suite(.serialized) struct OrganisationFastTests {
    /// The status of a check of the member's token in the organisation.
    private static func ask(
        _ token: TokenPair,
        _ port: Int,
        _ query: String = "?role=admin"
    ) async throws -> String {
        let server = RunningServer(port: port, logs: LogRecorder(), stop: {})
        let text = String(decoding: token.accessToken.exposed, as: UTF8.self)
        return try await server.connect { client in
            try await client.send(
                Array(
                    ("GET /verify\(query) HTTP/1.1\r\nHost: a\r\n"
                        + "X-Org: \(OrganisationScene.id)\r\n"
                        + "Authorization: Bearer \(text)\r\n\r\n").utf8
                )
            )
            client.finish()
            let answer = try await client.readToEnd()
            return String(answer.dropFirst("HTTP/1.1 ".count).prefix(3))
        }
    }

    @Test func `an organisation in X-Org is answered on the fast path, as new as the log (W11)`()
        async throws
    {
        try await Cluster.run { cluster in
            let node = cluster.nodes[0]
            let scene = try await OrganisationScene(cluster)
            let token = try await cluster.signIn("ada")
            try await VerifyListener.run(cluster, isFast: true) { listener in
                var asked = 0
                func expect(_ status: String, _ query: String = "?role=admin") async throws {
                    asked += 1
                    #expect(try await Self.ask(token, listener.port, query) == status)
                }
                for _ in 0..<3 { try await expect("200") }
                // Once for the account; what is remembered is asked for no more.
                #expect(node.value("watchword_rights_resolutions_total") == 1)
                try await expect("403", "?role=nobody")
                for state in [OrganisationState.disabled, .active, .disabled] {
                    try await scene.change(state)
                    try await expect(state == .active ? "200" : "403")
                    try await expect(state == .active ? "200" : "403", "")
                }
                #expect(node.value("watchword_verify_fast_total") == asked)
                #expect(node.value("watchword_verify_general_total") == 0)
            }
        }
    }

    @Test(arguments: [true, false])
    func `a change of an organisation that a node has missed is noticed afterwards (W1, W11)`(
        _ isFast: Bool
    ) async throws {
        try await Cluster.run(set: ["revocation.sampler": "1"]) { cluster in
            let node = cluster.nodes[0]
            _ = try await OrganisationScene(cluster)
            let token = try await cluster.signIn("ada")
            let checks = "watchword_revocation_sampler_checks_total"
            let violations = "watchword_revocation_sampler_violations_total"
            try await VerifyListener.run(cluster, isFast: isFast) { listener in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await node.sampler.run() }
                    try await until("good checks are looked at") {
                        let status = try await Self.ask(token, listener.port)
                        #expect(status == "200")
                        return node.value(checks) > 0
                    }
                    #expect(node.value(violations) == 0)
                    // So that no reader finds it: an xid below every cursor.
                    try await cluster.run(
                        """
                        INSERT INTO revocation_log (xid, kind, subject, ver, expires_at)
                        VALUES ('3', 7, uuid_send('\(OrganisationScene.id)'), 5,
                                revocation_expiry())
                        """
                    )
                    try await until("it is noticed") {
                        let status = try await Self.ask(token, listener.port)
                        #expect(status == "200")
                        return node.value(violations) > 0
                    }
                    group.cancelAll()
                    try await group.waitForAll()
                }
            }
        }
    }
}

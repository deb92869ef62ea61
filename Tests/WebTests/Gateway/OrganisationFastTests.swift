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
    private static let id = "00000000-0000-7000-8000-00000000a001"

    /// One organisation with a member, who is signed in.
    private struct Scene {
        let cluster: Cluster
        let token: String
        let root: Grantor

        init(_ cluster: Cluster) async throws {
            self.cluster = cluster
            let member = try await cluster.signUp("ada")
            let root = try await cluster.signUp("root")
            self.root = Grantor(account: root, narrowedTo: nil, realm: .everywhere)
            try await cluster.run(
                """
                INSERT INTO account_roles (account_id, role_id, granted_at)
                VALUES ('\(root)', '\(BuiltInRole.admin)', now());
                INSERT INTO organisations (id, name, display_name, created_at, updated_at)
                VALUES ('\(id)', 'acme', 'Acme', now(), now());
                INSERT INTO organisation_members (organisation_id, account_id, joined_at)
                VALUES ('\(id)', '\(member)', now());
                INSERT INTO account_roles (account_id, role_id, scope, granted_at)
                VALUES ('\(member)', '\(BuiltInRole.admin)', 'org:\(id)', now());
                """
            )
            let pair = try await cluster.signIn("ada")
            token = String(decoding: pair.accessToken.exposed, as: UTF8.self)
        }

        /// The status of a check of the token in the organisation.
        func ask(_ port: Int, _ query: String = "?role=admin") async throws -> String {
            let server = RunningServer(port: port, logs: LogRecorder(), stop: {})
            return try await server.connect { client in
                try await client.send(
                    Array(
                        ("GET /verify\(query) HTTP/1.1\r\nHost: a\r\nX-Org: \(id)\r\n"
                            + "Authorization: Bearer \(token)\r\n\r\n").utf8
                    )
                )
                client.finish()
                let answer = try await client.readToEnd()
                return String(answer.dropFirst("HTTP/1.1 ".count).prefix(3))
            }
        }

        func change(_ state: OrganisationState) async throws {
            _ = try await cluster.nodes[0].web.administration.organisations.change(
                try #require(OrganisationID(id)),
                displayName: nil,
                state: state,
                by: root,
                cluster.trace()
            )
        }
    }

    @Test func `an organisation in X-Org is answered on the fast path, as new as the log (W11)`()
        async throws
    {
        try await Cluster.run { cluster in
            let node = cluster.nodes[0]
            let scene = try await Scene(cluster)
            try await VerifyListener.run(cluster, isFast: true) { listener in
                var asked = 0
                func expect(_ status: String, _ query: String = "?role=admin") async throws {
                    asked += 1
                    #expect(try await scene.ask(listener.port, query) == status)
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
            let scene = try await Scene(cluster)
            let checks = "watchword_revocation_sampler_checks_total"
            let violations = "watchword_revocation_sampler_violations_total"
            try await VerifyListener.run(cluster, isFast: isFast) { listener in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await node.sampler.run() }
                    try await until("good checks are looked at") {
                        let status = try await scene.ask(listener.port)
                        #expect(status == "200")
                        return node.value(checks) > 0
                    }
                    #expect(node.value(violations) == 0)
                    // So that no reader finds it: an xid below every cursor.
                    try await cluster.run(
                        """
                        INSERT INTO revocation_log (xid, kind, subject, ver, expires_at)
                        VALUES ('3', 7, uuid_send('\(Self.id)'), 5, revocation_expiry())
                        """
                    )
                    try await until("it is noticed") {
                        let status = try await scene.ask(listener.port)
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

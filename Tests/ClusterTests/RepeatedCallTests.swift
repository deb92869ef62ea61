// A creating call of the admin API that is sent again: one thing is made, whichever node is asked.
import Primitives
import TestKit
import Testing

@Suite(.leavesNoSecrets) struct RepeatedCallTests {
    private func roles(_ cluster: Cluster, _ admin: Tokens, named name: String) async throws -> Int
    {
        let all = try await cluster.items("/v1/admin/roles", admin.bearer)
        return all.count { $0.at("name")?.string == name }
    }

    @Test func `ten calls with one key make one role, and all are told where it is`() async throws {
        let cluster = try await Cluster.shared()
        let admin = try await cluster.signIn(cluster.administrator)
        let name = "repeated-\(try await cluster.person().id.suffix(12))"
        let json = "{\"name\":\"\(name)\",\"permissions\":[]}"
        let fields = admin.bearer + [("Idempotency-Key", name)]
        let answers = try await withThrowingTaskGroup(of: HTTPAnswer.self) { group in
            for index in 0..<10 {
                let client = cluster.nodes[index % cluster.nodes.count].client
                group.addTask {
                    try await client.send("POST", "/v1/admin/roles", fields, json: json)
                }
            }
            var all: [HTTPAnswer] = []
            for try await answer in group { all.append(answer) }
            return all
        }
        for answer in answers where answer.status != 201 {
            #expect(answer.status == 409)
            #expect(answer.code == "idempotency-key-reused")
            #expect(answer["Retry-After"] != nil)
        }
        let first = answers.filter { $0.status == 201 && $0["Idempotent-Replayed"] == nil }
        #expect(first.count == 1)
        let made = try #require(first.first)
        let id = try #require(made.text("id"))
        #expect(made["Location"] == "/v1/admin/roles/\(id)")
        #expect(try await roles(cluster, admin, named: name) == 1)

        let again = try await cluster.node.send("POST", "/v1/admin/roles", fields, json: json)
        #expect(again.status == 201)
        #expect(again["Idempotent-Replayed"] == "true")
        #expect(again.body == made.body)
        #expect(again["Location"] == made["Location"])
        // Without the key it is one call more, and the name is taken.
        let other = try await cluster.node.send(
            "POST",
            "/v1/admin/roles",
            admin.bearer,
            json: json
        )
        #expect(other.code == "name-taken")
        #expect(other.status == 409)
        // With it, another body is refused before anything else is looked at.
        let changed = try await cluster.node.send(
            "POST",
            "/v1/admin/roles",
            fields,
            json: "{\"name\":\"\(name)-2\",\"permissions\":[]}"
        )
        #expect(changed.code == "idempotency-key-reused")
    }
}

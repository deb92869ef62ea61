// What the audit log says of roles: what they are given and what they lose, so that nobody gives a
// right that is not seen there, be it in a long list or by way of another role (W9).
import Primitives
import Revocation
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct RoleRecordTests {
    /// Somebody who holds everything and changes roles; he does nothing else.
    private struct Scene: Sendable {
        let cluster: Cluster
        let desk: AdminDesk
        let mark: String

        init(_ cluster: Cluster) async throws {
            self.cluster = cluster
            let person = try await cluster.person()
            mark = String(person.id.suffix(12))
            try await cluster.grant("keeper-\(mark)", ["*:*"], to: person)
            desk = try await AdminDesk(cluster, person)
        }

        /// A call of his on roles; it must be answered by `status`.
        @discardableResult
        func call(
            _ method: String,
            _ rest: String,
            _ json: String,
            _ status: Int = 200
        ) async throws -> HTTPAnswer {
            let answer = try await cluster.node.send(
                method,
                "/v1/admin/roles\(rest)",
                desk.tokens.bearer,
                json: json
            )
            guard answer.status == status else { throw ClusterError("\(json): \(answer.body)") }
            return answer
        }

        /// What the log says of an action of his, newest first.
        func details(_ action: String) async throws -> [JSONValue] {
            let answer = try await cluster.node.send(
                "GET",
                "/v1/admin/audit?actor=\(desk.id)&action=\(action)&limit=100",
                desk.tokens.bearer
            )
            guard answer.status == 200 else { throw ClusterError(answer.body) }
            return (answer.json.at("items")?.items ?? []).compactMap { $0.at("detail") }
        }
    }

    private static let member = "00000000-0000-7000-8000-000000000002"

    private static func texts(_ texts: [String]) -> JSONValue {
        .list(texts.map { .text($0) })
    }

    @Test func `of a role the log says what is new, and nothing of what stays (W9)`() async throws {
        // A cluster of its own: elsewhere the role would be given to the accounts of other tests.
        var plan = Cluster.Plan()
        plan.nodes = 1
        let scene = try await Scene(try await Cluster.start(plan))
        let (one, two) = ("one-\(scene.mark)", "two-\(scene.mark)")
        let created = """
            {"name":"\(one)","permissions":["users:read"],"includes":["\(Self.member)"]}
            """
        let made = try await scene.call("POST", "", created, 201)
        let id = try #require(made.text("id"))
        let first = JSONValue.object([
            "role_id": .text(id), "name": .text(one),
            "permissions_added": Self.texts(["users:read"]),
            "includes_added": Self.texts([Self.member]),
        ])
        let entries = try await scene.details("role.created")
        #expect(entries == [first])
        for (change, name, members) in [
            (
                "\"permissions\":[\"roles:read\"]", one,
                [
                    "permissions_added": Self.texts(["roles:read"]),
                    "permissions_removed": Self.texts(["users:read"]),
                ]
            ),
            ("\"name\":\"\(two)\"", two, ["former_name": .text(one)]),
            ("\"includes\":[]", two, ["includes_removed": Self.texts([Self.member])]),
            ("\"default\":true", two, ["default": .boolean(true)]),
            ("\"description\":\"of words\"", two, ["description": .text("of words")]),
            (
                "\"default\":false,\"includes\":[\"\(Self.member)\"]", two,
                ["default": .boolean(false), "includes_added": Self.texts([Self.member])]
            ),
        ] as [(String, String, [String: JSONValue])] {
            try await scene.call("PATCH", "/\(id)", "{\(change)}")
            var wanted = members
            wanted["role_id"] = .text(id)
            wanted["name"] = .text(name)
            let details = try await scene.details("role.changed")
            #expect(details.first == .object(wanted), "\(change)")
        }
    }

    @Test func `a change that changes nothing is not recorded, and makes no new version (W9)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let scene = try await Scene(cluster)
        let same = """
            {"name":"same-\(scene.mark)","permissions":["users:read","roles:read"],
             "includes":["\(Self.member)"],"default":false,"description":"d"}
            """
        let made = try await scene.call("POST", "", same, 201)
        let id = try #require(made.text("id"))
        for json in ["{}", same, "{\"permissions\":[\"roles:read\",\"users:read\"]}"] {
            let answer = try await scene.call("PATCH", "/\(id)", json)
            #expect(answer.body == made.body, "\(json)")
        }
        #expect(try await scene.details("role.changed").isEmpty)
        try await scene.call("PATCH", "/\(id)", "{\"description\":\"e\"}")
        #expect(try await scene.details("role.changed").count == 1)
        // Of people too.
        let person = try await cluster.person()
        let any = [("If-Match", "*")]
        let before = try await scene.desk.send("GET", "/\(person.id)")
        let empty = try await scene.desk.send("PATCH", "/\(person.id)", any, json: "{}")
        #expect(empty.status == 200 && empty["ETag"] == before["ETag"], "\(empty.body)")
        #expect(try await scene.details("account.changed").isEmpty)
        let named = "{\"profile\":{\"given_name\":\"Grace\"}}"
        let changed = try await scene.desk.send("PATCH", "/\(person.id)", any, json: named)
        #expect(changed.status == 200 && changed["ETag"] != before["ETag"], "\(changed.body)")
        #expect(try await scene.details("account.changed").count == 1)
    }

    @Test func `a change that was made before is told again, and acknowledged by that (H19, W11)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let scene = try await Scene(cluster)
        let role = "{\"name\":\"told-\(scene.mark)\",\"permissions\":[\"users:read\"]}"
        let made = try await scene.call("POST", "", role, 201)
        let id = try #require(made.text("id"))
        // How many entries there are of the role, and of how many versions.
        let entries = """
            SELECT count(*) || ' of ' || count(DISTINCT l.ver)
              FROM revocation_log l
             WHERE l.kind = \(RevocationKind.role.rawValue)
               AND l.subject = uuid_send('\(id)')
            """
        let emptied = try await scene.call("PATCH", "/\(id)", "{\"permissions\":[]}")
        #expect(try await cluster.sql(entries) == "1 of 1")
        // As if the first had died after its commit: with members nobody else has heard of it.
        let again = try await scene.call("PATCH", "/\(id)", "{\"permissions\":[]}")
        #expect(again.body == emptied.body)
        #expect(try await cluster.sql(entries) == "2 of 1")
        #expect(try await scene.details("role.changed").count == 1)
    }

    @Test func `a thousand permissions hide none that administers, in whatever order (W9)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let scene = try await Scene(cluster)
        let space = "p\(scene.mark)"
        let plain = (1001...1996).map { "\(space):a\($0)" }
        try await cluster.sql(
            """
            INSERT INTO permissions (name, description, created_at)
            SELECT '\(space):a' || n, 'd', now() FROM generate_series(1001, 1996) n
            """
        )
        let heavy = ["*:*", "users:*", "users:impersonate", "\(space):*"]
        let list = Array((heavy + plain).reversed()).map { "\"\($0)\"" }.joined(separator: ",")
        let name = "long-\(scene.mark)"
        let json = "{\"name\":\"\(name)\",\"permissions\":[\(list)]}"
        let made = try await scene.call("POST", "", json, 201)
        let id = try #require(made.text("id"))
        let named = Self.texts(heavy + plain.prefix(96))
        let created = try await scene.details("role.created")
        let gained = JSONValue.object([
            "role_id": .text(id), "name": .text(name),
            "permissions_added": named, "permissions_added_count": .integer(1000),
        ])
        #expect(created == [gained])
        try await scene.call("PATCH", "/\(id)", "{\"permissions\":[\"\(plain[0])\"]}")
        let changed = try await scene.details("role.changed")
        let lost = JSONValue.object([
            "role_id": .text(id), "name": .text(name),
            "permissions_removed": Self.texts(heavy + plain[1...96]),
            "permissions_removed_count": .integer(999),
        ])
        #expect(changed == [lost])
    }
}

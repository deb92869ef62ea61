// Permissions as they are declared: listed with what they allow, described anew, taken away when no
// role holds them; and all of it, with the removal of a role, in the audit log (W9).
import Primitives
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct PermissionTests {
    private static let path = "/v1/admin/permissions"

    /// An administrator, and the name of a permission that nobody else uses.
    private struct Scene {
        let cluster: Cluster
        let desk: AdminDesk
        let name: String

        init() async throws {
            cluster = try await Cluster.shared()
            desk = try await AdminDesk(cluster)
            name = "p\(Hex.encode(Entropy.system.bytes(6))):write"
        }

        /// A call of his at a node, on `/v1/admin`.
        func call(
            _ method: String,
            _ path: String,
            _ json: String? = nil,
            at node: Int = 0
        ) async throws -> HTTPAnswer {
            try await cluster.nodes[node].client.send(
                method,
                "/v1/admin\(path)",
                desk.tokens.bearer,
                json: json
            )
        }

        /// The permission as the list has it; nil where it has not.
        func listed() async throws -> JSONValue? {
            let items = try await cluster.items(PermissionTests.path, desk.tokens.bearer)
            let names = items.compactMap { $0.at("name")?.string }
            #expect(names.count == items.count && Set(names).count == names.count)
            return items.first { $0.at("name") == .text(name) }
        }

        /// What the audit log says where `detail` has such a member: what was done, whether by him,
        /// and how many events there are of it.
        func record(_ member: String, _ value: String) async throws -> String {
            try await cluster.sql(
                """
                SELECT string_agg(action || ' ' || (actor_id = '\(desk.id)') || ' '
                           || (SELECT count(*) FROM outbox o WHERE o.id = e.id), ', ' ORDER BY id)
                  FROM audit_events e WHERE detail ->> '\(member)' = '\(value)'
                """
            )
        }
    }

    @Test
    func `a permission is declared, described anew and taken away, each in the log (S1-5, W9)`()
        async throws
    {
        let scene = try await Scene()
        let own = "/permissions/\(scene.name)"
        #expect(try await scene.listed() == nil)
        let json = "{\"name\":\"\(scene.name)\",\"description\":\"Place orders.\"}"
        let made = try await scene.call("POST", "/permissions", json)
        #expect(made.status == 201, "\(made.body)")
        #expect(made.json.names == ["name", "description", "built_in", "created_at"])
        #expect(made.text("name") == scene.name)
        #expect(made.text("description") == "Place orders.")
        #expect(made.json.at("built_in") == .boolean(false))
        #expect(try await scene.listed() == made.json)
        // Of two with one name the later one is told so, and describes nothing.
        let other = "{\"name\":\"\(scene.name)\",\"description\":\"Other.\"}"
        let twice = try await scene.call("POST", "/permissions", other, at: 1)
        #expect(twice.status == 409 && twice.code == "name-taken", "\(twice.body)")
        #expect(try await scene.listed() == made.json)
        let change = "{\"description\":\"Place and change orders.\"}"
        // A client that encodes what it puts into a path encodes the colon too.
        let encoded = own.replacing(":", with: "%3A")
        let changed = try await scene.call("PATCH", encoded, change, at: 1)
        #expect(changed.status == 200, "\(changed.body)")
        #expect(changed.text("description") == "Place and change orders.")
        #expect(changed.text("created_at") == made.text("created_at"))
        #expect(try await scene.listed() == changed.json)
        // As long as a role holds it, it stays.
        let role = try await scene.cluster.makeRole(nil, [scene.name], by: scene.desk.tokens)
        let held = try await scene.call("DELETE", own, at: 2)
        #expect(held.status == 409 && held.code == "in-use", "\(held.body)")
        #expect(try await scene.listed() == changed.json)
        let emptied = try await scene.call("PATCH", "/roles/\(role)", "{\"permissions\":[]}")
        #expect(emptied.status == 200, "\(emptied.body)")
        #expect(try await scene.call("DELETE", own, at: 2).status == 204)
        #expect(try await scene.listed() == nil)
        for (method, json) in [("DELETE", nil), ("PATCH", change)] as [(String, String?)] {
            #expect(try await scene.call(method, own, json).status == 404, "\(method)")
        }
        // What was refused has left nothing; no event is told of a name that permits nothing yet.
        let record = try await scene.record("permission", scene.name)
        #expect(
            record == "permission.created true 0, permission.changed true 0, "
                + "permission.removed true 0"
        )
    }

    @Test func `Watchword's own permissions are listed as such, and stay (row 172)`() async throws {
        let scene = try await Scene()
        let items = try await scene.cluster.items(Self.path, scene.desk.tokens.bearer)
        let builtIn = items.filter { $0.at("built_in") == .boolean(true) }
        let names = Set(builtIn.compactMap { $0.at("name")?.string })
        let kept = try await scene.cluster.sql("SELECT name FROM permissions WHERE built_in")
        #expect(!names.isEmpty && names == Set(kept.split(separator: "\n").map(String.init)))
        for item in builtIn {
            #expect(item.at("description")?.string?.isEmpty == false, "\(item)")
        }
        for name in names.sorted() {
            let refused = try await scene.call("DELETE", "/permissions/\(name)")
            #expect(refused.status == 409 && refused.code == "built-in", "\(refused.body)")
        }
        let after = try await scene.cluster.items(Self.path, scene.desk.tokens.bearer)
        #expect(after.filter { $0.at("built_in") == .boolean(true) } == builtIn)
    }

    @Test func `a role that is removed is in the log, with its event, once (W9)`() async throws {
        let scene = try await Scene()
        let role = try await scene.cluster.makeRole(by: scene.desk.tokens)
        #expect(try await scene.call("DELETE", "/roles/\(role)", at: 1).status == 204)
        #expect(try await scene.call("DELETE", "/roles/\(role)", at: 2).status == 404)
        // Nobody holds a role that is new: making one is no event.
        let record = try await scene.record("role_id", role)
        #expect(record == "role.created true 0, role.removed true 1")
    }
}

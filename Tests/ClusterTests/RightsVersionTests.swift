// `Watchword-Rights-Version`: whatever changes rights answers it, and a check at any node that asks
// for at least that version knows of the change (S1-17, W11).
import Primitives
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct RightsVersionTests {
    /// Changes at one node, checks at the others.
    private struct Scene {
        let cluster: Cluster
        let desk: AdminDesk
        let person: Person
        let tokens: Tokens
        let permission: String

        init() async throws {
            cluster = try await Cluster.shared()
            desk = try await AdminDesk(cluster)
            person = try await cluster.person()
            tokens = try await cluster.signIn(person)
            permission = "v\(person.id.suffix(12)):write"
            let made = try await change(
                "POST",
                "/permissions",
                "{\"name\":\"\(permission)\",\"description\":\"d\"}",
                isOfRights: false
            )
            #expect(made.answer.status == 201)
        }

        /// Changes something; the answer, and the version that it was answered with.
        func change(
            _ method: String,
            _ path: String,
            _ json: String? = nil,
            isOfRights: Bool = true
        ) async throws -> (answer: HTTPAnswer, version: Int64) {
            let any = method == "PATCH" ? [("If-Match", "*")] : []
            let answer = try await desk.client.send(
                method,
                "/v1/admin\(path)",
                desk.tokens.bearer + any,
                json: json
            )
            #expect((200...204).contains(answer.status), "\(path) \(answer.body)")
            let versions = answer.values("Watchword-Rights-Version")
            #expect(versions.count == (isOfRights ? 1 : 0), "\(method) \(path)")
            return (answer, versions.first.flatMap { Int64($0) } ?? 0)
        }

        /// Expects that the other nodes know of the change when they are asked for its version.
        func expect(
            _ status: Int,
            _ version: Int64,
            _ fields: [(String, String)]? = nil,
            sourceLocation: SourceLocation = #_sourceLocation
        ) async throws {
            for node in cluster.nodes.dropFirst() {
                let path = "/verify?permission=\(permission)&at_least=\(version)"
                let answer = try await node.client.send("GET", path, fields ?? tokens.bearer)
                #expect(answer.status == status, sourceLocation: sourceLocation)
            }
        }
    }

    @Test func `roles that are given, changed, taken and removed`() async throws {
        let scene = try await Scene()
        let held = "{\"permissions\":[\"\(scene.permission)\"]}"
        let made = try await scene.change(
            "POST",
            "/roles",
            "{\"name\":\"versioned-\(scene.person.id.suffix(12))\",\"permissions\":[]}"
        )
        let role = try #require(made.answer.text("id"))
        let path = "/users/\(scene.person.id)/roles"
        let given = try await scene.change("POST", path, "{\"role\":\"\(role)\"}")
        #expect(given.answer.status == 201)
        // The one that its body tells.
        #expect(given.answer.body.contains("\"version\":\(given.version)"))
        try await scene.expect(403, given.version)
        let filled = try await scene.change("PATCH", "/roles/\(role)", held)
        #expect(filled.version > given.version)
        #expect(filled.answer.body.contains("\"version\":\(filled.version)"))
        try await scene.expect(200, filled.version)
        let again = try await scene.change("POST", path, "{\"role\":\"\(role)\"}")
        #expect(again.answer.status == 200)
        let taken = try await scene.change("DELETE", "\(path)/\(role)")
        #expect(taken.version > again.version)
        try await scene.expect(403, taken.version)
        let step = """
            {"items":[{"action":"assign","account":"\(scene.person.id)","role":"\(role)"}]}
            """
        let many = try await scene.change("POST", "/assignments/bulk", step)
        try await scene.expect(200, many.version)
        let removed = try await scene.change("DELETE", "/roles/\(role)")
        #expect(removed.version > many.version)
        try await scene.expect(403, removed.version)
    }

    @Test func `organisations and who is a member of them`() async throws {
        let scene = try await Scene()
        let org = try await TestOrganisation(scene.desk)
        let path = "/organisations/\(org.id)"
        let member = "{\"account\":\"\(scene.person.id)\"}"
        let fields = scene.tokens.bearer + [org.field]
        let added = try await scene.change("POST", "\(path)/members", member)
        try await scene.expect(403, added.version, fields)
        try await org.give([scene.permission], to: scene.person, by: scene.desk)
        try await scene.expect(200, added.version, fields)
        // Where he is one already the version that his rights have is told again (H19).
        let twice = try await scene.change("POST", "\(path)/members", member)
        #expect(twice.answer.status == 200 && twice.version > added.version)
        let disabled = try await scene.change("PATCH", path, "{\"state\":\"disabled\"}")
        try await scene.expect(403, disabled.version, fields)
        let enabled = try await scene.change("PATCH", path, "{\"state\":\"active\"}")
        #expect(enabled.version > disabled.version)
        try await scene.expect(200, enabled.version, fields)
        let dropped = try await scene.change("DELETE", "\(path)/members/\(scene.person.id)")
        try await scene.expect(403, dropped.version, fields)
        _ = try await scene.change("DELETE", path)
    }

    @Test func `accounts and keys`() async throws {
        let scene = try await Scene()
        let user = "/users/\(scene.person.id)"
        let disabled = try await scene.change("POST", "\(user)/disable", "{}")
        try await scene.expect(401, disabled.version)
        let enabled = try await scene.change("POST", "\(user)/enable", "{}")
        #expect(enabled.version > disabled.version)
        let many = try await scene.change(
            "POST",
            "/users/bulk",
            "{\"action\":\"disable\",\"ids\":[\"\(scene.person.id)\"]}"
        )
        #expect(many.version > enabled.version)
        let deleted = try await scene.change("DELETE", user)
        #expect(deleted.version > many.version)
        let service = try await scene.change(
            "POST",
            "/service-accounts",
            "{\"name\":\"versioned-\(scene.person.id.suffix(12))\"}",
            isOfRights: false
        )
        let path = "/service-accounts/\(try #require(service.answer.text("id")))"
        let key = try await scene.change("POST", "\(path)/keys", "{\"name\":\"a key\"}")
        let bearer = [("Authorization", "Bearer \(try #require(key.answer.text("key")))")]
        for node in scene.cluster.nodes {
            let told = "/verify?at_least=\(key.version)"
            #expect(try await node.client.send("GET", told, bearer).status == 200)
        }
        let keyID = try #require(key.answer.text("id"))
        let revoked = try await scene.change("DELETE", "\(path)/keys/\(keyID)")
        try await scene.expect(401, revoked.version, bearer)
        _ = try await scene.change("POST", "\(path)/disable", "{}")
        _ = try await scene.change("POST", "\(path)/enable", "{}")
        _ = try await scene.change("DELETE", path)
    }

    /// No check waits for a version: it reads, and what it reads is all there is.
    @Test func `a version from the future is answered with what there is`() async throws {
        let scene = try await Scene()
        try await scene.expect(403, .max)
        let checks =
            "{\"checks\":[{\"permission\":\"\(scene.permission)\"}],\"at_least\":\(Int64.max)}"
        for node in scene.cluster.nodes {
            let answer = try await node.client.send(
                "POST",
                "/v1/authorize",
                scene.tokens.bearer,
                json: checks
            )
            #expect(answer.status == 200 && answer.body.contains("\"allowed\":false"))
        }
    }
}

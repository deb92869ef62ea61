// AuthZEN 1.0 as strictly as our own ways of asking: a role on a resource counts for that one, what
// is no name of a permission is permitted to nobody, and others are asked about with a permission.
import Primitives
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct AuthZENTests {
    private static let path = "/access/v1/evaluation"

    /// An administrator, and somebody with a kind of things of his own.
    private struct Scene {
        let cluster: Cluster
        let root: AdminDesk
        let person: Person
        let tokens: Tokens
        /// The type of the things, and the namespace of their permissions.
        let kind: String

        init() async throws {
            cluster = try await Cluster.shared()
            root = try await AdminDesk(cluster)
            person = try await cluster.person()
            tokens = try await cluster.signIn(person)
            kind = "k\(person.id.suffix(12))"
        }

        /// A question, as the body of a request or as one part of it.
        func question(_ action: String, _ type: String, _ id: String, about: String) -> String {
            """
            {"subject":{"type":"user","id":"\(about)"},"action":{"name":"\(action)"},
             "resource":{"type":"\(type)","id":"\(id)"}}
            """
        }

        /// Expects every node to decide so, one by one and all at once.
        func expect(
            _ wanted: [(action: String, type: String, id: String, decision: Bool)],
            sourceLocation: SourceLocation = #_sourceLocation
        ) async throws {
            let bodies = wanted.map { question($0.action, $0.type, $0.id, about: person.id) }
            let bearer = root.tokens.bearer
            for node in cluster.nodes {
                for (one, json) in zip(wanted, bodies) {
                    let answer = try await node.client.send("POST", path, bearer, json: json)
                    #expect(
                        answer.json.at("decision") == .boolean(one.decision),
                        "\(one) \(answer.body)",
                        sourceLocation: sourceLocation
                    )
                }
                let json = "{\"evaluations\":[\(bodies.joined(separator: ","))]}"
                let all = try await node.client.send("POST", "\(path)s", bearer, json: json)
                let decisions = all.json.at("evaluations")?.items.map { $0.at("decision") } ?? []
                let expected: [JSONValue?] = wanted.map { .boolean($0.decision) }
                #expect(decisions == expected, "\(all.body)", sourceLocation: sourceLocation)
            }
        }
    }

    @Test func `a role on a resource counts for decisions about that one alone (S1-18)`()
        async throws
    {
        let scene = try await Scene()
        let (kind, root) = (scene.kind, scene.root)
        let declared = try await root.client.send(
            "POST",
            "/v1/admin/permissions",
            root.tokens.bearer,
            json: "{\"name\":\"\(kind):write\",\"description\":\"d\"}"
        )
        #expect(declared.status == 201, "\(declared.body)")
        let role = try await scene.cluster.makeRole(nil, ["\(kind):write"], by: root.tokens)
        for place in ["\(kind):7", "\(kind):9/*"] {
            let given = try await root.send(
                "POST",
                "/\(scene.person.id)/roles",
                json: "{\"role\":\"\(role)\",\"resource\":\"\(place)\"}"
            )
            #expect(given.status == 201, "\(given.body)")
        }
        try await scene.expect([
            ("write", kind, "7", true), ("\(kind):write", kind, "7", true),
            ("read", kind, "7", false), ("write", kind, "8", false), ("write", kind, "77", false),
            ("write", kind, "7/a", false), ("write", kind, "9/a", true),
            ("write", kind, "9/a/b", true), ("write", kind, "9", false),
            // It names no thing.
            ("write", kind, "7 ", false), ("write", kind, "*", false),
            // Another kind of thing, though the permission is the same.
            ("\(kind):write", "x\(kind)", "7", false),
        ])
    }

    @Test func `what is no name of a permission is permitted to nobody (W10)`() async throws {
        let scene = try await Scene()
        let kind = scene.kind
        try await scene.cluster.grant("all-\(kind)", ["\(kind):*"], to: scene.person)
        try await scene.expect([
            ("write", kind, "7", true), ("\(kind):write", "thing", "7", true),
            ("*", kind, "7", false), ("\(kind):*", kind, "7", false), ("*:*", kind, "7", false),
            ("\(kind):", kind, "7", false), ("\(kind):a:b", kind, "7", false),
            ("a b", kind, "7", false), ("WRITE", kind, "7", false),
            // The type of the thing is not of his kind, though it begins so.
            ("write", "\(kind):of-others", "7", false), ("write", "\(kind):", "7", false),
        ])
        // As the other ways of asking have it.
        for name in ["\(kind):*", "\(kind):a:b"] {
            let answer = try await scene.cluster.node.send(
                "POST",
                "/v1/authorize",
                scene.tokens.bearer,
                json: "{\"checks\":[{\"permission\":\"\(name)\"}]}"
            )
            #expect(answer.status == 400 && answer.code == "validation-failed", "\(name)")
        }
    }

    @Test func `others are asked about with access:check alone, a hundred at once (W8)`()
        async throws
    {
        let scene = try await Scene()
        let (client, bearer) = (scene.cluster.node, scene.tokens.bearer)
        let own = scene.question("write", "orders", "7", about: scene.person.id)
        let other = scene.question("write", "orders", "7", about: scene.root.id)
        func ask(_ json: String, _ end: String) async throws -> HTTPAnswer {
            try await client.send("POST", "\(Self.path)\(end)", bearer, json: json)
        }
        let calls = [
            (json: own, end: "", status: 200), (json: other, end: "", status: 403),
            (json: "{\"evaluations\":[\(own)]}", end: "s", status: 200),
            (json: "{\"evaluations\":[\(own),\(other)]}", end: "s", status: 403),
        ]
        for (json, end, status) in calls {
            let answer = try await ask(json, end)
            let code: String? = status == 403 ? "permission-denied" : nil
            #expect(answer.status == status && answer.code == code, "\(json) \(answer.body)")
        }
        let many = Array(repeating: own, count: 100).joined(separator: ",")
        #expect(try await ask("{\"evaluations\":[\(many)]}", "s").status == 200)
        for (json, member) in [
            ("{\"evaluations\":[\(many),\(own)]}", "evaluations"),
            ("{\"evaluations\":[\(own),{\"action\":{\"name\":\"x\"}}]}", "evaluations.1"),
            ("{}", "subject"),
        ] {
            let answer = try await ask(json, "s")
            let named = answer.json.at("errors")?.items.compactMap { $0.at("member")?.string }
            #expect(answer.status == 400 && named == [member], "\(answer.body)")
        }
        let known = try await client.send("GET", "/.well-known/authzen-configuration")
        let issuer = scene.cluster.plan.publicURL
        let wanted: JSONValue = .object([
            "policy_decision_point": .text(issuer),
            "access_evaluation_endpoint": .text("\(issuer)\(Self.path)"),
            "access_evaluations_endpoint": .text("\(issuer)\(Self.path)s"),
        ])
        #expect(known.json == wanted, "\(known.body)")
    }
}

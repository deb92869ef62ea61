// Decisions for applications: many at once in order, about oneself and others, by AuthZEN, and why.
import Primitives
import TestKit
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct DecisionTests {
    private func post(
        _ cluster: Cluster,
        _ path: String,
        _ tokens: Tokens,
        _ json: String
    ) async throws -> HTTPAnswer {
        try await cluster.node.send("POST", path, tokens.bearer, json: json)
    }

    /// Whether each result is allowed.
    private func allowed(_ answer: HTTPAnswer) -> [Bool] {
        answer.body.split(separator: "\"allowed\":").dropFirst().map { $0.hasPrefix("true") }
    }

    /// Whether each decision is yes.
    private func decisions(_ answer: HTTPAnswer) -> [Bool] {
        answer.body.split(separator: "\"decision\":").dropFirst().map { $0.hasPrefix("true") }
    }

    @Test func `many checks are answered in their order, others' with access:check (S1-18)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        let other = try await cluster.person()
        try await cluster.grant("reader-\(person.id.suffix(12))", ["orders:read"], to: person)
        let tokens = try await cluster.signIn(person)
        let mine = try await post(
            cluster,
            "/v1/authorize",
            tokens,
            """
            {"checks":[{"permission":"orders:read"},{"permission":"orders:write"},
             {"permission":"orders:read","resource":"project:7"},
             {"permission":"orders:read","subject":"\(person.id)"}]}
            """
        )
        #expect(mine.status == 200, "\(mine.body)")
        #expect(allowed(mine) == [true, false, true, true])
        let about = """
            {"checks":[{"permission":"orders:read","subject":"\(person.id)"},
             {"permission":"orders:read","subject":"\(other.id)"},
             {"permission":"orders:read","subject":"00000000-0000-7000-8000-0000000000ff"}],
             "at_least":1}
            """
        #expect(try await post(cluster, "/v1/authorize", tokens, about).code == "permission-denied")
        let admin = try await cluster.signIn(cluster.administrator)
        let told = try await post(cluster, "/v1/authorize", admin, about)
        #expect(allowed(told) == [true, false, false], "\(told.body)")
        // What is told is as new as what was acknowledged, also of who holds no token (W11).
        let path = "/v1/admin/users/\(person.id)/disable"
        #expect(try await post(cluster, path, admin, "{}").status == 204)
        for node in cluster.nodes {
            let later = try await node.client.send(
                "POST",
                "/v1/authorize",
                admin.bearer,
                json: about
            )
            #expect(allowed(later) == [false, false, false], "\(later.body)")
        }
        let many = (0..<101).map { _ in "{\"permission\":\"a:b\"}" }.joined(separator: ",")
        for wrong in [
            "{\"checks\":[]}", "{\"checks\":[\(many)]}", "{\"checks\":[{\"permission\":\"*:*\"}]}",
            "{\"checks\":[{\"permission\":\"a:b\",\"resource\":\"no\"}]}",
        ] {
            #expect(try await post(cluster, "/v1/authorize", admin, wrong).status == 400)
        }
    }

    @Test func `decisions have the form of AuthZEN 1.0`() async throws {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        try await cluster.grant("writer-\(person.id.suffix(12))", ["orders:write"], to: person)
        let admin = try await cluster.signIn(cluster.administrator)
        let subject = "{\"type\":\"user\",\"id\":\"\(person.id)\",\"properties\":{\"a\":1}}"
        func body(_ action: String) -> String {
            """
            {"subject":\(subject),"action":{"name":"\(action)"},
             "resource":{"type":"orders","id":"7"},"context":{"time":"now"}}
            """
        }
        let path = "/access/v1/evaluation"
        #expect(decisions(try await post(cluster, path, admin, body("write"))) == [true])
        #expect(decisions(try await post(cluster, path, admin, body("orders:write"))) == [true])
        #expect(decisions(try await post(cluster, path, admin, body("read"))) == [false])
        #expect(try await post(cluster, path, admin, "{\"subject\":\(subject)}").status == 400)
        let several = """
            {"subject":\(subject),"resource":{"type":"orders","id":"7"},"evaluations":[
             {"action":{"name":"write"}},{"action":{"name":"read"}},{"action":{"name":"write"},
             "subject":{"type":"robot","id":"1"}},{"action":{"name":"write"}}]
            """
        let all = try await post(cluster, "\(path)s", admin, several + "}")
        #expect(decisions(all) == [true, false, false, true], "\(all.body)")
        for (semantic, wanted) in [
            ("deny_on_first_deny", [true, false]), ("permit_on_first_permit", [true]),
        ] {
            let options = ",\"options\":{\"evaluations_semantic\":\"\(semantic)\"}}"
            #expect(
                decisions(try await post(cluster, "\(path)s", admin, several + options)) == wanted
            )
        }
        #expect(decisions(try await post(cluster, "\(path)s", admin, body("write"))) == [true])
        let known = try await cluster.node.send("GET", "/.well-known/authzen-configuration")
        #expect(known.status == 200)
        #expect(
            known.text("access_evaluation_endpoint")
                == "https://auth.example.test/access/v1/evaluation"
        )
    }

    @Test func `one sees what one may, and administrators see why`() async throws {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        let role = "seller-\(person.id.suffix(12))"
        try await cluster.grant(role, ["orders:sell"], to: person)
        let tokens = try await cluster.signIn(person)
        let mine = try await cluster.node.send("GET", "/v1/me/permissions", tokens.bearer)
        #expect(mine.status == 200, "\(mine.body)")
        #expect(mine.body.contains("\"permissions\":[\"orders:sell\"]"))
        #expect(mine.body.contains("\"roles\":[\"member\",\"\(role)\"]"))
        let admin = try await cluster.signIn(cluster.administrator)
        let path = "/v1/admin/users/\(person.id)/permissions?permission=orders"
        let why = try await cluster.node.send("GET", "\(path):sell", admin.bearer)
        #expect(why.body.contains("\"allowed\":true"), "\(why.body)")
        #expect(why.body.contains("\"role_name\":\"\(role)\""))
        let not = try await cluster.node.send("GET", "\(path):buy", admin.bearer)
        #expect(not.body.contains("\"allowed\":false"))
        let nobody = "/v1/admin/users/00000000-0000-7000-8000-0000000000ff/permissions"
        let none = try await cluster.node.send("GET", "\(nobody)?permission=a:b", admin.bearer)
        #expect(none.status == 404)
    }
}

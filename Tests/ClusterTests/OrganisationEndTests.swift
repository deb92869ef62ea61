// What members meet while their organisation is removed, through HTTP on all nodes: they are let in
// until the removal is answered, and by nobody after (W11); and nothing of it breaks.
import Primitives
import Synchronization
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct OrganisationEndTests {
    /// One answer: what was asked, whether the removal was answered before, and the status.
    private struct Seen: Sendable {
        let what: String
        let isAfter: Bool
        let status: Int
        let code: String?
    }

    /// How far everybody is.
    private final class Progress: Sendable {
        private let state = Mutex((isAnswered: false, counts: [String: Int]()))

        var isAnswered: Bool { state.withLock { $0.isAnswered } }
        func answer() { state.withLock { $0.isAnswered = true } }
        func count(_ what: String) { state.withLock { $0.counts[what, default: 0] += 1 } }
        func answers(to what: String) -> Int { state.withLock { $0.counts[what] ?? 0 } }
    }

    /// What a member asks of a node, by name.
    private static func questions(
        _ organisation: TestOrganisation,
        _ person: Person,
        _ tokens: Tokens
    ) -> [(String, @Sendable (HTTPClient) async throws -> HTTPAnswer)] {
        let place = tokens.bearer + [organisation.field]
        let login = """
            {"login":"\(person.email)","password":"\(person.password)",
             "organisation_id":"\(organisation.id)"}
            """
        let choice = "{\"organisation_id\":\"\(organisation.id)\"}"
        let current = "/v1/me/sessions/current/organisation"
        return [
            ("sign-in", { try await $0.send("POST", "/v1/auth/login", json: login) }),
            ("verify", { try await $0.send("GET", "/verify?permission=orders:write", place) }),
            ("permissions", { try await $0.send("GET", "/v1/me/permissions", place) }),
            ("delegate", { try await $0.send("GET", "/v1/admin/users?limit=1", place) }),
            ("choice", { try await $0.send("PUT", current, tokens.bearer, json: choice) }),
        ]
    }

    @Test
    func `nobody signs in for an organisation, or is let in, once its removal is answered (W11)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        for _ in 0..<3 {
            let organisation = try await TestOrganisation(desk)
            let person = try await cluster.person()
            try await organisation.add(person, by: desk)
            try await organisation.give(["orders:write", "users:read"], to: person, by: desk)
            let tokens = try await cluster.signIn(person)
            let progress = Progress()
            let questions = Self.questions(organisation, person, tokens)
            let seen = try await withThrowingTaskGroup(of: [Seen].self) { group -> [Seen] in
                for (index, (what, ask)) in questions.enumerated() {
                    let node = cluster.nodes[index % cluster.nodes.count].client
                    group.addTask {
                        var found: [Seen] = []
                        // A few before, some at the same time, and a few that begin after.
                        var after = 0
                        while after < 3 {
                            let isAfter = progress.isAnswered
                            let answer = try await ask(node)
                            found.append(
                                Seen(
                                    what: what,
                                    isAfter: isAfter,
                                    status: answer.status,
                                    code: answer.code
                                )
                            )
                            progress.count(what)
                            if isAfter { after += 1 }
                        }
                        return found
                    }
                }
                try await eventually("everybody has begun") {
                    questions.allSatisfy { progress.answers(to: $0.0) >= 2 }
                }
                #expect(try await organisation.send(desk, "DELETE").status == 204)
                progress.answer()
                return try await group.reduce(into: [Seen]()) { $0 += $1 }
            }
            for one in seen {
                let good = one.what == "choice" ? 204 : 200
                let isGood = one.status == good
                let isRefused =
                    one.status == 403
                    && ["permission-denied", "organisation-refused", nil].contains(one.code)
                #expect(isRefused || (isGood && !one.isAfter), "\(one)")
            }
            for (what, _) in questions {
                let ofThem = seen.filter { $0.what == what }
                let wasGood = ofThem.contains { $0.status < 300 }
                let areAfter = ofThem.count { $0.isAfter }
                #expect(wasGood && areAfter == 3, "\(what)")
            }
            // What was held everywhere stands.
            try await cluster.expectEverywhere(200, tokens.bearer)
        }
    }

    @Test
    func `an organisation that is gone is no place to administer in, for nobody (row 175)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let organisation = try await TestOrganisation(desk)
        let on = try await organisation.subjects(desk)
        let place = [organisation.field]
        #expect(try await desk.send("GET", "/\(on[.account])", place).status == 200)
        let holders = "/v1/admin/roles/\(on[.role])/holders"
        func count(_ path: String) async throws -> Int? {
            let answer = try await cluster.node.send("GET", path, desk.tokens.bearer)
            #expect(answer.status == 200, "\(answer.body)")
            return answer.json.at("items")?.items.count
        }
        #expect(try await count(holders) == 1)
        #expect(try await count("/v1/admin/users?role=\(on[.role])") == 1)
        #expect(try await organisation.send(desk, "DELETE").status == 204)
        for node in cluster.nodes {
            for (method, path) in [
                ("GET", ""), ("GET", "/\(on[.account])"), ("POST", "/\(on[.account])/disable"),
                ("DELETE", "/\(on[.account])"),
            ] {
                let answer = try await node.client.send(
                    method,
                    "/v1/admin/users\(path)",
                    desk.tokens.bearer + place
                )
                #expect(answer.status == 403 && answer.code == "permission-denied", "\(method)")
            }
        }
        // What was held there is shown nowhere, swept or not.
        #expect(try await count(holders) == 0)
        #expect(try await count("/v1/admin/users?role=\(on[.role])") == 0)
        #expect(try await count("/v1/admin/users/\(on[.account])/roles") == 1)
        let shown = try await desk.send("GET", "/\(on[.account])")
        #expect(shown.json.at("roles")?.items.compactMap(\.string) == ["member"])
        let taken = try await desk.send(
            "DELETE",
            "/\(on[.account])/roles/\(on[.role])?organisation=\(organisation.id)"
        )
        #expect(taken.status == 404, "\(taken.body)")
        let given = try await desk.send(
            "POST",
            "/\(on[.account])/roles",
            json: "{\"role\":\"\(on[.role])\",\"organisation\":\"\(organisation.id)\"}"
        )
        #expect(given.status == 400, "\(given.body)")
        // Another one takes its name at once, and nobody is in it.
        let heir = try await cluster.node.send(
            "POST",
            "/v1/admin/organisations",
            desk.tokens.bearer,
            json: "{\"name\":\"\(organisation.name)\",\"display_name\":\"Heir\"}"
        )
        #expect(heir.status == 201, "\(heir.body)")
        let id = try #require(heir.text("id"))
        #expect(id != organisation.id)
        #expect(try await count("/v1/admin/organisations/\(id)/members") == 0)
    }
}

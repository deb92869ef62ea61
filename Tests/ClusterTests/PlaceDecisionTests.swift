// A question about one organisation is answered for that one: who is no member of it, or whose
// organisation is closed or gone, may nothing there, also not what he holds everywhere, and every
// way of asking says the same (row 175).
import Primitives
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct PlaceDecisionTests {
    /// Somebody who holds a permission everywhere, a member of one organisation of two.
    private struct Scene {
        let cluster: Cluster
        let desk: AdminDesk
        let own: TestOrganisation
        let other: TestOrganisation
        let person: Person
        let tokens: Tokens

        init() async throws {
            cluster = try await Cluster.shared()
            desk = try await AdminDesk(cluster)
            own = try await TestOrganisation(desk)
            other = try await TestOrganisation(desk)
            person = try await cluster.person()
            try await cluster.grant("payer-\(person.id.suffix(12))", ["bills:pay"], to: person)
            try await own.add(person, by: desk)
            tokens = try await cluster.signIn(person)
        }

        /// Whether the answer to a single check is yes.
        func isAllowed(
            _ client: HTTPClient,
            _ bearer: [(String, String)],
            _ place: String
        ) async throws -> JSONValue? {
            let answer = try await client.send(
                "POST",
                "/v1/authorize",
                bearer,
                json: """
                    {"checks":[{"permission":"bills:pay","subject":"\(person.id)"\(place)}]}
                    """
            )
            return answer.json.at("results")?.items.first?.at("allowed")
        }

        /// Expects every node to say whether he may there, in each of the ways it can be asked.
        func expect(
            _ isAllowed: Bool,
            in place: String?,
            _ what: String,
            sourceLocation: SourceLocation = #_sourceLocation
        ) async throws {
            let field = place.map { [("X-Org", $0)] } ?? []
            let member = place.map { ",\"organisation\":\"\($0)\"" } ?? ""
            let query = place.map { "&organisation=\($0)" } ?? ""
            let wanted = JSONValue.boolean(isAllowed)
            let status = isAllowed ? 200 : 403
            for node in cluster.nodes {
                let client = node.client
                let verified = try await client.send(
                    "GET",
                    "/verify?permission=bills:pay",
                    tokens.bearer + field
                )
                #expect(verified.status == status, "\(what)", sourceLocation: sourceLocation)
                let mine = try await client.send(
                    "GET",
                    "/v1/me/permissions",
                    tokens.bearer + field
                )
                #expect(mine.status == status, "\(what)", sourceLocation: sourceLocation)
                let told = try await self.isAllowed(client, tokens.bearer, member)
                #expect(told == wanted, "\(what), himself", sourceLocation: sourceLocation)
                let asked = try await self.isAllowed(client, desk.tokens.bearer, member)
                #expect(asked == wanted, "\(what), another", sourceLocation: sourceLocation)
                let why = try await client.send(
                    "GET",
                    "/v1/admin/users/\(person.id)/permissions?permission=bills:pay\(query)",
                    desk.tokens.bearer
                )
                let reasons = why.json.at("reasons")?.items.count
                #expect(
                    why.json.at("allowed") == wanted && reasons == (isAllowed ? 1 : 0),
                    "\(what) \(why.body)",
                    sourceLocation: sourceLocation
                )
            }
        }
    }

    @Test
    func `what is held everywhere is held in no organisation that one may not act in (row 175)`()
        async throws
    {
        let scene = try await Scene()
        try await scene.expect(true, in: nil, "everywhere")
        try await scene.expect(true, in: scene.own.id, "a member")
        try await scene.expect(false, in: scene.other.id, "no member")
        try await scene.expect(false, in: Subjects.nobody(), "nowhere")
        for state in ["disabled", "active"] {
            let changed = try await scene.own.send(
                scene.desk,
                "PATCH",
                json: "{\"state\":\"\(state)\"}"
            )
            #expect(changed.status == 200, "\(changed.body)")
            try await scene.expect(state == "active", in: scene.own.id, state)
            try await scene.expect(true, in: nil, "everywhere, while \(state)")
        }
        #expect(try await scene.own.send(scene.desk, "DELETE").status == 204)
        try await scene.expect(false, in: scene.own.id, "removed")
        try await scene.expect(true, in: nil, "everywhere, after all")
    }

    @Test func `a session for one organisation is told nothing of another (row 175)`() async throws
    {
        let scene = try await Scene()
        try await scene.other.add(scene.person, by: scene.desk)
        let json = """
            {"login":"\(scene.person.email)","password":"\(scene.person.password)",
             "organisation_id":"\(scene.own.id)"}
            """
        let answer = try await scene.cluster.node.send("POST", "/v1/auth/login", json: json)
        let bearer = try Tokens(answer).bearer
        for (place, isAllowed) in [("", true), (scene.own.id, true), (scene.other.id, false)] {
            let member = place.isEmpty ? "" : ",\"organisation\":\"\(place)\""
            for node in scene.cluster.nodes {
                let told = try await scene.isAllowed(node.client, bearer, member)
                #expect(told == .boolean(isAllowed), "\(place)")
                // One for no organisation may ask of each.
                let asked = try await scene.isAllowed(node.client, scene.tokens.bearer, member)
                #expect(asked == .boolean(true), "\(place)")
            }
        }
    }
}

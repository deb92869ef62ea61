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

    /// Whether he may, asked about a resource that is an organisation: by a gateway, of himself and
    /// of another, and by AuthZEN.
    private func answers(
        _ scene: Scene,
        _ client: HTTPClient,
        _ bearer: [(String, String)],
        _ permission: String,
        about id: String
    ) async throws -> [JSONValue?] {
        let verified = try await client.send(
            "GET",
            "/verify?permission=\(permission)&resource=org:\(id)",
            bearer
        )
        let check = "{\"permission\":\"\(permission)\",\"resource\":\"org:\(id)\"}"
        let told = try await client.send(
            "POST",
            "/v1/authorize",
            bearer,
            json: "{\"checks\":[\(check)]}"
        )
        let evaluated = try await client.send(
            "POST",
            "/access/v1/evaluation",
            bearer,
            json: """
                {"subject":{"type":"user","id":"\(scene.person.id)"},
                 "action":{"name":"\(permission)"},"resource":{"type":"org","id":"\(id)"}}
                """
        )
        #expect(evaluated.status == 200, "\(evaluated.body)")
        return [
            .boolean(verified.status == 200),
            told.json.at("results")?.items.first?.at("allowed"), evaluated.json.at("decision"),
        ]
    }

    @Test
    func `who acts in one organisation holds nothing for another as a resource (row 175)`()
        async throws
    {
        let scene = try await Scene()
        try await scene.other.add(scene.person, by: scene.desk)
        for place in [scene.own, scene.other] {
            try await place.give(["orders:write"], to: scene.person, by: scene.desk)
        }
        let json = """
            {"login":"\(scene.person.email)","password":"\(scene.person.password)",
             "organisation_id":"\(scene.own.id)"}
            """
        let answer = try await scene.cluster.node.send("POST", "/v1/auth/login", json: json)
        let inside = try Tokens(answer).bearer
        let (yes, no): (JSONValue?, JSONValue?) = (.boolean(true), .boolean(false))
        for node in scene.cluster.nodes {
            for permission in ["orders:write", "bills:pay"] {
                func ask(_ bearer: [(String, String)], _ id: String) async throws -> [JSONValue?] {
                    try await answers(scene, node.client, bearer, permission, about: id)
                }
                #expect(try await ask(inside, scene.own.id) == [yes, yes, yes])
                #expect(try await ask(inside, scene.other.id) == [no, no, no])
                #expect(try await ask(inside, "\(scene.other.id)/plan") == [no, no, no])
                // Who acts in none holds what he holds in each.
                let outside = scene.tokens.bearer
                #expect(try await ask(outside, scene.other.id) == [yes, yes, yes])
            }
            let named = try await node.client.send(
                "GET",
                "/verify?permission=orders:write&resource=org:\(scene.other.id)",
                scene.tokens.bearer + [scene.own.field]
            )
            #expect(named.status == 403)
        }
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

// Sessions that are for an organisation: chosen at sign-in or later, named by the tokens of the
// next refresh, left out while the account may not act there; and what that tells to strangers:
// nothing.
import Primitives
import Testing

@testable import Tokens
@testable import Web

@Suite(.leavesNoSecrets) struct SessionOrganisationTests {
    private static let path = "/v1/me/sessions/current/organisation"
    private static let nobody = "00000000-0000-7000-8000-0000000000ff"

    /// A member of one organisation, where he holds a role.
    private struct Scene {
        let cluster: Cluster
        let desk: AdminDesk
        let own: TestOrganisation
        let other: TestOrganisation
        let person: Person
        let role: String

        init() async throws {
            cluster = try await Cluster.shared()
            desk = try await AdminDesk(cluster)
            own = try await TestOrganisation(desk)
            other = try await TestOrganisation(desk)
            person = try await cluster.person()
            try await own.add(person, by: desk)
            role = try await own.give(["orders:write"], to: person, by: desk)
        }

        func logIn(_ organisation: String, _ password: String? = nil) async throws -> HTTPAnswer {
            try await cluster.node.send(
                "POST",
                "/v1/auth/login",
                json: """
                    {"login":"\(person.email)","password":"\(password ?? person.password)",
                     "organisation_id":"\(organisation)"}
                    """
            )
        }

        func choose(_ json: String, _ tokens: Tokens) async throws -> HTTPAnswer {
            try await cluster.node.send("PUT", path, tokens.bearer, json: json)
        }

        func refresh(_ tokens: Tokens) async throws -> Tokens {
            try Tokens(try await cluster.refresh(tokens.refresh))
        }

        /// What tokens name, as the token says and as every node does.
        func named(_ tokens: Tokens) async throws -> String? {
            let claim = try await TokenForge(cluster).read(tokens.access).organisationID
            for node in cluster.nodes {
                let answer = try await node.client.send("GET", "/verify", tokens.bearer)
                #expect(answer.status == 200)
                #expect(answer["X-Auth-Org"] == claim?.description ?? "")
                #expect(answer["X-Auth-Roles"] == (claim == nil ? "member" : "\(role),member"))
            }
            return claim?.description
        }

        func set(_ state: String) async throws {
            let changed = try await own.send(desk, "PATCH", json: "{\"state\":\"\(state)\"}")
            #expect(changed.status == 200)
        }
    }

    @Test
    func `a token names the organisation that was signed in for, and X-Org no other (row 175)`()
        async throws
    {
        let scene = try await Scene()
        let tokens = try Tokens(try await scene.logIn(scene.own.id))
        #expect(try await scene.named(tokens) == scene.own.id)
        #expect(try await scene.named(try await scene.refresh(tokens)) == scene.own.id)
        try await scene.other.add(scene.person, by: scene.desk)
        for node in scene.cluster.nodes {
            func ask(_ fields: [(String, String)], _ query: String = "") async throws -> Int {
                let all = tokens.bearer + fields
                return try await node.client.send("GET", "/verify\(query)", all).status
            }
            #expect(try await ask([], "?permission=orders:write") == 200)
            #expect(try await ask([scene.own.field], "?permission=orders:write") == 200)
            #expect(try await ask([scene.other.field]) == 403)
            #expect(try await ask([("X-Org", "")]) == 403)
        }
        let plain = try await scene.cluster.signIn(scene.person)
        #expect(try await scene.named(plain) == nil)
    }

    @Test
    func `decisions about the caller are made for the organisation of the token (row 175)`()
        async throws
    {
        let scene = try await Scene()
        let name = "everywhere-\(scene.person.id.suffix(12))"
        try await scene.cluster.grant(name, ["bills:write"], to: scene.person)
        let tokens = try Tokens(try await scene.logIn(scene.own.id))
        let plain = try await scene.cluster.signIn(scene.person)
        /// Whether both ways of asking say so on every node.
        func decide(_ kind: String, _ tokens: Tokens, _ wanted: Bool) async throws {
            for node in scene.cluster.nodes {
                let batch = try await node.client.send(
                    "POST",
                    "/v1/authorize",
                    tokens.bearer,
                    json: "{\"checks\":[{\"permission\":\"\(kind):write\"}]}"
                )
                #expect(batch.body.contains("\"allowed\":\(wanted)"), "\(batch.body)")
                let one = try await node.client.send(
                    "POST",
                    "/access/v1/evaluation",
                    tokens.bearer,
                    json: """
                        {"subject":{"type":"user","id":"\(scene.person.id)"},
                         "action":{"name":"write"},"resource":{"type":"\(kind)","id":"7"}}
                        """
                )
                #expect(one.body.contains("\"decision\":\(wanted)"), "\(one.body)")
            }
        }
        try await decide("orders", tokens, true)
        try await decide("orders", plain, false)
        try await decide("bills", tokens, true)
        // What is held everywhere does not stand in for an organisation that is closed.
        try await scene.set("disabled")
        try await decide("bills", tokens, false)
        try await decide("bills", plain, true)
    }

    @Test
    func `only who knows the password is told that an organisation is refused (W6)`() async throws {
        let scene = try await Scene()
        let count = "SELECT count(*) FROM sessions WHERE account_id = '\(scene.person.id)'"
        let closed = try await TestOrganisation(scene.desk)
        try await closed.add(scene.person, by: scene.desk)
        let shut = try await closed.send(scene.desk, "PATCH", json: "{\"state\":\"disabled\"}")
        #expect(shut.status == 200)
        let before = try await scene.cluster.sql(count)
        var wrong: Set<String> = []
        var refused: Set<String> = []
        for organisation in [scene.other.id, closed.id, Self.nobody] {
            let right = try await scene.logIn(organisation)
            #expect(right.status == 403 && right.code == "organisation-refused", "\(right.body)")
            refused.insert(right.body.replacing(right.text("instance") ?? "", with: ""))
        }
        for organisation in [scene.own.id, scene.other.id, closed.id, Self.nobody] {
            let answer = try await scene.logIn(organisation, "not the password 71")
            #expect(answer.status == 401 && answer.code == "sign-in-failed")
            wrong.insert(answer.body.replacing(answer.text("instance") ?? "", with: ""))
        }
        #expect(wrong.count == 1 && refused.count == 1)
        #expect(try await scene.cluster.sql(count) == before)
        let told = try await scene.cluster.sql(
            """
            SELECT count(*) FROM login_history
             WHERE account_id = '\(scene.person.id)' AND outcome = 'organisation-refused'
            """
        )
        #expect(told == "3")
        for bad in ["", "acme", "\(scene.own.id)0"] {
            #expect(try await scene.logIn(bad).code == "validation-failed", "\(bad)")
        }
        // The attempts with the right password are given back.
        _ = try await scene.cluster.signIn(scene.person)
    }

    @Test func `a session's organisation is chosen, and the next refresh names it (W9)`()
        async throws
    {
        let scene = try await Scene()
        var tokens = try await scene.cluster.signIn(scene.person)
        let own = "{\"organisation_id\":\"\(scene.own.id)\"}"
        let none = "{\"organisation_id\":null}"
        #expect(try await scene.choose(own, tokens).status == 204)
        #expect(try await scene.named(tokens) == nil)
        tokens = try await scene.refresh(tokens)
        #expect(try await scene.named(tokens) == scene.own.id)
        for (json, code) in [
            ("{}", "validation-failed"), ("{\"organisation_id\":7}", "validation-failed"),
            ("{\"organisation_id\":\"acme\"}", "validation-failed"),
            ("{\"organisation_id\":null,\"x\":1}", "validation-failed"),
            ("{\"organisation_id\":\"\(scene.other.id)\"}", "organisation-refused"),
            ("{\"organisation_id\":\"\(Self.nobody)\"}", "organisation-refused"),
        ] {
            let answer = try await scene.choose(json, tokens)
            #expect(answer.code == code, "\(json) \(answer.body)")
        }
        tokens = try await scene.refresh(tokens)
        #expect(try await scene.named(tokens) == scene.own.id)
        // The session's own choice: another session of the account has none.
        #expect(try await scene.named(try await scene.cluster.signIn(scene.person)) == nil)
        // He sees which is for what, and so does who looks after him.
        for (path, bearer) in [
            ("/v1/me/sessions", tokens.bearer),
            ("/v1/admin/users/\(scene.person.id)/sessions", scene.desk.tokens.bearer),
        ] {
            let list = try await scene.cluster.node.send("GET", path, bearer)
            let shown = (list.json.at("items")?.items ?? []).map { $0.at("organisation_id") }
            #expect(shown == [.null, .text(scene.own.id)], "\(path) \(list.body)")
        }
        #expect(try await scene.choose(none, tokens).status == 204)
        tokens = try await scene.refresh(tokens)
        #expect(try await scene.named(tokens) == nil)
        let recorded = try await scene.cluster.sql(
            """
            SELECT string_agg(COALESCE(detail ->> 'organisation_id', 'none'), ' ' ORDER BY id)
              FROM audit_events
             WHERE action = 'session.organisation-chosen' AND session_id = '\(tokens.session)'
            """
        )
        #expect(recorded == "\(scene.own.id) none")
        let out = try await scene.cluster.node.send("POST", "/v1/auth/logout", tokens.bearer)
        #expect(out.status == 204)
        #expect(try await scene.choose(own, tokens).code == "token-revoked")
        #expect(try await scene.cluster.node.send("PUT", Self.path, json: own).status == 401)
    }

    @Test func `an organisation that is chosen already is not chosen again (W9)`() async throws {
        let scene = try await Scene()
        let tokens = try await scene.cluster.signIn(scene.person)
        let written = """
            SELECT (SELECT s.xmin::text || ' ' || s::text FROM sessions s
                     WHERE s.id = '\(tokens.session)')
                || (SELECT a.xmin::text || ' ' || a.version || ' ' || a.rights_version
                      FROM accounts a WHERE a.id = '\(scene.person.id)')
                || (SELECT g.generation FROM account_signatures g
                     WHERE g.account_id = '\(scene.person.id)')
                || ' ' || (SELECT count(*) FROM audit_events
                            WHERE account_id = '\(scene.person.id)')
                || ' ' || (SELECT count(*) FROM outbox WHERE account_id = '\(scene.person.id)')
                || ' ' || (SELECT count(*) FROM revocation_log
                            WHERE subject IN (uuid_send('\(scene.person.id)'),
                                              uuid_send('\(tokens.session)')))
            """
        for json in [
            "{\"organisation_id\":\"\(scene.own.id)\"}", "{\"organisation_id\":null}",
        ] {
            let before = try await scene.cluster.sql(written)
            #expect(try await scene.choose(json, tokens).status == 204)
            let chosen = try await scene.cluster.sql(written)
            #expect(chosen != before)
            for node in scene.cluster.nodes {
                let again = try await node.client.send("PUT", Self.path, tokens.bearer, json: json)
                #expect(again.status == 204)
            }
            #expect(try await scene.cluster.sql(written) == chosen)
        }
    }

    @Test
    func
        `a session whose organisation is closed or left is refused until it changes (W10, W11)`()
        async throws
    {
        let scene = try await Scene()
        var tokens = try Tokens(try await scene.logIn(scene.own.id))
        let refuses = scene.cluster.nodes.map { _ in 403 }
        /// What every node says to a token that names an organisation which is closed to it.
        func verdicts(_ tokens: Tokens) async throws -> [Int] {
            var found: [Int] = []
            for node in scene.cluster.nodes {
                found.append(try await node.client.send("GET", "/verify", tokens.bearer).status)
            }
            return found
        }
        try await scene.set("disabled")
        #expect(try await verdicts(tokens) == refuses)
        tokens = try await scene.refresh(tokens)
        #expect(try await verdicts(tokens) == refuses)
        try await scene.set("active")
        #expect(try await scene.named(tokens) == scene.own.id)
        let left = try await scene.own.send(scene.desk, "DELETE", "/members/\(scene.person.id)")
        #expect(left.status == 204)
        #expect(try await verdicts(tokens) == refuses)
        tokens = try await scene.refresh(tokens)
        #expect(try await verdicts(tokens) == refuses)
        // A change of the password mints too.
        let fresh = "another horse \(scene.own.name)"
        scene.cluster.secrets.add(fresh, "password")
        let changed = try await scene.cluster.node.send(
            "POST",
            "/v1/me/password",
            tokens.bearer,
            json: """
                {"current_password":"\(scene.person.password)",
                 "new_password":"\(fresh)"}
                """
        )
        #expect(changed.status == 200, "\(changed.body)")
        tokens = try Tokens(changed)
        #expect(try await verdicts(tokens) == refuses)
        let none = try await scene.cluster.node.send(
            "PUT",
            Self.path,
            tokens.bearer,
            json: "{\"organisation_id\":null}"
        )
        #expect(none.status == 204, "\(none.body)")
        tokens = try await scene.refresh(tokens)
        #expect(try await scene.named(tokens) == nil)
        #expect(try await verdicts(tokens) == scene.cluster.nodes.map { _ in 200 })
    }

    @Test func `who must replace his password can do so for an organisation (S4-T10)`() async throws
    {
        let scene = try await Scene()
        let path = "/\(scene.person.id)/require-password-change"
        #expect(try await scene.desk.send("POST", path, json: "{}").status == 204)
        #expect(try await scene.logIn(scene.own.id).code == "password-change-required")
        let fresh = "another horse \(scene.own.name)"
        scene.cluster.secrets.add(fresh, "password")
        func replace(_ organisation: String) async throws -> HTTPAnswer {
            try await scene.cluster.node.send(
                "POST",
                "/v1/auth/login",
                json: """
                    {"login":"\(scene.person.email)","password":"\(scene.person.password)",
                     "new_password":"\(fresh)","organisation_id":"\(organisation)"}
                    """
            )
        }
        #expect(try await replace(scene.other.id).code == "organisation-refused")
        let answer = try await replace(scene.own.id)
        #expect(answer.status == 200, "\(answer.body)")
        #expect(try await scene.named(try Tokens(answer)) == scene.own.id)
    }
}

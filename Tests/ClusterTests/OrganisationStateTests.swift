// Organisations that are disabled and enabled, of any size, through HTTP on all nodes: in force on
// the next request of each, for gateways, decisions, delegates and API keys (W11, H23).
import Primitives
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct OrganisationStateTests {
    /// The status of a request on each node.
    private func statuses(
        _ cluster: Cluster,
        _ method: String,
        _ path: String,
        _ fields: [(String, String)]
    ) async throws -> [Int] {
        var found: [Int] = []
        for node in cluster.nodes {
            found.append(try await node.client.send(method, path, fields).status)
        }
        return found
    }

    private func set(
        _ state: String,
        of organisation: TestOrganisation,
        by desk: AdminDesk
    ) async throws {
        let changed = try await organisation.send(desk, "PATCH", json: "{\"state\":\"\(state)\"}")
        #expect(changed.status == 200 && changed.text("state") == state, "\(changed.body)")
    }

    @Test
    func `an organisation of 60,000 members is disabled by one entry, in force at once (H23, W11)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let organisation = try await TestOrganisation(desk)
        let person = try await cluster.person()
        try await organisation.add(person, by: desk)
        try await organisation.give(["orders:write"], to: person, by: desk)
        let tokens = try await cluster.signIn(person)
        let mark = organisation.name
        try await cluster.sql(
            """
            WITH made AS (
                INSERT INTO accounts (id, email, email_canonical, rights_version, state,
                                      created_at, updated_at)
                SELECT gen_random_uuid(), n || '@\(mark).test', n || '@\(mark).test', 1, 'active',
                       now(), now()
                  FROM generate_series(2, 60000) n
                RETURNING id
            ), signed AS (
                INSERT INTO account_signatures (account_id, generation, rotated_at)
                SELECT id, 1, now() FROM made
            )
            INSERT INTO organisation_members (organisation_id, account_id, joined_at)
            SELECT '\(organisation.id)', id, now() FROM made
            """
        )
        let asked = tokens.bearer + [organisation.field]
        let wanted = "/verify?permission=orders:write"
        let logged =
            "SELECT count(*) FROM revocation_log WHERE subject = uuid_send('\(organisation.id)')"
        for (round, state) in ["disabled", "active", "disabled"].enumerated() {
            let open = state == "active" ? 403 : 200
            // Twice, so that each node remembers.
            for _ in 0..<2 {
                let before = try await statuses(cluster, "GET", wanted, asked)
                #expect(before == [open, open, open], "\(state)")
            }
            try await set(state, of: organisation, by: desk)
            let after = try await statuses(cluster, "GET", wanted, asked)
            #expect(after == [603 - open, 603 - open, 603 - open], "\(state)")
            #expect(try await cluster.sql(logged) == "\(round + 1)")
        }
        #expect(try await statuses(cluster, "GET", "/verify", tokens.bearer) == [200, 200, 200])
        try await set("active", of: organisation, by: desk)
        #expect(try await statuses(cluster, "GET", wanted, asked) == [200, 200, 200])
        #expect(try await organisation.send(desk, "DELETE").status == 204)
        #expect(try await statuses(cluster, "GET", wanted, asked) == [403, 403, 403])
        #expect(try await cluster.sql(logged) == "5")
        try await eventually("the nodes have swept it away", patience: .seconds(300)) {
            let left = """
                SELECT (SELECT count(*) FROM organisation_members
                         WHERE organisation_id = '\(organisation.id)')
                     + (SELECT count(*) FROM account_roles WHERE scope = 'org:\(organisation.id)')
                     + (SELECT count(*) FROM organisations WHERE id = '\(organisation.id)')
                """
            return try await cluster.sql(left) == "0"
        }
        try await cluster.sql("DELETE FROM accounts WHERE email LIKE '%@\(mark).test'")
    }

    @Test
    func `decisions, delegates and API keys know at once that an organisation is closed (W11)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let organisation = try await TestOrganisation(desk)
        let person = try await cluster.person()
        try await organisation.add(person, by: desk)
        let rights = ["orders:write", "organisations:read"]
        try await organisation.give(rights, to: person, by: desk)
        let tokens = try await cluster.signIn(person)
        let key = try await serviceKey(desk, organisation)
        let check = """
            {"checks":[{"permission":"orders:write","organisation":"\(organisation.id)",
             "subject":"\(person.id)"},{"permission":"orders:write","subject":"\(person.id)",
             "resource":"org:\(organisation.id)"}]}
            """
        for state in ["active", "disabled", "active", "disabled"] {
            try await set(state, of: organisation, by: desk)
            let isOpen = state == "active"
            let status = isOpen ? 200 : 403
            for node in cluster.nodes {
                func ask(_ path: String, _ fields: [(String, String)]) async throws -> HTTPAnswer {
                    try await node.client.send("GET", path, fields + [organisation.field])
                }
                let list = "/v1/admin/organisations"
                #expect(try await ask(list, tokens.bearer).status == status, "\(state)")
                #expect(try await ask("/v1/me/permissions", tokens.bearer).status == status)
                let verify = "/verify?permission=orders:write"
                #expect(try await ask(verify, key).status == status, "\(state)")
                #expect(try await node.client.send("GET", "/verify", key).status == 200)
                // Roles that are held in it are held on it as a thing too.
                let thing = "\(verify)&resource=org:\(organisation.id)"
                let there = try await node.client.send("GET", thing, tokens.bearer)
                #expect(there.status == status, "\(state)")
                for bearer in [tokens.bearer, desk.tokens.bearer] {
                    let told = try await node.client.send(
                        "POST",
                        "/v1/authorize",
                        bearer,
                        json: check
                    )
                    let count = told.body.split(separator: "\"allowed\":\(isOpen)").count - 1
                    #expect(told.status == 200 && count == 2, "\(state) \(told.body)")
                }
            }
        }
    }

    /// An API key of a service that holds a permission in the organisation.
    private func serviceKey(
        _ desk: AdminDesk,
        _ organisation: TestOrganisation
    ) async throws -> [(String, String)] {
        let path = "/v1/admin/service-accounts"
        let made = try await desk.client.send(
            "POST",
            path,
            desk.tokens.bearer,
            json: "{\"name\":\"service-\(organisation.name)\"}"
        )
        let id = try #require(made.text("id"))
        let service = Person(email: "", username: "", password: "", id: id)
        try await organisation.add(service, by: desk)
        try await organisation.give(["orders:write"], to: service, by: desk)
        let key = try await desk.client.send(
            "POST",
            "\(path)/\(id)/keys",
            desk.tokens.bearer,
            json: "{\"name\":\"a key\"}"
        )
        return [("Authorization", "Bearer \(try #require(key.text("key")))")]
    }
}

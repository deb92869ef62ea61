// Who becomes a member of an organisation by whom, and two who change one membership at once on two
// nodes: what they are told and what gateways say is what the database holds.
import Primitives
import Revocation
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct MembershipTests {
    /// Adds or removes somebody, at a node.
    private func change(
        _ method: String,
        _ person: Person,
        in org: TestOrganisation,
        by tokens: Tokens,
        at node: NodeProcess,
        _ fields: [(String, String)] = []
    ) async throws -> HTTPAnswer {
        let isAdding = method == "POST"
        return try await node.client.send(
            method,
            "/v1/admin/organisations/\(org.id)/members\(isAdding ? "" : "/\(person.id)")",
            tokens.bearer + fields,
            json: isAdding ? "{\"account\":\"\(person.id)\"}" : nil
        )
    }

    @Test
    func `nobody makes a member of whom he may not change, to change him then (rows 169, 175)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let root = try await AdminDesk(cluster)
        let org = try await TestOrganisation(root)
        let (boss, clerk, stranger) = try await (
            cluster.person(), cluster.person(), cluster.person()
        )
        try await org.add(boss, by: root)
        try await org.give(
            ["organisations:write", "users:read", "users:write"],
            to: boss,
            by: root
        )
        try await cluster.grant("reads-\(org.name)", ["users:read"], to: boss)
        let desk = try await AdminDesk(cluster, boss)
        func add(_ desk: AdminDesk, _ fields: [(String, String)]) async throws -> HTTPAnswer {
            try await change(
                "POST",
                stranger,
                in: org,
                by: desk.tokens,
                at: cluster.nodes[0],
                fields
            )
        }
        let pulled = try await add(desk, [org.field])
        #expect(pulled.status == 403 && pulled.code == "permission-not-held", "\(pulled.body)")
        // Nor whoever may change every organisation, and people in this one alone.
        try await org.add(clerk, by: root)
        try await org.give(["users:write"], to: clerk, by: root)
        try await cluster.grant("keeps-\(org.name)", ["organisations:write"], to: clerk)
        let keeper = try await AdminDesk(cluster, clerk)
        let nobody = try await cluster.sql("SELECT gen_random_uuid()")
        for fields in [[], [org.field]] {
            let answer = try await add(keeper, fields)
            #expect([403, 404].contains(answer.status), "\(answer.body)")
            // The answer does not tell whether there is such an account.
            let none = try await org.send(
                keeper,
                "POST",
                "/members",
                fields,
                json: "{\"account\":\"\(nobody)\"}"
            )
            #expect(none.status == answer.status && none.code == answer.code)
        }
        let changed = try await desk.send("POST", "/\(stranger.id)/disable", [org.field])
        #expect(changed.status == 404)
        // Whom an administrator has put there is his to change.
        try await org.add(stranger, by: root)
        #expect(try await add(desk, [org.field]).status == 200)
        #expect(try await desk.send("POST", "/\(stranger.id)/disable", [org.field]).status == 204)
    }

    @Test func `who is made a member again is told of again, as what he is (H19, W11)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let org = try await TestOrganisation(desk)
        let person = try await cluster.person()
        // How many entries there are of what he holds, and of how many versions.
        let entries = """
            SELECT count(*) || ' of ' || count(DISTINCT l.ver)
              FROM revocation_log l
             WHERE l.kind = \(RevocationKind.rights.rawValue)
               AND l.subject = uuid_send('\(person.id)')
            """
        var versions: [String?] = []
        // As if the first had died after its commit: with members nobody else has heard of it.
        for (status, found) in [(201, "1 of 1"), (200, "2 of 1")] {
            let answer = try await change(
                "POST",
                person,
                in: org,
                by: desk.tokens,
                at: cluster.nodes[0]
            )
            #expect(answer.status == status, "\(answer.body)")
            versions.append(answer["Watchword-Rights-Version"])
            #expect(try await cluster.sql(entries) == found)
        }
        #expect(versions[0] != nil && versions[0] == versions[1])
        let recorded = """
            SELECT count(*) FROM audit_events
             WHERE action = 'organisation.member-added' AND account_id = '\(person.id)'
            """
        #expect(try await cluster.sql(recorded) == "1")
    }

    @Test
    func `two who add one person at once on two nodes make one membership (W9, row 173)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let org = try await TestOrganisation(desk)
        for round in 0..<6 {
            let person = try await cluster.person()
            let tokens = try await cluster.signIn(person)
            async let one = change(
                "POST",
                person,
                in: org,
                by: desk.tokens,
                at: cluster.nodes[0]
            )
            async let two = change(
                "POST",
                person,
                in: org,
                by: desk.tokens,
                at: cluster.nodes[1]
            )
            let statuses = try await [one.status, two.status].sorted()
            #expect(statuses == [200, 201], "\(round)")
            let here = tokens.bearer + [org.field]
            let found = try await cluster.verdicts(here)
            let isEverywhere = found.prefix(cluster.nodes.count).allSatisfy { $0 == 200 }
            #expect(isEverywhere, "\(round) \(found)")
            let recorded = try await cluster.sql(
                """
                SELECT (SELECT count(*) FROM organisation_members
                         WHERE account_id = '\(person.id)') || ' '
                    || (SELECT count(*) FROM audit_events
                         WHERE account_id = '\(person.id)'
                           AND action = 'organisation.member-added')
                """
            )
            #expect(recorded == "1 1", "\(round)")
        }
    }

    @Test
    func `of who adds and who removes at once the later one counts, on every node (W11, row 173)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let org = try await TestOrganisation(desk)
        let person = try await cluster.person()
        let tokens = try await cluster.signIn(person)
        let here = tokens.bearer + [org.field]
        var wasMember = false
        for round in 0..<12 {
            async let one = change(
                "POST",
                person,
                in: org,
                by: desk.tokens,
                at: cluster.nodes[round % 2]
            )
            async let two = change(
                "DELETE",
                person,
                in: org,
                by: desk.tokens,
                at: cluster.nodes[1 - round % 2]
            )
            let (added, dropped) = try await (one.status, two.status)
            let count = try await cluster.sql(
                "SELECT count(*) FROM organisation_members WHERE account_id = '\(person.id)'"
            )
            let isMember = count == "1"
            // In one order or in the other, and never a mixture of both.
            let before = wasMember
            let addedFirst = added == (before ? 200 : 201) && dropped == 204 && !isMember
            let droppedFirst = added == 201 && dropped == (before ? 204 : 404) && isMember
            #expect(addedFirst || droppedFirst, "\(round) \(added) \(dropped) \(isMember)")
            wasMember = isMember
            let wanted = isMember ? 200 : 403
            for node in cluster.nodes {
                let answer = try await node.client.send("GET", "/verify", here)
                #expect(answer.status == wanted, "\(round) \(isMember)")
            }
            let held = try await cluster.sql(
                """
                SELECT count(*) FILTER (WHERE action LIKE '%added')
                     - count(*) FILTER (WHERE action LIKE '%removed')
                  FROM audit_events
                 WHERE account_id = '\(person.id)' AND action LIKE 'organisation.member-%'
                """
            )
            #expect(held == count, "\(round)")
        }
    }

    @Test
    func `a role in an organisation is given by its own spelling and goes with the member (W10)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let root = try await AdminDesk(cluster)
        let org = try await TestOrganisation(root)
        let person = try await cluster.person()
        try await org.add(person, by: root)
        let role = try await cluster.sql("SELECT id FROM roles WHERE name = 'member'")
        func give(_ resource: String) async throws -> HTTPAnswer {
            try await root.send(
                "POST",
                "/\(person.id)/roles",
                json: "{\"role\":\"\(role)\",\"resource\":\"\(resource)\"}"
            )
        }
        // With a letter in it, or there is nothing to spell otherwise.
        let shouted = "org:\(org.id.uppercased())"
        try #require(shouted != "org:\(org.id)")
        let refused = try await give(shouted)
        #expect(refused.status == 400 && refused.code == "validation-failed", "\(refused.body)")
        let given = try await give("org:\(org.id)")
        #expect(given.status == 201, "\(given.body)")
        let left = try await org.send(root, "DELETE", "/members/\(person.id)")
        #expect(left.status == 204, "\(left.body)")
        let held = try await cluster.sql(
            """
            SELECT count(*) FROM account_roles
             WHERE account_id = '\(person.id)' AND scope <> ''
            """
        )
        #expect(held == "0")
    }
}

// Members of two organisations, with roles in both: a delegate of one does there what he may do for
// any member, and is not told what they are in the other (rows 170, 175).
import Primitives
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct TwoOrganisationsTests {
    /// Somebody with a role in each of two organisations, and the delegate of one.
    private struct Scene {
        let cluster: Cluster
        let root: AdminDesk
        let desk: AdminDesk
        let boss: Person
        let person: Person
        let own: TestOrganisation
        let other: TestOrganisation

        init() async throws {
            cluster = try await Cluster.shared()
            root = try await AdminDesk(cluster)
            own = try await TestOrganisation(root)
            other = try await TestOrganisation(root)
            person = try await cluster.person()
            boss = try await cluster.person()
            for member in [person, boss] { try await own.add(member, by: root) }
            try await other.add(person, by: root)
            let held = [
                "users:read", "users:write", "roles:read", "roles:assign", "organisations:write",
                "orders:write",
            ]
            try await own.give(held, to: boss, by: root)
            try await other.give(["bills:pay"], to: person, by: root)
            desk = try await AdminDesk(cluster, boss)
        }

        /// What the delegate is answered, acting in his organisation.
        func send(
            _ method: String,
            _ rest: String,
            json: String? = nil
        ) async throws -> HTTPAnswer {
            try await desk.send(method, "/\(person.id)\(rest)", [own.field], json: json)
        }
    }

    @Test
    func `what a member holds in another organisation binds no delegate of this (row 175)`()
        async throws
    {
        let scene = try await Scene()
        let name = try await scene.own.give(["orders:write"], to: scene.boss, by: scene.root)
        let role = try await scene.cluster.sql("SELECT id FROM roles WHERE name = '\(name)'")
        let json = "{\"role\":\"\(role)\",\"organisation\":\"\(scene.own.id)\"}"
        let given = try await scene.send("POST", "/roles", json: json)
        #expect(given.status == 201, "\(given.body)")
        let taken = try await scene.send("DELETE", "/roles/\(role)?organisation=\(scene.own.id)")
        #expect(taken.status == 204, "\(taken.body)")
        #expect(try await scene.send("DELETE", "/sessions").status == 204)
        // What the other organisation would feel is refused for that, and says no more.
        let disabled = try await scene.send("POST", "/disable")
        #expect(disabled.status == 403 && disabled.code == "permission-denied")
        let dropped = try await scene.own.send(
            scene.desk,
            "DELETE",
            "/members/\(scene.person.id)",
            [scene.own.field]
        )
        #expect(dropped.status == 204, "\(dropped.body)")
        let left = try await scene.cluster.sql(
            "SELECT scope FROM account_roles WHERE account_id = '\(scene.person.id)'"
                + " AND scope <> ''"
        )
        #expect(left == "org:\(scene.other.id)")
    }

    @Test
    func `who holds more in this organisation, or everywhere, is left alone (row 170)`()
        async throws
    {
        for place in ["here", "everywhere"] {
            let scene = try await Scene()
            if place == "here" {
                try await scene.own.give(["bills:pay"], to: scene.person, by: scene.root)
            } else {
                let mark = scene.person.id.suffix(12)
                try await scene.cluster.grant("more-\(mark)", ["bills:pay"], to: scene.person)
            }
            let ended = try await scene.send("DELETE", "/sessions")
            #expect(ended.status == 403 && ended.code == "permission-not-held", "\(place)")
            let dropped = try await scene.own.send(
                scene.desk,
                "DELETE",
                "/members/\(scene.person.id)",
                [scene.own.field]
            )
            #expect(dropped.status == 403 && dropped.code == "permission-not-held", "\(place)")
        }
    }

    @Test
    func `a delegate finds the roles that he may give, and what they permit (row 170)`()
        async throws
    {
        let scene = try await Scene()
        let name = try await scene.own.give(["orders:write"], to: scene.boss, by: scene.root)
        let role = try await scene.cluster.sql("SELECT id FROM roles WHERE name = '\(name)'")
        for path in ["/v1/admin/roles/\(role)", "/v1/admin/roles", "/v1/admin/permissions"] {
            for (field, status) in [(scene.own.field, 200), (scene.other.field, 403)] {
                let bearer = scene.desk.tokens.bearer
                let answer = try await scene.cluster.node.send("GET", path, bearer + [field])
                #expect(answer.status == status, "\(path) \(answer.body)")
            }
        }
    }
}

// Whoever changes a role waits for others who do. What he holds is read when it is his turn: what
// he has lost while he waited is not brought back by him (row 169, W11). The cluster is one of its
// own, for nobody else changes a role meanwhile.
import TestKit
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct HeldUnderLockTests {
    /// Somebody who may change roles, and holds a permission by one of them.
    private struct Scene: Sendable {
        let cluster: Cluster
        let desk: AdminDesk
        /// By which he holds it.
        let role: String
        /// One of somebody else, which permits it too.
        let other: String

        init(_ cluster: Cluster) async throws {
            self.cluster = cluster
            let person = try await cluster.person()
            let mark = person.id.suffix(12)
            try await cluster.grant("maker-\(mark)", ["roles:write"], to: person)
            try await cluster.grant("lost-\(mark)", ["users:read"], to: person)
            role = try await cluster.sql("SELECT id FROM roles WHERE name = 'lost-\(mark)'")
            let somebody = try await cluster.person()
            try await cluster.grant("other-\(mark)", ["users:read"], to: somebody)
            other = try await cluster.sql("SELECT id FROM roles WHERE name = 'other-\(mark)'")
            desk = try await AdminDesk(cluster, person)
        }

        /// Has the role permit what it did at first, with other words.
        func change() async throws -> Int {
            try await cluster.node.send(
                "PATCH",
                "/v1/admin/roles/\(role)",
                desk.tokens.bearer,
                json: "{\"permissions\":[\"users:read\"],\"description\":\"as it was\"}"
            ).status
        }

        /// Makes another role that permits it.
        func make() async throws -> Int {
            try await cluster.node.send(
                "POST",
                "/v1/admin/roles",
                desk.tokens.bearer,
                json: "{\"name\":\"lost-too-\(role)\",\"permissions\":[\"users:read\"]}"
            ).status
        }

        /// Removes the other one.
        func remove() async throws -> Int {
            try await cluster.node.send(
                "DELETE",
                "/v1/admin/roles/\(other)",
                desk.tokens.bearer
            ).status
        }

        /// Has the role permit these.
        func lose(to permissions: [String]) async throws {
            try await cluster.change(role: role, to: permissions)
        }
    }

    private static func start() async throws -> Cluster {
        var plan = Cluster.Plan()
        plan.nodes = 2
        return try await Cluster.start(plan)
    }

    /// How many roles permit what was to be lost, of those that this suite makes.
    private func permitting(_ cluster: Cluster) async throws -> String {
        try await cluster.sql(
            """
            SELECT count(*)
              FROM role_permissions p
              JOIN roles r ON r.id = p.role_id
             WHERE r.name LIKE 'lost-%'
               AND p.permission = 'users:read'
            """
        )
    }

    @Test
    func `what is lost while a change of a role waits is not brought back by it (row 169, W11)`()
        async throws
    {
        let cluster = try await Self.start()
        let changed = try await cluster.holdingUpRoles {
            let scene = try await Scene(cluster)
            return ({ try await scene.change() }, { try await scene.lose(to: []) })
        }
        #expect(changed == 403)
        let made = try await cluster.holdingUpRoles {
            let scene = try await Scene(cluster)
            return ({ try await scene.make() }, { try await scene.lose(to: []) })
        }
        #expect(made == 403)
        #expect(try await permitting(cluster) == "0")
        // Nor does he remove another role that permits it.
        let removed = try await cluster.holdingUpRoles {
            let scene = try await Scene(cluster)
            return ({ try await scene.remove() }, { try await scene.lose(to: []) })
        }
        #expect(removed == 403)
        #expect(try await permitting(cluster) == "0")
    }

    @Test func `who keeps what he holds changes, makes and removes roles after the wait`()
        async throws
    {
        let cluster = try await Self.start()
        let changed = try await cluster.holdingUpRoles {
            let scene = try await Scene(cluster)
            return ({ try await scene.change() }, {})
        }
        #expect(changed == 200)
        let made = try await cluster.holdingUpRoles {
            let scene = try await Scene(cluster)
            return ({ try await scene.make() }, {})
        }
        #expect(made == 201)
        let removed = try await cluster.holdingUpRoles {
            let scene = try await Scene(cluster)
            return ({ try await scene.remove() }, {})
        }
        #expect(removed == 204)
    }
}

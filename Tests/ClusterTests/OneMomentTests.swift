// A check puts together what an account holds, what its roles permit and where it may act. All of
// that must be true of one moment: an old role and a newer membership would permit together what
// was permitted at no time (W11).
import Revocation
import TestKit
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct OneMomentTests {
    /// Somebody who holds a permission in an organisation, which is disabled then.
    private struct Scene {
        let cluster: Cluster
        let desk: AdminDesk
        let organisation: TestOrganisation
        let tokens: Tokens
        let role: String

        init(_ cluster: Cluster) async throws {
            self.cluster = cluster
            desk = try await AdminDesk(cluster)
            organisation = try await TestOrganisation(desk)
            let person = try await cluster.person()
            try await organisation.add(person, by: desk)
            let name = try await organisation.give(["orders:write"], to: person, by: desk)
            role = try await cluster.sql("SELECT id FROM roles WHERE name = '\(name)'")
            tokens = try await cluster.signIn(person)
        }

        /// Asks another node than the one that is changed on.
        func check(_ path: String, _ body: String?) async throws -> Int {
            try await cluster.nodes[1].client.send(
                "GET",
                path,
                tokens.bearer + [organisation.field],
                json: body
            ).status
        }

        func close() async throws {
            let json = "{\"state\":\"disabled\"}"
            #expect(try await organisation.send(desk, "PATCH", json: json).status == 200)
        }

        /// What an administrator's change of the role does, for whom nothing is held up.
        func empty() async throws {
            try await cluster.sql(
                """
                WITH r AS (
                    UPDATE roles SET version = \(GrowingVersion.next("version"))
                     WHERE id = '\(role)' RETURNING id, version
                ), d AS (DELETE FROM role_permissions WHERE role_id = '\(role)')
                INSERT INTO revocation_log (kind, subject, ver, expires_at)
                SELECT \(RevocationKind.role.rawValue), uuid_send(id), version,
                       revocation_expiry() FROM r
                """
            )
        }

        /// The same for the organisation.
        func open() async throws {
            try await cluster.sql(
                """
                WITH o AS (
                    UPDATE organisations
                       SET state = 'active', generation = \(GrowingVersion.next("generation"))
                     WHERE id = '\(organisation.id)' RETURNING id, generation
                )
                INSERT INTO revocation_log (kind, subject, ver, expires_at)
                SELECT \(RevocationKind.tenant.rawValue), uuid_send(id), generation,
                       revocation_expiry() FROM o
                """
            )
        }
    }

    /// With a body the general path answers.
    @Test(arguments: [nil, "{}"])
    func `an old role and a newer membership permit nothing together (W11)`(
        _ body: String?
    ) async throws {
        let cluster = try await Cluster.shared()
        let path = "/verify?permission=orders:write"
        // Whoever waits for the lock too long is answered 503, and it is tried anew.
        for _ in 0..<20 {
            let scene = try await Scene(cluster)
            #expect(try await scene.check(path, body) == 200)
            try await scene.close()
            let answer = try await held(scene, path, body) {
                try await scene.empty()
                try await scene.open()
            }
            if answer == 503 { continue }
            // The role permits nothing any more, and nothing did while the organisation was closed.
            #expect(answer == 403)
            return
        }
        Issue.record("no answer in twenty attempts")
    }

    @Test(arguments: [nil, "{}"])
    func `a token that ends while what its holder may is read passes nobody (W1, W11)`(
        _ body: String?
    ) async throws {
        let cluster = try await Cluster.shared()
        for _ in 0..<20 {
            let scene = try await Scene(cluster)
            let answer = try await held(scene, "/verify", body) {
                let out = try await cluster.node.send(
                    "POST",
                    "/v1/auth/logout",
                    scene.tokens.bearer
                )
                #expect(out.status == 204)
            }
            if answer == 503 { continue }
            #expect(answer == 401)
            return
        }
        Issue.record("no answer in twenty attempts")
    }

    /// What a check is told that reads where its account may act only after `events`.
    private func held(
        _ scene: Scene,
        _ path: String,
        _ body: String?,
        _ events: () async throws -> Void
    ) async throws -> Int {
        let table = "organisation_members"
        let holder = try await LockHolder(
            scene.cluster,
            "LOCK TABLE \(table) IN ACCESS EXCLUSIVE MODE"
        )
        return try await withThrowingTaskGroup { group in
            defer { holder.letGo() }
            group.addTask { try await scene.check(path, body) }
            try await eventually("the check waits") {
                try await scene.cluster.sql(
                    """
                    SELECT count(*) FROM pg_locks
                     WHERE relation = '\(table)'::regclass AND NOT granted
                    """
                ) != "0"
            }
            try await events()
            holder.letGo()
            return try await group.next() ?? 0
        }
    }
}

// A check puts together what an account holds, what its roles permit and where it may act. All of
// that must be true of one moment: an old role and a newer membership would permit together what
// was permitted at no time (W11).
import Revocation
import TestKit
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct OneMomentTests {
    private static let table = "organisation_members"
    private static let locks = "FROM pg_locks WHERE relation = '\(table)'::regclass"

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

    /// Holds up whoever reads memberships while `body` runs.
    private func holdingUp(_ cluster: Cluster, _ body: () async throws -> Void) async throws {
        let holder = try PrivateFolder.make("ww-holder")
        let janitor = try PrivateFolder.removeAtExit(holder)
        defer { PrivateFolder.release(janitor) }
        let lock = "BEGIN; LOCK TABLE \(Self.table) IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)"
        let psql = try await Blocking.run {
            try ChildProcess.launch(
                [
                    "psql", "-h", cluster.postgres.folder, "-U", "postgres", "-d", "postgres",
                    "-Xq", "-c", lock,
                ],
                log: "\(holder)/log"
            )
        }
        defer { psql.kill() }
        try await eventually("memberships are locked") {
            try await cluster.sql("SELECT count(*) \(Self.locks) AND granted") == "1"
        }
        try await body()
        try await cluster.sql("SELECT count(pg_terminate_backend(pid)) \(Self.locks) AND granted")
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
            let answer = try await held(scene, path, body)
            if answer == 503 { continue }
            // The role permits nothing any more, and nothing did while the organisation was closed.
            #expect(answer == 403)
            return
        }
        Issue.record("no answer in twenty attempts")
    }

    /// A check that learns of the disabled organisation and reads where its account may act only
    /// when the role is empty and the organisation active again.
    private func held(_ scene: Scene, _ path: String, _ body: String?) async throws -> Int {
        let waits = "SELECT count(*) \(Self.locks) AND NOT granted"
        return try await withThrowingTaskGroup { group in
            try await holdingUp(scene.cluster) {
                group.addTask { try await scene.check(path, body) }
                try await eventually("the check waits") {
                    try await scene.cluster.sql(waits) != "0"
                }
                try await scene.empty()
                try await scene.open()
            }
            return try await group.next() ?? 0
        }
    }
}

// What nodes remember of organisations: it counts until the revocation log tells of a change, and
// what the database cannot tell any more counts as closed. Nobody's other rights notice.
import Access
import ClusterKit
import Postgres
import Primitives
import Revocation
import Sessions
import TestKit
import Testing
import Web

@Suite(.serialized) struct OrganisationNewsTests {
    private static let both = [BuiltInRole.admin, BuiltInRole.member].sorted()
    private static let one = [BuiltInRole.member]

    @Test
    func `A change of an organisation is one entry, and what was remembered is read anew (W11)`()
        async throws
    {
        try await Cluster.run(2) { cluster in
            let scene = try await OrganisationScene(cluster)
            var generation: Int64 = 0
            for state in [OrganisationState.disabled, .disabled, .active, .active, .disabled] {
                for index in 0..<2 {
                    _ = try await scene.roles(on: index)
                    let before = scene.statements(on: index)
                    _ = try await scene.roles(on: index)
                    // Remembered: nothing is read for what is known.
                    #expect(scene.statements(on: index) == before)
                }
                let entries = try await cluster.number("SELECT count(*) FROM revocation_log")
                let version = try await cluster.number("SELECT max(rights_version) FROM accounts")
                try await scene.change(state)
                for index in 0..<2 {
                    let found = try await scene.roles(on: index)
                    #expect(found == (state == .active ? Self.both : Self.one))
                }
                #expect(
                    try await cluster.number("SELECT count(*) FROM revocation_log") == entries + 1
                )
                #expect(
                    try await cluster.number("SELECT max(rights_version) FROM accounts") == version
                )
                let raised = try await cluster.number("SELECT generation FROM organisations")
                #expect(raised > generation)
                #expect(try await cluster.number("SELECT max(ver) FROM revocation_log") == raised)
                generation = raised
            }
        }
    }

    @Test func `Changes that a database lacks close the organisation and nothing else (W10)`()
        async throws
    {
        try await Cluster.run { cluster in
            let scene = try await OrganisationScene(cluster)
            #expect(try await scene.roles(on: 0) == Self.both)
            // Of another organisation: nothing is read for it.
            let before = scene.statements(on: 0)
            try await cluster.run(Self.entry("gen_random_uuid()", version: 5))
            #expect(try await scene.roles(on: 0) == Self.both)
            #expect(scene.statements(on: 0) == before)
            // As after a failover that has lost what the entry tells of, and nobody wrote it back.
            try await cluster.run(Self.entry("'\(OrganisationScene.id)'", version: 5))
            #expect(try await scene.roles(on: 0) == Self.one)
            // Looked for twice, and then remembered.
            #expect(scene.statements(on: 0) == before + 2)
            #expect(try await scene.roles(on: 0) == Self.one)
            #expect(scene.statements(on: 0) == before + 2)
            // Until somebody opens it.
            try await scene.change(.active)
            #expect(try await scene.roles(on: 0) == Self.both)
        }
    }

    private static func entry(_ subject: String, version: Int) -> String {
        """
        INSERT INTO revocation_log (kind, subject, ver, expires_at)
        VALUES (\(RevocationKind.tenant.rawValue), uuid_send(\(subject)), \(version),
                revocation_expiry())
        """
    }

    @Test(arguments: [OrganisationState.disabled, .active])
    func `An organisation whose change was lost in a failover is disabled (H7, W10)`(
        _ state: OrganisationState
    ) async throws {
        let server = try await PostgresServer.start()
        try await Cluster.run(2, on: server) { cluster in
            let scene = try await OrganisationScene(cluster)
            try await scene.change(state)
            let wanted = state == .active ? Self.both : Self.one
            #expect(try await scene.roles(on: 0) == wanted)
            #expect(try await scene.roles(on: 1) == wanted)
            let generation = try await cluster.number("SELECT generation FROM organisations")
            try await cluster.run(
                """
                DELETE FROM revocation_log;
                UPDATE organisations SET state = 'active', generation = 0, version = 1;
                """
            )
            try await server.crash()
            try await server.restart()
            for index in 0..<2 {
                try await until("the node reads again") {
                    do {
                        try await cluster.nodes[index].readIndex.confirm()
                        return true
                    } catch let error as PostgresError where error.isTransient {
                        return false
                    } catch ReadIndexFault.unconfirmed {
                        return false
                    }
                }
                #expect(try await scene.roles(on: index) == Self.one)
            }
            #expect(try await cluster.text("SELECT state FROM organisations") == "disabled")
            // By one of the two nodes, and recorded (W9).
            let recorded = try await cluster.lines(
                """
                SELECT e.detail ->> 'organisation_id'
                  FROM audit_events e
                 WHERE e.action = 'organisation.changed'
                   AND e.detail ->> 'reason' = 'restored'
                   AND e.actor_id IS NULL
                """
            )
            #expect(recorded == [OrganisationScene.id])
            let raised = try await cluster.number("SELECT generation FROM organisations")
            #expect(raised > generation)
            #expect(try await cluster.number("SELECT max(ver) FROM revocation_log") == raised)
            // The row is another one for who would change it.
            #expect(try await cluster.number("SELECT version FROM organisations") == 2)
            try await scene.change(.active, on: 1)
            #expect(try await scene.roles(on: 0) == Self.both)
            #expect(try await scene.roles(on: 1) == Self.both)
        }
        await server.stop()
    }

    /// What a delegate holds there must stay until he is done, or he changes more than he may.
    @Test
    func `A delegate waits while his organisation is changed, and is refused after (row 171)`()
        async throws
    {
        try await Cluster.run { cluster in
            let scene = try await OrganisationScene(cluster)
            let other = try await cluster.signUp("bob")
            try await cluster.run(
                """
                INSERT INTO organisation_members (organisation_id, account_id, joined_at)
                VALUES ('\(scene.organisation)', '\(other)', now())
                """
            )
            let delegate = Grantor(
                account: scene.member,
                narrowedTo: nil,
                realm: .organisation(scene.organisation)
            )
            let web = cluster.nodes[0].web
            let calls: [@Sendable () async throws -> Void] = [
                {
                    _ = try await web.administration.assignments.assign(
                        BuiltInRole.member,
                        to: other,
                        in: .organisation(scene.organisation),
                        until: nil,
                        by: delegate,
                        cluster.trace()
                    )
                },
                {
                    try await web.administration.organisations.drop(
                        other,
                        from: scene.organisation,
                        by: delegate,
                        cluster.trace()
                    )
                },
            ]
            let key = "hashtextextended('watchword.organisation.\(scene.organisation)', 0)"
            for call in calls {
                try await cluster.run("UPDATE organisations SET state = 'active'")
                let changer = cluster.makePool(applicationName: "changer")
                try await changer.start()
                try await withThrowingTaskGroup(of: Void.self) { group in
                    try await changer.transaction { transaction in
                        try await transaction.script("SELECT pg_advisory_xact_lock(\(key))")
                        group.addTask {
                            await #expect(throws: GrantRefusal.notHeld) { try await call() }
                        }
                        try await cluster.untilBlocked()
                        try await transaction.script("UPDATE organisations SET state = 'disabled'")
                    }
                    try await group.waitForAll()
                }
                await changer.close()
            }
            #expect(try await cluster.number("SELECT count(*) FROM organisation_members") == 2)
        }
    }
}

extension OrganisationScene {
    /// The roles that count for the member in the organisation, as a check on a node finds.
    fileprivate func roles(on index: Int) async throws -> [RoleID] {
        let node = cluster.nodes[index].web
        try await node.verifier.confirm()
        let question = node.verifier.question(about: member)
        let rights = try await node.rights.rights(of: question, at: node.verifier.standing.now)
        #expect(rights.unscoped == [BuiltInRole.member])
        return rights.roles(in: organisation, on: nil).sorted()
    }

    fileprivate func statements(on index: Int) -> Int {
        cluster.nodes[index].value("watchword_rights_resolutions_total")
    }
}

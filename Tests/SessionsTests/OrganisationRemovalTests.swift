// The removal of an organisation: one row and one entry, whatever the number of members; what is
// left of them counts nowhere, and is swept away in bites that any node takes up, whoever has died
// in the middle. Whoever changes a member at the same time comes before it, or too late.
import Access
import Accounts
import ClusterKit
import Logging
import Postgres
import Primitives
import Revocation
import Sessions
import TestKit
import Testing
import Web

@Suite(.serialized) struct OrganisationRemovalTests {
    /// An organisation with two members, one of whom holds a role there, and who may everything.
    private struct Scene {
        let cluster: Cluster
        let organisation: OrganisationID
        let ada: AccountID
        let bob: AccountID
        let root: Grantor

        init(_ cluster: Cluster) async throws {
            self.cluster = cluster
            ada = try await cluster.signUp("ada")
            bob = try await cluster.signUp("bob")
            let root = try await cluster.signUp("root")
            self.root = Grantor(account: root, narrowedTo: nil, realm: .everywhere)
            try await cluster.run(
                """
                INSERT INTO account_roles (account_id, role_id, granted_at)
                VALUES ('\(root)', '\(BuiltInRole.admin)', now())
                """
            )
            organisation = try await Self.make("acme", cluster, by: self.root)
            for account in [ada, bob] { _ = try await add(account) }
            _ = try await assign(to: ada)
        }

        static func make(
            _ name: String,
            _ cluster: Cluster,
            by root: Grantor
        ) async throws -> OrganisationID {
            try await cluster.nodes[0].web.administration.organisations.create(
                name,
                displayName: name,
                by: root,
                cluster.trace()
            ).id
        }

        func services(_ node: Int) -> AdministrationServices {
            cluster.nodes[node].web.administration
        }

        func add(_ account: AccountID, on node: Int = 0) async throws -> Bool {
            try await services(node).organisations.add(
                account,
                to: organisation,
                by: root,
                cluster.trace()
            ).isNew
        }

        func assign(to account: AccountID, on node: Int = 0) async throws -> Bool {
            try await services(node).assignments.assign(
                BuiltInRole.admin,
                to: account,
                in: .organisation(organisation),
                until: nil,
                by: root,
                cluster.trace()
            ).isNew
        }

        func remove(on node: Int = 0) async throws {
            try await services(node).organisations.remove(
                organisation,
                by: root,
                cluster.trace()
            )
        }

        /// What a member may do there, as a check on a node finds.
        func roles(of account: AccountID, on node: Int) async throws -> [RoleID] {
            let web = cluster.nodes[node].web
            try await web.verifier.confirm()
            let question = web.verifier.question(about: account)
            let rights = try await web.rights.rights(of: question, at: web.verifier.standing.now)
            #expect(!rights.organisations.contains(organisation))
            return rights.roles(in: organisation, on: "org:\(organisation)")
        }

        /// Rows that are left of it: memberships, roles, itself.
        func left() async throws -> [Int64] {
            try await [
                cluster.number(
                    "SELECT count(*) FROM organisation_members"
                        + " WHERE organisation_id = '\(organisation)'"
                ),
                cluster.number(
                    "SELECT count(*) FROM account_roles WHERE scope = 'org:\(organisation)'"
                ),
                cluster.number("SELECT count(*) FROM organisations WHERE id = '\(organisation)'"),
            ]
        }

        func sweep(on node: Int) async throws {
            let logger = Logger(label: "sweep") { _ in SwiftLogNoOpLogHandler() }
            try await OrganisationSweeper(database: cluster.nodes[node].pool, logger: logger)
                .sweep()
        }
    }

    /// A change of a member, and what it says when it comes too late.
    private struct Change: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let run: @Sendable (Scene) async throws -> Void
        let isTooLate: @Sendable (any Error) -> Bool
    }

    private static let changes = [
        Change(
            testDescription: "drop",
            run: { scene in
                try await scene.services(1).organisations.drop(
                    scene.ada,
                    from: scene.organisation,
                    by: scene.root,
                    scene.cluster.trace()
                )
            },
            isTooLate: { $0 as? OrganisationRefusal == .notFound }
        ),
        Change(
            testDescription: "add",
            run: { scene in
                let other = try await scene.cluster.signUp("eve")
                _ = try await scene.add(other, on: 1)
            },
            isTooLate: { $0 as? OrganisationRefusal == .notFound }
        ),
        Change(
            testDescription: "assign",
            run: { scene in _ = try await scene.assign(to: scene.bob, on: 1) },
            isTooLate: { $0 as? AssignmentRefusal == .notMember }
        ),
        Change(
            testDescription: "unassign",
            run: { scene in
                _ = try await scene.services(1).assignments.unassign(
                    BuiltInRole.admin,
                    from: scene.ada,
                    in: .organisation(scene.organisation),
                    by: scene.root,
                    scene.cluster.trace()
                )
            },
            isTooLate: { $0 as? GrantRefusal == .notFound }
        ),
    ]

    /// What everybody holds, wherever he acts.
    private static let usual = [BuiltInRole.member]

    /// What members are told of one by one.
    private static let journal = """
        SELECT count(*) FROM audit_events
         WHERE action IN ('organisation.member-added', 'organisation.member-removed',
                          'role.assigned', 'role.unassigned')
        """

    @Test(arguments: changes, [true, false])
    private func `A member is changed before his organisation goes or not at all (W11, row 171)`(
        change: Change,
        removalFirst: Bool
    ) async throws {
        try await Cluster.run(2) { cluster in
            let scene = try await Scene(cluster)
            let key = "hashtextextended('watchword.organisation.\(scene.organisation)', 0)"
            let blocker = cluster.makePool(applicationName: "blocker")
            try await blocker.start()
            let removal: @Sendable () async throws -> Void = { try await scene.remove() }
            let other: @Sendable () async throws -> Void = {
                do {
                    try await change.run(scene)
                    #expect(!removalFirst)
                } catch let error where change.isTooLate(error) {
                    #expect(removalFirst, "\(error)")
                }
            }
            let order = removalFirst ? [removal, other] : [other, removal]
            let written = try await cluster.number(Self.journal)
            try await withThrowingTaskGroup(of: Void.self) { group in
                // Both wait for this lock, and get it in the order in which they came.
                try await blocker.transaction { transaction in
                    try await transaction.script("SELECT pg_advisory_xact_lock(\(key))")
                    for (index, call) in order.enumerated() {
                        group.addTask { try await call() }
                        try await cluster.untilBlocked(Int64(index + 1))
                    }
                }
                try await group.waitForAll()
            }
            await blocker.close()
            for node in 0..<2 {
                for account in [scene.ada, scene.bob] {
                    #expect(try await scene.roles(of: account, on: node) == Self.usual)
                }
            }
            let entries = "SELECT count(*) FROM revocation_log WHERE kind = "
            let tenant = "\(RevocationKind.tenant.rawValue)"
            #expect(try await cluster.number(entries + tenant) == 1)
            #expect(try await cluster.number(Self.journal) - written == (removalFirst ? 0 : 1))
            try await scene.sweep(on: 1)
            #expect(try await scene.left() == [0, 0, 0])
        }
    }

    private static let many = 60_500

    /// Those who hold a role there.
    private static let holders = 6051

    /// An organisation of many, of whom every tenth holds a role there; a thousand of them are in
    /// another one too.
    private static func fill(_ scene: Scene, _ other: OrganisationID) async throws {
        for part in [
            """
            INSERT INTO accounts (id, email, email_canonical, rights_version, state,
                                  created_at, updated_at)
            SELECT gen_random_uuid(), n || '@crowd.test', n || '@crowd.test', n, 'active',
                   now(), now()
              FROM generate_series(3, \(many)) n
            """,
            """
            INSERT INTO account_signatures (account_id, generation, rotated_at)
            SELECT id, 1, now() FROM accounts WHERE email LIKE '%@crowd.test'
            """,
            """
            INSERT INTO organisation_members (organisation_id, account_id, joined_at)
            SELECT '\(scene.organisation)'::uuid, id, now()
              FROM accounts WHERE email LIKE '%@crowd.test'
            UNION ALL
            SELECT '\(other)'::uuid, id, now() FROM accounts
             WHERE email LIKE '%@crowd.test' AND rights_version <= 1002
            """,
            """
            INSERT INTO account_roles (account_id, role_id, scope, granted_at)
            SELECT m.account_id, '\(BuiltInRole.member)', 'org:' || m.organisation_id, now()
              FROM organisation_members m JOIN accounts a ON a.id = m.account_id
             WHERE a.email LIKE '%@crowd.test' AND a.rights_version % 10 = 0
            """,
            "ANALYZE accounts, organisation_members, account_roles",
        ] {
            try await scene.cluster.run(part)
        }
    }

    /// Lets the first twenty bites of memberships pass, and holds up the next until its backend
    /// dies.
    private static let brake = """
        CREATE SEQUENCE bites;
        CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF nextval('bites') > 20 THEN
                PERFORM pg_advisory_xact_lock(4711);
            END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER hold AFTER DELETE ON organisation_members
            FOR EACH STATEMENT EXECUTE FUNCTION hold()
        """

    @Test
    func `60,500 members go with one row, and a sweep survives a crash in its middle (W11, H23)`()
        async throws
    {
        let server = try await PostgresServer.start()
        do {
            try await Cluster.run(2, on: server) { try await removeMany($0, server) }
        } catch {
            Issue.record("\(error)")
        }
        await server.stop()
    }

    private func removeMany(_ cluster: Cluster, _ server: PostgresServer) async throws {
        let scene = try await Scene(cluster)
        let other = try await Scene.make("other", cluster, by: scene.root)
        try await Self.fill(scene, other)
        let entries = try await cluster.number("SELECT count(*) FROM revocation_log")
        let audited = try await cluster.number("SELECT count(*) FROM audit_events")
        try await scene.remove()
        // One row of each, and no member was waited for.
        #expect(
            try await cluster.number("SELECT count(*) FROM revocation_log") == entries + 1
        )
        #expect(try await cluster.number("SELECT count(*) FROM audit_events") == audited + 1)
        #expect(try await scene.left() == [Int64(Self.many), Int64(Self.holders), 1])
        try await expectGone(scene)
        // Its name is free at once.
        let heir = try await Scene.make("acme", cluster, by: scene.root)
        try await cluster.run(Self.brake)
        try await crashInTheMiddle(scene, server)
        // What was taken stays taken, bite by bite.
        let taken = 20 * Bites.size
        #expect(try await scene.left()[0] == Int64(Self.many - taken))
        try await expectGone(scene)
        try await cluster.run("DROP TRIGGER hold ON organisation_members")
        // Two nodes at once are in nobody's way.
        async let first: Void = scene.sweep(on: 0)
        async let second: Void = scene.sweep(on: 1)
        _ = try await (first, second)
        // What one has locked the other passes over, until the next time.
        try await scene.sweep(on: 1)
        #expect(try await scene.left() == [0, 0, 0])
        for (sql, rest) in [
            ("organisation_members WHERE organisation_id = '\(other)'", 1000),
            ("account_roles WHERE scope = 'org:\(other)'", 100),
        ] {
            #expect(try await cluster.number("SELECT count(*) FROM \(sql)") == rest)
        }
        let found = try await scene.services(1).organisations.find(heir, within: .everywhere)
        #expect(found.name == "acme" && found.state == .active)
        #expect(
            try await cluster.number("SELECT count(*) FROM audit_events") == audited + 2
        )
    }

    /// A sweep on the first node, which the database does not outlive.
    private func crashInTheMiddle(_ scene: Scene, _ server: PostgresServer) async throws {
        let cluster = scene.cluster
        let blocker = cluster.makePool(applicationName: "blocker")
        try await blocker.start()
        await withTaskGroup(of: Void.self) { group in
            do {
                try await blocker.transaction { transaction in
                    try await transaction.script("SELECT pg_advisory_xact_lock(4711)")
                    group.addTask {
                        await #expect(throws: PostgresError.self) {
                            try await scene.sweep(on: 0)
                        }
                    }
                    try await cluster.untilBlocked()
                    try await server.crash()
                }
                Issue.record("a transaction outlived its server")
            } catch is PostgresError {
                // Its connection went with the server.
            } catch {
                Issue.record("\(error)")
            }
            await group.waitForAll()
        }
        await blocker.close()
        try await server.restart()
        for node in cluster.nodes {
            try await until("the node reads again") {
                do {
                    try await node.readIndex.confirm()
                    try await cluster.run("SELECT 1")
                    _ = try await scene.left()
                    return true
                } catch let error as PostgresError where error.isTransient {
                    return false
                } catch ReadIndexFault.unconfirmed {
                    return false
                }
            }
        }
    }

    /// Somebody whom an administrator would make a member from the start.
    private static let newcomer = NewAccount(
        email: "new@example.org",
        username: nil,
        password: nil,
        mustChangePassword: false,
        isConfirmed: true,
        profile: AccountProfile()
    )

    /// Nobody finds it, acts in it or changes anything of it, on any node.
    private func expectGone(_ scene: Scene) async throws {
        for node in 0..<2 {
            #expect(try await scene.roles(of: scene.ada, on: node) == Self.usual)
            let services = scene.services(node)
            let id = scene.organisation
            await #expect(throws: OrganisationRefusal.notFound) {
                try await services.organisations.find(id, within: .everywhere)
            }
            await #expect(throws: OrganisationRefusal.notFound) {
                try await services.organisations.members(
                    of: id,
                    within: .everywhere,
                    PageRequest(limit: 1)
                )
            }
            await #expect(throws: OrganisationRefusal.notFound) {
                try await services.organisations.change(
                    id,
                    displayName: "again",
                    state: .active,
                    by: scene.root,
                    scene.cluster.trace()
                )
            }
            await #expect(throws: OrganisationRefusal.notFound) { try await scene.remove() }
            let own = try await services.organisations.memberships(
                of: scene.ada,
                PageRequest(limit: 10)
            )
            #expect(own.items.isEmpty)
            let held = try await services.assignments.list(scene.ada, within: .everywhere)
            #expect(held.map(\.scope) == [.everywhere])
            let holders = try await services.assignments.holders(
                of: BuiltInRole.admin,
                within: .everywhere,
                PageRequest(limit: 10)
            )
            #expect(holders.items.map(\.account) == [scene.root.account])
            let all = try await services.organisations.list(
                within: .everywhere,
                PageRequest(limit: 10)
            )
            #expect(!all.items.map(\.id).contains(id))
            // Whoever was let in while it was there comes too late with what he wants.
            let late = Grantor(
                account: scene.root.account,
                narrowedTo: nil,
                realm: .organisation(id)
            )
            await #expect(throws: GrantRefusal.notFound) {
                try await services.changeState.disable(scene.bob, by: late, scene.cluster.trace())
            }
            await #expect(throws: GrantRefusal.notFound) {
                try await services.create(Self.newcomer, by: late, scene.cluster.trace())
            }
        }
    }

    @Test func `What is removed no more, after a failover, is not swept (H7, W10)`() async throws {
        try await Cluster.run { cluster in
            let scene = try await Scene(cluster)
            try await scene.remove()
            // A new primary that lacks the removal, while a sweep of the old one goes on.
            try await cluster.run("UPDATE organisations SET removed_at = NULL")
            let pool = cluster.nodes[0].pool
            let none = AccountID(high: 0, low: 0)
            let memberships = OrganisationSweeper.memberships(scene.organisation, none)
            let roles = OrganisationSweeper.roles(scene.organisation, none)
            #expect(try await pool.rows(memberships).isEmpty)
            #expect(try await pool.rows(roles).isEmpty)
            _ = try await pool.execute(OrganisationSweeper.organisation(scene.organisation))
            #expect(try await scene.left() == [2, 1, 1])
            // And nobody opens one that is removed, whatever its node is a version of.
            try await cluster.run("UPDATE organisations SET removed_at = now()")
            await #expect(throws: PostgresError.self) {
                try await cluster.run("UPDATE organisations SET state = 'active'")
            }
            #expect(try await pool.rows(memberships).count == 2)
        }
    }
}

// Making an account in an organisation while that is being disabled: whoever comes later is judged
// by what the other has made of his rights.
import Access
import Accounts
import ClusterKit
import Postgres
import Primitives
import Testing
import Web

@Suite(.serialized) struct CreateInOrganisationTests {
    @Test
    func `a delegate whose organisation is being disabled makes nobody there (row 175)`()
        async throws
    {
        try await Cluster.run(2) { cluster in
            let root = try await cluster.signUp("root")
            let boss = try await cluster.signUp("boss")
            let now = cluster.clock.wall.now()
            let org = OrganisationID(at: now, entropy: .system)
            let role = RoleID(at: now, entropy: .system)
            try await cluster.run(
                """
                INSERT INTO organisations (id, name, display_name, created_at, updated_at)
                VALUES ('\(org)', 'acme', 'Acme', now(), now());
                INSERT INTO organisation_members VALUES ('\(org)', '\(boss)', now());
                INSERT INTO roles (id, name, description, built_in, created_at)
                VALUES ('\(role)', 'keeper', '', false, now());
                INSERT INTO role_permissions (role_id, permission)
                VALUES ('\(role)', 'users:write');
                INSERT INTO account_roles (account_id, role_id, granted_at, scope)
                VALUES ('\(root)', '\(BuiltInRole.admin)', now(), ''),
                       ('\(boss)', '\(role)', now(), 'org:\(org)')
                """
            )
            let administration = cluster.nodes.map(\.web.administration)
            let blocker = cluster.makePool(applicationName: "blocker")
            let delegate = Grantor(account: boss, narrowedTo: nil, realm: .organisation(org))
            let made = try await create("first", by: delegate, cluster)
            #expect(made == nil)
            try await withThrowingTaskGroup(of: Void.self) { group in
                // Whoever disables it has its lock and waits for the row; the delegate, who was let
                // in before, waits for the lock.
                try await blocker.transaction { transaction in
                    try await transaction.script("SELECT FROM organisations FOR UPDATE")
                    group.addTask {
                        _ = try await administration[0].organisations.change(
                            org,
                            displayName: nil,
                            state: .disabled,
                            by: Grantor(account: root, narrowedTo: nil, realm: .everywhere),
                            cluster.trace()
                        )
                    }
                    try await cluster.untilBlocked(1)
                    group.addTask {
                        let late = try await create("second", by: delegate, cluster)
                        #expect(late == .notHeld)
                    }
                    try await cluster.untilBlocked(2)
                }
                try await group.waitForAll()
            }
            await blocker.close()
            let members = "SELECT count(*) FROM organisation_members"
            #expect(try await cluster.number(members) == 2)
            #expect(try await cluster.number("SELECT count(*) FROM accounts") == 3)
        }
    }

    @Test
    func `nobody gives himself a default role by an account whose password he knows (row 169)`()
        async throws
    {
        let closed = [1: ["accounts.registration": "false"]]
        try await Cluster.run(2, only: closed) { cluster in
            let boss = try await cluster.signUp("boss")
            let now = cluster.clock.wall.now()
            let org = OrganisationID(at: now, entropy: .system)
            let keeper = RoleID(at: now, entropy: .system)
            let usual = RoleID(at: now, entropy: .system)
            try await cluster.run(
                """
                INSERT INTO organisations (id, name, display_name, created_at, updated_at)
                VALUES ('\(org)', 'acme', 'Acme', now(), now());
                INSERT INTO organisation_members VALUES ('\(org)', '\(boss)', now());
                INSERT INTO roles (id, name, description, built_in, created_at, is_default)
                VALUES ('\(keeper)', 'keeper', '', false, now(), false),
                       ('\(usual)', 'usual', '', false, now(), true);
                INSERT INTO role_permissions (role_id, permission)
                VALUES ('\(keeper)', 'users:write'), ('\(usual)', 'orders:read');
                INSERT INTO account_roles (account_id, role_id, granted_at, scope)
                VALUES ('\(boss)', '\(keeper)', now(), 'org:\(org)')
                """
            )
            let delegate = Grantor(account: boss, narrowedTo: nil, realm: .organisation(org))
            let secret = Secret("a password that two people know")
            #expect(try await create("own", secret, by: delegate, cluster) == .notHeld)
            #expect(try await create("another", by: delegate, cluster) == nil)
            // Where strangers may sign up, it is nothing to be given.
            #expect(try await create("open", secret, at: 0, by: delegate, cluster) == nil)
            try await cluster.run(
                "INSERT INTO account_roles (account_id, role_id, granted_at, scope)"
                    + " VALUES ('\(boss)', '\(usual)', now(), '')"
            )
            #expect(try await create("own", secret, by: delegate, cluster) == nil)
        }
    }

    /// Makes an account, on the second node if nothing else is said; why not, or nil.
    private func create(
        _ name: String,
        _ password: Secret? = nil,
        at node: Int = 1,
        by actor: Grantor,
        _ cluster: Cluster
    ) async throws -> GrantRefusal? {
        do {
            _ = try await cluster.nodes[node].web.administration.create(
                NewAccount(
                    email: "\(name)@example.org",
                    username: nil,
                    password: password,
                    mustChangePassword: false,
                    isConfirmed: true,
                    profile: AccountProfile()
                ),
                by: actor,
                cluster.trace()
            )
            return nil
        } catch let refusal as GrantRefusal {
            return refusal
        }
    }
}

// A change that was let in and then waited for a lock, while whoever makes it was disabled, signed
// out or demoted: it is refused and leaves nothing (W1, W11, decision 19). Of two administrators
// who disable each other at once one does, though a third would be left.
import Access
import Accounts
import ClusterKit
import Postgres
import Primitives
import Sessions
import Testing
import Tokens
import Web

@Suite(.serialized) struct LateChangeTests {
    /// What happens to the one who changes while he waits.
    enum Event: CaseIterable, Sendable {
        case nothing
        case signedOut
        case sessionEnded
        case disabled
        case demoted
        /// He came with an API key, which is left to him.
        case keyKept
        case keyRevoked

        var isOfKey: Bool { self == .keyKept || self == .keyRevoked }

        /// Why his change is refused; nil for done.
        var refusal: GrantRefusal? {
            switch self {
            case .nothing, .keyKept: nil
            case .signedOut, .sessionEnded, .disabled, .keyRevoked: .outdated
            case .demoted: .notPermitted
            }
        }
    }

    /// Two administrators; a friend whose signature is locked before that of the one who changes.
    private struct Scene: Sendable {
        let cluster: Cluster
        let friend: AccountID
        let maker: AccountID
        let root: Grantor
        let claims: AccessClaims
        let key: APIKeyID

        init(_ cluster: Cluster) async throws {
            self.cluster = cluster
            var people: [(id: AccountID, name: String)] = []
            for name in ["ada", "bob"] { people.append((try await cluster.signUp(name), name)) }
            people.sort { $0.id < $1.id }
            friend = people[0].id
            maker = people[1].id
            let third = try await cluster.signUp("root")
            root = Grantor(account: third, narrowedTo: nil, realm: .everywhere)
            key = APIKeyID(at: cluster.clock.wall.now(), entropy: .system)
            try await cluster.run(
                """
                INSERT INTO account_roles (account_id, role_id, granted_at)
                VALUES ('\(maker)', '\(BuiltInRole.admin)', now()),
                       ('\(third)', '\(BuiltInRole.admin)', now());
                INSERT INTO api_keys (id, account_id, name, digest, created_at)
                VALUES ('\(key)', '\(maker)', 'a key', sha256('a key'), now())
                """
            )
            claims = try await cluster.claims(try await cluster.signIn(people[1].name))
        }

        /// As the gate has found the one who changes.
        func grantor(_ event: Event) -> Grantor {
            let generation = claims.signatureGeneration
            let credential: Grantor.Credential =
                event.isOfKey ? .key(key, generation) : .token(of: claims.sessionID, generation)
            return Grantor(
                account: maker,
                narrowedTo: nil,
                realm: .everywhere,
                credential: credential,
                permission: .usersWrite
            )
        }

        func carryOut(_ event: Event) async throws {
            let web = cluster.nodes[0].web
            switch event {
            case .nothing, .keyKept: return
            case .signedOut: try await web.logOut.everywhere(claims, cluster.trace())
            case .sessionEnded: try await web.logOut.thisSession(claims, cluster.trace())
            case .disabled:
                try await web.administration.changeState.disable(maker, by: root, cluster.trace())
            case .demoted:
                _ = try await web.administration.assignments.unassign(
                    BuiltInRole.admin,
                    from: maker,
                    in: .everywhere,
                    by: root,
                    cluster.trace()
                )
            case .keyRevoked:
                try await cluster.run(
                    "UPDATE api_keys SET revoked_at = now() WHERE id = '\(key)'"
                )
            }
        }

        /// Disables an account; why it is refused, nil for done.
        func disable(
            _ account: AccountID,
            by grantor: Grantor,
            on index: Int
        ) async throws -> GrantRefusal? {
            do {
                try await cluster.nodes[index].web.administration.changeState.disable(
                    account,
                    by: grantor,
                    cluster.trace()
                )
                return nil
            } catch let refusal as GrantRefusal {
                return refusal
            }
        }

        func state(_ account: AccountID) async throws -> String {
            try await cluster.text("SELECT state FROM accounts WHERE id = '\(account)'")
        }

        /// How often somebody was disabled, as far as it is recorded.
        func recorded(_ account: AccountID) async throws -> Int64 {
            try await cluster.number(
                "SELECT count(*) FROM audit_events WHERE account_id = '\(account)'"
            )
        }
    }

    @Test(arguments: Event.allCases)
    func `who is let in, and disabled, signed out or demoted while he waits, is refused (W1, W11)`(
        _ event: Event
    ) async throws {
        try await Cluster.run(2) { cluster in
            let scene = try await Scene(cluster)
            let before = try await scene.recorded(scene.friend)
            let grantor = scene.grantor(event)
            let blocker = cluster.makePool(applicationName: "blocker")
            let found = try await withThrowingTaskGroup(of: GrantRefusal?.self) { group in
                try await blocker.transaction { transaction in
                    try await transaction.script(
                        "SELECT FROM account_signatures"
                            + " WHERE account_id = '\(scene.friend)' FOR UPDATE"
                    )
                    group.addTask {
                        try await scene.disable(scene.friend, by: grantor, on: 1)
                    }
                    try await cluster.untilBlocked()
                    try await scene.carryOut(event)
                }
                var found: [GrantRefusal?] = []
                for try await refusal in group { found.append(refusal) }
                return found
            }
            await blocker.close()
            let isDone = event.refusal == nil
            #expect(found == [event.refusal])
            #expect(try await scene.state(scene.friend) == (isDone ? "disabled" : "active"))
            #expect(try await scene.recorded(scene.friend) == before + (isDone ? 1 : 0))
        }
    }

    @Test
    func `of two administrators who disable each other at once one does, with a third (W1, W11)`()
        async throws
    {
        try await Cluster.run(2) { cluster in
            let scene = try await Scene(cluster)
            let both = [scene.friend, scene.maker]
            try await cluster.run(
                """
                INSERT INTO account_roles (account_id, role_id, granted_at)
                VALUES ('\(scene.friend)', '\(BuiltInRole.admin)', now())
                """
            )
            for round in 0..<4 {
                try await cluster.run("UPDATE accounts SET state = 'active'")
                let blocker = cluster.makePool(applicationName: "blocker-\(round)")
                let found = try await withThrowingTaskGroup(of: GrantRefusal?.self) { group in
                    // Both have been let in, and wait for the same lock.
                    try await blocker.transaction { transaction in
                        let list = both.map { "'\($0)'" }.joined(separator: ",")
                        try await transaction.script(
                            "SELECT FROM account_signatures"
                                + " WHERE account_id IN (\(list)) FOR UPDATE"
                        )
                        for index in 0..<2 {
                            let (one, other) = (both[index], both[1 - index])
                            let by = Grantor(account: one, narrowedTo: nil, realm: .everywhere)
                            group.addTask { try await scene.disable(other, by: by, on: index) }
                        }
                        try await cluster.untilBlocked(2)
                    }
                    var found: [GrantRefusal?] = []
                    for try await refusal in group { found.append(refusal) }
                    return found
                }
                await blocker.close()
                let refused = found.compactMap(\.self)
                #expect(refused == [.outdated], "\(round)")
                let states = try await [scene.state(both[0]), scene.state(both[1])]
                #expect(states.sorted() == ["active", "disabled"], "\(round)")
            }
        }
    }
}

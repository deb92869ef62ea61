// There is always an administrator who can sign in (W12), also where that takes a confirmed address
// and administrators take one another's confirmation away. In process: `watchword serve` refuses to
// want confirmed addresses until it can send mail.
import Access
import Accounts
import ClusterKit
import Postgres
import Primitives
import Testing
import Web

@Suite(.serialized) struct SeatTests {
    /// Two nodes that want confirmed addresses, and two administrators who have one; two others
    /// have none, and act with what they began before.
    private struct Scene {
        let cluster: Cluster
        let counted: [AccountID]
        let others: [AccountID]

        init(_ cluster: Cluster) async throws {
            self.cluster = cluster
            var all: [AccountID] = []
            for name in ["ada", "bob", "eve", "joe"] { all.append(try await cluster.signUp(name)) }
            counted = Array(all[..<2])
            others = Array(all[2...])
            for account in all {
                try await cluster.run(
                    """
                    INSERT INTO account_roles (account_id, role_id, granted_at)
                    VALUES ('\(account)', '\(BuiltInRole.admin)', now());
                    """
                )
            }
            try await confirm()
        }

        func confirm() async throws {
            let list = counted.map { "'\($0)'" }.joined(separator: ",")
            try await cluster.run(
                """
                UPDATE accounts SET confirmed_at = CASE WHEN id IN (\(list)) THEN now() END;
                """
            )
        }

        /// What comes of a change: nil for done.
        func edit(
            _ account: AccountID,
            _ edit: AccountEdit,
            by actor: AccountID,
            on index: Int
        ) async throws -> GrantRefusal? {
            do {
                try await cluster.nodes[index].web.administration.edit(
                    edit,
                    of: account,
                    expecting: .any,
                    by: Grantor(account: actor, narrowedTo: nil, realm: .everywhere),
                    cluster.trace()
                )
                return nil
            } catch let refusal as GrantRefusal {
                return refusal
            }
        }

        func confirmed() async throws -> Int64 {
            try await cluster.number("SELECT count(*) FROM accounts WHERE confirmed_at IS NOT NULL")
        }
    }

    private static let unconfirm = AccountEdit(
        email: nil,
        username: .keep,
        isConfirmed: false,
        profile: [:]
    )

    private static func move(_ name: String, isConfirmed: Bool? = nil) -> AccountEdit {
        AccountEdit(
            email: "\(name)@moved.example.org",
            username: .keep,
            isConfirmed: isConfirmed,
            profile: [:]
        )
    }

    private static func run(_ body: @Sendable (Scene) async throws -> Void) async throws {
        let wanted = ["accounts.confirmation": "required"]
        try await Cluster.run(3, only: [1: wanted, 2: wanted]) { cluster in
            try await body(try await Scene(cluster))
        }
    }

    @Test
    func `the last administrator whose address is confirmed keeps it so (W12, row 171)`()
        async throws
    {
        try await Self.run { scene in
            let (ada, bob, eve) = (scene.counted[0], scene.counted[1], scene.others[0])
            // Where confirmation is not wanted it is nobody's seat.
            #expect(try await scene.edit(ada, Self.unconfirm, by: eve, on: 0) == nil)
            for edit in [Self.unconfirm, Self.move("bob")] {
                let refusal = try await scene.edit(bob, edit, by: eve, on: 1)
                #expect(refusal == .lastAdministrator)
                #expect(try await scene.confirmed() == 1)
            }
            // Nor can he be taken away otherwise.
            let by = Grantor(account: eve, narrowedTo: nil, realm: .everywhere)
            let administration = scene.cluster.nodes[1].web.administration
            await #expect(throws: GrantRefusal.lastAdministrator) {
                try await administration.changeState.disable(bob, by: by, scene.cluster.trace())
            }
            await #expect(throws: GrantRefusal.lastAdministrator) {
                _ = try await administration.assignments.unassign(
                    BuiltInRole.admin,
                    from: bob,
                    in: .everywhere,
                    by: by,
                    scene.cluster.trace()
                )
            }
            // What leaves him able to sign in is done, and so is all to whoever is none.
            let vouched = Self.move("bob", isConfirmed: true)
            #expect(try await scene.edit(bob, vouched, by: eve, on: 1) == nil)
            #expect(
                try await scene.edit(ada, Self.move("ada", isConfirmed: true), by: eve, on: 1)
                    == nil
            )
            #expect(try await scene.edit(bob, Self.unconfirm, by: eve, on: 1) == nil)
            let person = try await scene.cluster.signUp("person")
            #expect(try await scene.edit(person, Self.unconfirm, by: eve, on: 1) == nil)
        }
    }

    @Test
    func `of two who unconfirm the last two administrators at once one is refused (W12, row 171)`()
        async throws
    {
        try await Self.run { scene in
            let cluster = scene.cluster
            for round in 0..<4 {
                try await scene.confirm()
                let blocker = cluster.makePool(applicationName: "blocker-\(round)")
                let found = try await withThrowingTaskGroup(of: GrantRefusal?.self) { group in
                    // Both have been let in, and wait: one for the other, or both for this.
                    try await blocker.transaction { transaction in
                        let list = scene.counted.map { "'\($0)'" }.joined(separator: ",")
                        try await transaction.script(
                            "SELECT FROM accounts WHERE id IN (\(list)) FOR UPDATE"
                        )
                        for index in 0..<2 {
                            let edit =
                                round % 2 == 0 ? Self.unconfirm : Self.move("r\(round)\(index)")
                            group.addTask {
                                try await scene.edit(
                                    scene.counted[index],
                                    edit,
                                    by: scene.others[index],
                                    on: 1 + index
                                )
                            }
                        }
                        try await cluster.untilBlocked(2)
                    }
                    var found: [GrantRefusal?] = []
                    for try await refusal in group { found.append(refusal) }
                    return found
                }
                await blocker.close()
                let refused = found.compactMap(\.self)
                #expect(refused == [.lastAdministrator], "\(round)")
                #expect(try await scene.confirmed() == 1, "\(round)")
            }
        }
    }

    @Test(arguments: [
        "UPDATE accounts SET confirmed_at = NULL",
        "UPDATE account_roles SET expires_at = now() + interval '1 hour' WHERE scope = ''",
    ])
    func `where no administrator counts somebody who is none can still be shut out (W10, W12)`(
        _ loss: String
    ) async throws {
        try await Self.run { scene in
            let cluster = scene.cluster
            let administration = cluster.nodes[1].web.administration
            let by = Grantor(account: scene.others[0], narrowedTo: nil, realm: .everywhere)
            var intruders: [AccountID] = []
            for name in ["mallory", "trudy", "oscar"] {
                intruders.append(try await cluster.signUp(name))
            }
            try await cluster.run(loss)
            try await administration.changeState.disable(intruders[0], by: by, cluster.trace())
            try await administration.changeState.delete(intruders[1], by: by, cluster.trace())
            try await administration.changeState.disable(
                intruders[2],
                by: .terminal,
                cluster.trace()
            )
            let states = try await cluster.lines(
                """
                SELECT state FROM accounts
                 WHERE id IN (\(intruders.map { "'\($0)'" }.joined(separator: ",")))
                 ORDER BY id
                """
            )
            #expect(states.sorted() == ["deleted", "disabled", "disabled"])
            // The seats stay with those who hold them, be they worth what they may.
            await #expect(throws: GrantRefusal.lastAdministrator) {
                try await administration.changeState.disable(
                    scene.counted[0],
                    by: by,
                    cluster.trace()
                )
            }
        }
    }
}

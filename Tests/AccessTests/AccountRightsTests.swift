// What an account holds is read by the database's clock and used a moment later: what is over by
// then counts no more, on no scope (W11, decision 17).
import Access
import Primitives
import Testing

@Suite struct AccountRightsTests {
    private let now = Timestamp(seconds: 100)

    private func role(_ low: UInt64, _ scope: RoleScope, ends: Int64?) -> HeldRole {
        HeldRole(
            role: RoleID(high: 0, low: low),
            scope: scope,
            expiresAt: ends.map { Timestamp(seconds: $0) }
        )
    }

    @Test func `what has ended since it was read counts no more, and the rest does (W11)`() throws {
        let project = try #require(RoleScope("project:7"))
        let rights = AccountRights(
            version: 5,
            generation: 3,
            held: [
                role(1, .everywhere, ends: 100), role(2, .everywhere, ends: 101),
                role(3, project, ends: 99), role(4, project, ends: nil),
            ],
            memberships: [:]
        )
        let living = rights.living(at: now)
        #expect(living.held.map(\.role.low) == [2, 4])
        #expect(living.unscoped.map(\.low) == [2])
        #expect(living.roles(in: nil, on: "project:7").map(\.low) == [2, 4])
        #expect(living.version == 5 && living.generation == 3)
        #expect(living.expiresAt == Timestamp(seconds: 101))
        // Before the first end nothing is left out.
        #expect(rights.living(at: Timestamp(seconds: 98)).held == rights.held)
    }
}

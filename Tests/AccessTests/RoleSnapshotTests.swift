// Roles that include roles: what they stand for, kept right while single roles are replaced; and
// scopes, which cover exactly what they say.
import Primitives
import Testing

@testable import Access

@Suite struct RoleSnapshotTests {
    private static func id(_ number: UInt64) -> RoleID { RoleID(high: 7, low: number) }

    private static func ids(_ numbers: UInt64...) -> [RoleID] { numbers.map(id) }

    private static func role(
        _ number: UInt64,
        _ permissions: [String] = [],
        includes: [UInt64] = [],
        isRemoved: Bool = false
    ) -> RoleDefinition {
        RoleDefinition(
            id: id(number),
            name: "role-\(number)",
            version: 1,
            isRemoved: isRemoved,
            permissions: permissions,
            includes: includes.map(id)
        )
    }

    @Test func `A role stands for all that it includes, however deep (S1-18)`() {
        let snapshot = RoleSnapshot([
            Self.role(1, ["orders:read"]), Self.role(2, ["orders:write"], includes: [1]),
            Self.role(3, includes: [2]), Self.role(4, ["bills:*"]), Self.role(5, ["*:*"]),
        ])
        #expect(snapshot.permits("orders:read", [Self.id(3)]))
        #expect(snapshot.permits("orders:write", [Self.id(3)]))
        #expect(!snapshot.permits("orders:write", [Self.id(1)]))
        #expect(snapshot.permits("orders:write", [Self.id(1), Self.id(2)]))
        #expect(!snapshot.permits("orders:delete", [Self.id(3)]))
        #expect(snapshot.permits("bills:anything", [Self.id(4)]))
        #expect(!snapshot.permits("billsx:anything", [Self.id(4)]))
        #expect(!snapshot.permits("bills", [Self.id(1)]))
        #expect(snapshot.permits("never:seen", [Self.id(5)]))
        #expect(!snapshot.permits("orders:read", [Self.id(9)]))
        #expect(snapshot.names(of: [Self.id(3)]) == ["role-1", "role-2", "role-3"])
        #expect(snapshot.names(of: [Self.id(9)]).isEmpty)
        #expect(
            snapshot.permissions(of: [Self.id(3), Self.id(4)])
                == ["bills:*", "orders:read", "orders:write"]
        )
        let source = snapshot.source(of: "orders:read", in: [Self.id(4), Self.id(3)])
        #expect(source?.held == Self.id(3))
        #expect(source?.by == Self.id(1))
    }

    @Test func `What roles permit is within what others do by name, namespace or all (row 177)`() {
        let snapshot = RoleSnapshot([
            Self.role(1, ["orders:read"]), Self.role(2, ["orders:write"], includes: [1]),
            Self.role(3, ["orders:*"]), Self.role(4, ["*:*"]), Self.role(5),
        ])
        for (inner, outer, isWithin) in [
            (Self.ids(1), Self.ids(2), true), (Self.ids(2), Self.ids(1), false),
            (Self.ids(2), Self.ids(3), true), (Self.ids(3), Self.ids(2), false),
            (Self.ids(4), Self.ids(3), false), (Self.ids(3), Self.ids(4), true),
            (Self.ids(4), Self.ids(4), true),
            // A role without permissions is a right by its name (row 169).
            (Self.ids(5), Self.ids(), false), (Self.ids(5), Self.ids(5), true),
            (Self.ids(5), Self.ids(3), false), (Self.ids(5), Self.ids(4), true),
            (Self.ids(1), Self.ids(), false), (Self.ids(1, 3), Self.ids(5, 3), true),
            (Self.ids(9), Self.ids(), true), (Self.ids(1), Self.ids(9), false),
        ] {
            #expect(snapshot.isWithin(inner, outer) == isWithin, "\(inner) \(outer)")
        }
    }

    @Test func `What includes a role follows when that one alone is replaced (H27)`() {
        var snapshot = RoleSnapshot([
            Self.role(1, ["orders:read"]), Self.role(2, includes: [1]),
            Self.role(3, includes: [2]),
        ])
        snapshot.replace([Self.role(1, ["orders:list"])], instead: [Self.id(1)])
        #expect(!snapshot.permits("orders:read", [Self.id(3)]))
        #expect(snapshot.permits("orders:list", [Self.id(3)]))
        // A role that is gone, and one that was removed, grant nothing by any way.
        snapshot.replace([Self.role(2, includes: [1], isRemoved: true)], instead: [Self.id(2)])
        #expect(!snapshot.permits("orders:list", [Self.id(3)]))
        #expect(snapshot.names(of: [Self.id(2)]).isEmpty)
        snapshot.replace([], instead: [Self.id(1)])
        #expect(!snapshot.permits("orders:list", [Self.id(1)]))
        // A circle, which the database refuses, ends; who stands for the other in it is not said.
        snapshot.replace(
            [Self.role(1, ["a:b"], includes: [2]), Self.role(2, ["c:d"], includes: [1])],
            instead: nil
        )
        #expect(snapshot.permits("a:b", [Self.id(1)]))
        #expect(snapshot.permits("c:d", [Self.id(2)]))
        #expect(snapshot.roles.count == 2)
    }

    @Test func `What includes a role in doubt is in doubt with it, and nothing else (W10)`() {
        var snapshot = RoleSnapshot([
            Self.role(1, ["orders:read"]), Self.role(2, includes: [1]),
            Self.role(3, includes: [2, 4]), Self.role(4, ["bills:*"]),
            Self.role(5, includes: [4]),
        ])
        #expect(!snapshot.doubts(Self.ids(1, 2, 3, 4, 5)))
        snapshot.doubt([Self.id(1)])
        #expect(snapshot.doubtful == Set(Self.ids(1, 2, 3)))
        #expect(!snapshot.doubts(Self.ids(4, 5)))
        #expect(!snapshot.doubts(Self.ids()))
        // One of those that somebody holds is enough.
        #expect(snapshot.doubts(Self.ids(4, 3)))
        // What a role in doubt includes is known as before.
        snapshot.doubt([Self.id(3)])
        #expect(snapshot.doubtful == Set(Self.ids(3)))
        // Also of one that was never met, and of several.
        snapshot.doubt(Self.ids(2, 9))
        #expect(snapshot.doubtful == Set(Self.ids(2, 3, 9)))
        snapshot.doubt(Self.ids())
        #expect(snapshot.doubtful.isEmpty)
        #expect(!snapshot.doubts(Self.ids(1, 2, 3, 9)))
    }

    @Test func `Doubt goes by what includes what when it is told (H27, W10)`() {
        var snapshot = RoleSnapshot([Self.role(1), Self.role(2, includes: [1]), Self.role(3)])
        snapshot.replace([Self.role(2)], instead: [Self.id(2)])
        snapshot.replace([Self.role(3, includes: [1])], instead: [Self.id(3)])
        snapshot.doubt([Self.id(1)])
        #expect(snapshot.doubtful == Set(Self.ids(1, 3)))
    }

    @Test(arguments: [
        ("project:7", "project:7", true), ("project:7", "project:7/a", false),
        ("project:7/*", "project:7", false), ("project:7/*", "project:7/a", true),
        ("project:7/*", "project:7/a/b", true), ("project:7/*", "project:7/", false),
        ("project:7/*", "project:70/a", false), ("project:7", "Project:7", false),
    ])
    func `A scope covers what it names`(scope: String, resource: String, isCovered: Bool) throws {
        #expect(try #require(RoleScope(scope)).covers(resource: resource) == isCovered)
        #expect(RoleScope.everywhere.covers(resource: resource))
    }

    @Test(arguments: [
        ("project:7/*", "project:7/a/*", true), ("project:7/*", "project:7/*", true),
        ("project:7/*", "project:7/a", true), ("project:7/a/*", "project:7/*", false),
        ("project:7", "project:7/*", false), ("project:7/*", "project:7", false),
    ])
    func `A wider scope covers a narrower one`(wide: String, narrow: String, isCovered: Bool) throws
    {
        let other = try #require(RoleScope(narrow))
        #expect(try #require(RoleScope(wide)).covers(other) == isCovered)
        #expect(RoleScope.everywhere.covers(other))
        #expect(!other.covers(.everywhere))
    }

    @Test(arguments: [
        "", "project", "project:", ":7", "Project:7", "project:7 ", "project:*", "project:7/**",
        "project:a\u{0}b", "project:\u{e9}", "project:a,b", "project:a:b", "7:project",
    ])
    func `What is no scope is none`(text: String) {
        #expect(RoleScope(text) == nil)
    }

    @Test(arguments: [
        "org:0190A5B0-0000-7000-8000-00000000000A", "org:0190a5b0-0000-7000-8000-00000000000A",
    ])
    func `An organisation has one spelling, the one it is swept away by (W10)`(text: String) throws
    {
        #expect(RoleScope(text) == nil)
        let scope = try #require(RoleScope(text.lowercased()))
        #expect(scope == .organisation(try #require(scope.organisationID)))
    }
}

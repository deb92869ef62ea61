// Roles and what they permit, in every node's memory as one immutable value (revocation.md H27). A
// role stands for itself and for all that it includes, however deep; that is worked out when the
// snapshot is made, so that a check is a look-up for each role that is held.
package import Primitives

/// The roles that cannot be removed.
package enum BuiltInRole {
    /// Administers Watchword itself; permits everything.
    package static let admin = RoleID(high: 0x7000, low: 0x8000_0000_0000_0001)
    /// What every account gets that signs up.
    package static let member = RoleID(high: 0x7000, low: 0x8000_0000_0000_0002)
}

/// All roles at one moment.
package struct RoleSnapshot: Sendable {
    /// One role.
    package struct Role: Sendable {
        /// Its name; made of letters, digits, `.`, `_` and `-`.
        package let name: String
        /// Grows with each change.
        package let version: Int64
        /// Whether it grants nothing any more.
        package let isRemoved: Bool
        /// The roles that it includes by itself.
        package let includes: [RoleID]
        let own: PermissionSet
        /// What it permits, with all that it includes.
        fileprivate(set) var whole = PermissionSet()
        /// Itself and all that it includes, those that are not removed.
        fileprivate(set) var reach: [RoleID] = []
    }

    /// The roles by id, those that are removed among them.
    package private(set) var roles: [RoleID: Role] = [:]
    /// Roles of which it is not known what they permit now, and all that include them.
    package private(set) var doubtful: Set<RoleID> = []
    private var numbers = PermissionNumbers()

    /// A snapshot of none.
    package init() {}

    /// A snapshot of these roles.
    package init(_ definitions: [RoleDefinition]) {
        replace(definitions, instead: nil)
    }

    /// Puts `definitions` in the place of the roles `ids`, or of all.
    ///
    /// A role of `ids` that is not among them is gone.
    package mutating func replace(_ definitions: [RoleDefinition], instead ids: [RoleID]?) {
        var touched = Set(ids ?? Array(roles.keys))
        touched.formUnion(definitions.map(\.id))
        let before = ancestors(of: touched)
        for id in touched { roles[id] = nil }
        for one in definitions {
            roles[one.id] = Role(
                name: one.name,
                version: one.version,
                isRemoved: one.isRemoved,
                includes: one.includes,
                own: PermissionSet(one.permissions, &numbers)
            )
        }
        var open = before.union(ancestors(of: touched))
        for id in open {
            roles[id]?.whole = PermissionSet()
            roles[id]?.reach = []
        }
        while let id = open.first { resolve(id, &open) }
    }

    /// Whether any of `ids` is in doubt; then nobody may rest on what it permits.
    package func doubts(_ ids: [RoleID]) -> Bool {
        !doubtful.isEmpty && ids.contains(where: doubtful.contains)
    }

    /// Takes the roles `roots` for doubtful, and no other.
    mutating func doubt(_ roots: some Collection<RoleID>) {
        doubtful = roots.isEmpty ? [] : ancestors(of: Set(roots))
    }

    /// `ids`, and every role that includes one of them.
    private func ancestors(of ids: Set<RoleID>) -> Set<RoleID> {
        // Once through all inclusions, however long the ways are.
        var above: [RoleID: [RoleID]] = [:]
        for (id, role) in roles {
            for included in role.includes { above[included, default: []].append(id) }
        }
        var found: Set<RoleID> = []
        var open = Array(ids)
        while let next = open.popLast() {
            guard found.insert(next).inserted else { continue }
            open += above[next] ?? []
        }
        return found
    }

    /// Works out what one role of `open` stands for, and before it what those stand for that it
    /// includes: each once, however many include it.
    ///
    /// Taken out of `open` first, so that a circle ends, which nobody can make; whoever is in one
    /// would stand for less.
    private mutating func resolve(_ id: RoleID, _ open: inout Set<RoleID>) {
        guard open.remove(id) != nil, let role = roles[id] else { return }
        for included in role.includes { resolve(included, &open) }
        guard !role.isRemoved else { return }
        var reach: Set = [id]
        for included in role.includes { reach.formUnion(roles[included]?.reach ?? []) }
        var whole = role.own
        whole.formUnion(role.includes.compactMap { roles[$0]?.whole })
        roles[id]?.whole = whole
        roles[id]?.reach = Array(reach)
    }

    /// The names of `ids` and of all that they include, sorted; an unknown id has none.
    package func names(of ids: [RoleID]) -> [String] {
        if ids.count == 1, let only = roles[ids[0]], only.reach.count == 1 { return [only.name] }
        return Set(ids.flatMap { roles[$0]?.reach ?? [] }).compactMap { roles[$0]?.name }.sorted()
    }

    /// Whether any of `ids` permits `permission`, which is a whole name: `*` has no meaning in it.
    package func permits(_ permission: String, _ ids: [RoleID]) -> Bool {
        let question = PermissionQuestion(permission, numbers)
        return ids.contains { roles[$0]?.whole.permits(question) ?? false }
    }

    /// All that `ids` permit, as it is written; sorted.
    package func permissions(of ids: [RoleID]) -> [String] {
        var all = PermissionSet()
        all.formUnion(ids.compactMap { roles[$0]?.whole })
        return all.names(numbers).sorted()
    }

    /// Whether all that `ids` permit is permitted by `others` too, `orders:*` by nothing less; and
    /// each role that is a right by its name alone is among them, or they hold everything.
    ///
    /// An id has no colon, so that `*:*` implies it and nothing else does (`Grants`).
    package func isWithin(_ ids: [RoleID], _ others: [RoleID]) -> Bool {
        var held = HeldPermissions()
        let reached = others.flatMap { roles[$0]?.reach ?? [] }
        held.add(.everywhere, until: nil, permissions(of: others) + reached.map(\.description))
        let wanted = permissions(of: ids) + namesAlone(of: ids).map(\.description)
        return wanted.allSatisfy { held.covers($0, in: .everywhere) }
    }

    /// Those of `ids`, and of all that they include, that reach no permission; what every account
    /// has is no right of anybody's.
    private func namesAlone(of ids: [RoleID]) -> [RoleID] {
        ids.flatMap { roles[$0]?.reach ?? [] }
            .filter { $0 != BuiltInRole.member && permissions(of: [$0]).isEmpty }
    }

    /// By which of `ids`, and through which of the roles it includes, `permission` is given.
    package func source(of permission: String, in ids: [RoleID]) -> (held: RoleID, by: RoleID)? {
        let question = PermissionQuestion(permission, numbers)
        for id in ids {
            for reached in roles[id]?.reach ?? []
            where roles[reached]?.own.permits(question) ?? false {
                return (id, reached)
            }
        }
        return nil
    }
}

// A role can be a right by its name alone: gateways and route rules may ask for the name, whatever
// it permits. One that reaches no permission is nothing else, so it is given, included and changed
// by whoever holds it there, or holds everything; and a name that a route rule asks for is moved to
// no other role by anybody else (rows 169, 172). A role that does reach permissions is given by who
// holds them all: that is why rules should ask for permissions.
import Postgres
package import Primitives
import Revocation

extension Grants {
    /// What a role is before it is changed.
    struct RoleReach {
        /// What it permits.
        let permissions: [String]
        /// The roles in it that are names alone, perhaps itself.
        let names: Set<RoleID>
    }

    /// Refuses unless the caller holds, wherever `scope` reaches and so long as that, each role
    /// among `roles` and what they include that is a name alone.
    func allowNames(
        of roles: [RoleID],
        in scope: RoleScope,
        for time: HeldTime
    ) async throws {
        let names = try await transaction.rows(RoleNameStore.alone(roles))
        let mine = try await holding(names)
        guard names.allSatisfy({ mine.covers($0.description, in: scope) }) else {
            throw GrantRefusal.notHeld
        }
        guard names.allSatisfy({ mine.covers($0.description, in: scope, for: time) }) else {
            throw GrantRefusal.endsSooner
        }
    }

    /// Refuses unless the caller holds for ever each name alone in a role that is not in `known`.
    func allowLasting(_ role: RoleID, besides known: Set<RoleID>) async throws {
        let names = try await transaction.rows(RoleNameStore.alone([role]))
        let added = names.filter { !known.contains($0) }
        let mine = try await holding(added)
        let isLasting = added.allSatisfy {
            mine.covers($0.description, in: .everywhere, for: .until(nil))
        }
        guard isLasting else { throw GrantRefusal.notHeld }
    }

    /// Refuses unless the caller holds all that a role is, to make it more or less; tells what it
    /// is.
    ///
    /// A name alone that nobody has and nothing asks for is no right yet: who makes a role may fill
    /// it afterwards.
    func allowChanging(_ role: RoleID) async throws -> RoleReach {
        let permitted = try await permissions(of: [role])
        try allow(permitted, in: .everywhere)
        let names = try await transaction.rows(RoleNameStore.alone([role]))
        let mine = try await holding(names)
        let missing = names.filter { !mine.covers($0.description, in: .everywhere) }
        if missing == [role] {
            let isInUse = try await transaction.first(RoleNameStore.isInUse(role)) ?? true
            guard !isInUse else { throw GrantRefusal.notHeld }
        } else if !missing.isEmpty {
            throw GrantRefusal.notHeld
        }
        return RoleReach(permissions: permitted, names: Set(names))
    }

    /// Refuses a name that a route rule asks for, unless the caller holds the role of that name or
    /// everything: before a role gets or loses it.
    func allowNaming(_ name: String) async throws {
        let isAskedFor = try await transaction.first(RoleNameStore.isAskedFor(name)) ?? true
        guard isAskedFor else { return }
        let role = try await transaction.first(RoleStore.findNamed(name))
        let mine = try await holding(role.map { [$0] } ?? [])
        // Nobody but who holds everything holds a role that is not there.
        let wanted = role?.description ?? "*:*"
        guard mine.covers(wanted, in: .everywhere) else { throw GrantRefusal.notHeld }
    }

    /// Refuses unless the caller holds each name alone that `account` holds, where it does and so
    /// long as that.
    package func allowNames(heldBy account: AccountID, for time: HeldTime) async throws {
        let roles = try await transaction.rows(RoleNameStore.given(account))
        let names = try await transaction.rows(RoleNameStore.alone(roles))
        let theirs = try await adding(names, of: account, to: HeldPermissions())
        let mine = try await holding(names)
        guard mine.covers(theirs) else { throw GrantRefusal.notHeld }
        guard mine.covers(theirs, for: time) else { throw GrantRefusal.endsSooner }
    }

    /// What the caller holds, with those of `names` that he has or reaches.
    ///
    /// A key that is narrowed shows no names, and gives none.
    private func holding(_ names: [RoleID]) async throws -> HeldPermissions {
        guard let actor = by.actor, by.narrowedTo == nil else { return held }
        return try await adding(names, of: actor, to: held)
    }

    /// `held` with those of `names` that an account has or reaches, as their ids.
    ///
    /// An id has no colon, so that `*:*` implies it and nothing else does.
    private func adding(
        _ names: [RoleID],
        of account: AccountID,
        to held: HeldPermissions
    ) async throws -> HeldPermissions {
        guard !names.isEmpty else { return held }
        var all = held
        let rows = try await transaction.rows(RoleNameStore.held(account, names))
        for (text, end, roles) in rows {
            guard let scope = RoleScope(stored: text) else { continue }
            all.add(scope, until: end, roles.map(\.description))
        }
        return all
    }
}

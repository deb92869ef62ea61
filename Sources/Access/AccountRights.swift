// What one account holds, as of a version of its rights. Tokens carry the roles that are held
// everywhere; what is held in an organisation or on a resource, and what has changed since a token
// was minted, is read here once and remembered (revocation.md H28).
package import Primitives
package import Revocation

/// A role that is held, and where, and until when.
package struct HeldRole: Hashable, Sendable {
    /// The role.
    package let role: RoleID
    /// Where.
    package let scope: RoleScope
    /// Until when; nil for ever.
    package let expiresAt: Timestamp?

    /// A role that is held.
    package init(role: RoleID, scope: RoleScope, expiresAt: Timestamp?) {
        self.role = role
        self.scope = scope
        self.expiresAt = expiresAt
    }
}

/// How an organisation stands.
package struct OrganisationStanding: Hashable, Sendable {
    /// Grows with each change of its state.
    package let generation: Int64
    /// Whether anybody may act in it.
    package let isActive: Bool

    /// How one stands.
    package init(generation: Int64, isActive: Bool) {
        self.generation = generation
        self.isActive = isActive
    }
}

/// What an account holds.
package struct AccountRights: Sendable {
    /// Of which version of its rights.
    package let version: Int64
    /// The generation of its signature in the same snapshot.
    package let generation: Int64
    /// What it holds, without what was over when it was read.
    package let held: [HeldRole]
    /// The organisations it is a member of, those among them that are disabled.
    package let memberships: [OrganisationID: OrganisationStanding]
    /// The organisations it is a member of and may act in.
    package let organisations: Set<OrganisationID>
    /// When the first of `held` is over; then all is to be read anew.
    package let expiresAt: Timestamp?
    /// The roles that are held everywhere.
    package let unscoped: [RoleID]

    /// Rights.
    package init(
        version: Int64,
        generation: Int64,
        held: [HeldRole],
        memberships: [OrganisationID: OrganisationStanding]
    ) {
        let active = Set(memberships.lazy.filter(\.value.isActive).map(\.key))
        self.version = version
        self.generation = generation
        // Who has left an organisation holds nothing there, whatever the rows say.
        self.held = held.filter { one in one.scope.organisationID.map(active.contains) ?? true }
        self.memberships = memberships
        organisations = active
        expiresAt = held.compactMap(\.expiresAt).min()
        unscoped = held.filter(\.scope.isEverywhere).map(\.role)
    }

    /// Of nobody.
    package static func none(version: Int64) -> AccountRights {
        AccountRights(version: version, generation: .max, held: [], memberships: [:])
    }

    /// The organisations whose state `set` tells to have changed since, with the generation that
    /// each has come to.
    func outdated(by set: borrowing RevocationSet) -> [OrganisationID: Int64] {
        var found: [OrganisationID: Int64] = [:]
        guard set.hasHeld(.tenant) else { return found }
        for (organisation, standing) in memberships {
            guard let version = set.lowestVersion(of: .init(.tenant, organisation)),
                version > standing.generation
            else { continue }
            found[organisation] = version
        }
        return found
    }

    /// Whether each of its organisations stands as it was read, as far as `set` tells.
    package func isCurrent(in set: borrowing RevocationSet) -> Bool { outdated(by: set).isEmpty }

    /// The same where the database lacks these generations of organisations: they count as disabled
    /// (W10), and everything else stands.
    func disabling(_ doubtful: [OrganisationID: Int64]) -> AccountRights {
        let closed = doubtful.mapValues { OrganisationStanding(generation: $0, isActive: false) }
        return AccountRights(
            version: version,
            generation: generation,
            held: held,
            memberships: memberships.merging(closed) { $1 }
        )
    }

    /// The same without what is over by now.
    ///
    /// The database looked by its own clock, and a moment ago.
    package func living(at now: Timestamp) -> AccountRights {
        guard let expiresAt, expiresAt <= now else { return self }
        return AccountRights(
            version: version,
            generation: generation,
            held: held.filter { one in one.expiresAt.map { $0 > now } ?? true },
            memberships: memberships
        )
    }

    /// Whether it may act in `organisation`, or the question is about none.
    package func mayAct(in organisation: OrganisationID?) -> Bool {
        organisation.map(organisations.contains) ?? true
    }

    /// The roles that count for a question about `resource`, asked while acting in `organisation`.
    package func roles(in organisation: OrganisationID?, on resource: String?) -> [RoleID] {
        if organisation == nil, resource == nil { return unscoped }
        return holdings(in: organisation, on: resource).map(\.role)
    }

    /// What counts for such a question; nothing where the resource is of another organisation than
    /// the one acted in (row 175).
    package func holdings(
        in organisation: OrganisationID?,
        on resource: String?
    ) -> [HeldRole] {
        if let organisation, let home = resource.flatMap(RoleScope.home), home != organisation {
            return []
        }
        let acting = organisation.flatMap { organisations.contains($0) ? $0 : nil }
        return held.filter { one in
            if one.scope.isEverywhere { return true }
            if let acting, one.scope == .organisation(acting) { return true }
            return resource.map(one.scope.covers(resource:)) ?? false
        }
    }
}

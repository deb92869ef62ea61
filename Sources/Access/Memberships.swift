// Who is a member of an organisation. Membership itself is told to gateways (`X-Org` is refused to
// others), so it is given and taken under the rules of rights: nobody adds or removes himself, or
// somebody who holds more, and a removal is in force everywhere when it is answered (W11).
//
// Whoever administers an organisation may change its members, so making somebody one takes
// `users:write` everywhere: whoever could pull in a stranger could read him, change his address and
// disable him. A delegate who may not read everybody is not told that there is such an account.
import Audit
import Postgres
package import Primitives
import Revocation

/// A member as administrators of an organisation see him.
package struct OrganisationMember: Sendable {
    /// The account.
    package let account: AccountID
    /// Its user name; not its address, which takes `users:read`.
    package let username: String?
    /// Since when it is a member.
    package let joinedAt: Timestamp
    /// The names of the roles that it was given there.
    package let roles: [String]

    /// A member.
    package init(account: AccountID, username: String?, joinedAt: Timestamp, roles: [String]) {
        self.account = account
        self.username = username
        self.joinedAt = joinedAt
        self.roles = roles
    }
}

/// An organisation as one of its members sees it.
package struct OwnMembership: Sendable {
    /// The organisation.
    package let organisation: OrganisationID
    /// Its name in machines.
    package let name: String
    /// Its name for people.
    package let displayName: String
    /// Since when.
    package let joinedAt: Timestamp
    /// The names of the roles that were given there.
    package let roles: [String]

    /// A membership.
    package init(
        organisation: OrganisationID,
        name: String,
        displayName: String,
        joinedAt: Timestamp,
        roles: [String]
    ) {
        self.organisation = organisation
        self.name = name
        self.displayName = displayName
        self.joinedAt = joinedAt
        self.roles = roles
    }
}

extension Organisations {
    /// Members in the order of their ids.
    ///
    /// - Throws: `OrganisationRefusal.notFound`.
    package func members(
        of id: OrganisationID,
        within realm: Realm,
        _ request: PageRequest
    ) async throws -> Page<OrganisationMember> {
        _ = try await find(id, within: realm)
        let after: AccountID = request.after()
        let rows = try await database.rows(MembershipStore.list(id, after, request.rowLimit))
        return Page(rows, of: request) { $0.account.bytes }
    }

    /// The organisations that an account is a member of and may act in, in the order of their ids.
    package func memberships(
        of account: AccountID,
        _ request: PageRequest
    ) async throws -> Page<OwnMembership> {
        let after: OrganisationID = request.after()
        let rows = try await database.rows(
            MembershipStore.listOwn(account, after, request.rowLimit)
        )
        return Page(rows, of: request) { $0.organisation.bytes }
    }

    /// Makes an account a member; one that is a member already stays so.
    ///
    /// - Throws: `OrganisationRefusal`, `GrantRefusal`; or a fault.
    package func add(
        _ account: AccountID,
        to id: OrganisationID,
        by grantor: Grantor,
        _ trace: RequestTrace
    ) async throws -> RightsChange<OrganisationMember> {
        try Self.check(id, grantor.realm)
        let binds = AuditBinds(trace, entropy: entropy)
        // The realm has been looked at; he who is to come in is outside of it.
        let reach = grantor.anywhere
        return try await revoker.transaction { transaction in
            _ = try await transaction.rows(OrganisationStore.share(id))
            let grants = try await Grants(transaction, by: reach, changing: [account])
            try grants.allow([Self.permission], in: .organisation(id))
            if grantor.realm.organisationID != nil,
                !grants.held.covers(AdminPermission.usersRead.rawValue, in: .everywhere)
            {
                throw OrganisationRefusal.notFound
            }
            let write = AdminPermission.usersWrite.rawValue
            if !grants.held.covers(write, in: .everywhere),
                try await transaction.first(GrantStore.isMember(id, account)) == nil
            {
                throw GrantRefusal.notHeld
            }
            try await grants.allowChange(of: account, in: .organisation(id))
            let count = try await transaction.first(MembershipStore.count(account)) ?? 0
            let added = try await transaction.first(
                MembershipStore.insert(
                    id,
                    account,
                    grantor.account,
                    binds
                )
            )
            guard let version = added else { throw OrganisationRefusal.notFound }
            guard version == nil || count < Self.membershipLimit else {
                throw OrganisationRefusal.limitReached
            }
            if version == nil {
                // He may have been made one by a call that died before the others were told: 2xx
                // is an acknowledgement all the same (H19).
                _ = try await transaction.first(MembershipStore.retell(account))
            }
            guard let member = try await transaction.first(MembershipStore.find(id, account)) else {
                throw OrganisationRefusal.notFound
            }
            return RightsChange(value: member, isNew: version != nil, version: version ?? 0)
        }
    }

    /// Removes a member, and with him the roles that he holds there.
    ///
    /// - Throws: `OrganisationRefusal`, `GrantRefusal`; or a fault.
    package func drop(
        _ account: AccountID,
        from id: OrganisationID,
        by grantor: Grantor,
        _ trace: RequestTrace
    ) async throws {
        try Self.check(id, grantor.realm)
        let binds = AuditBinds(trace, entropy: entropy)
        try await revoker.transaction { transaction in
            // Whoever removes the organisation touches the same rows.
            _ = try await transaction.rows(OrganisationStore.share(id))
            let grants = try await Grants(transaction, by: grantor, changing: [account])
            try grants.allow([Self.permission], in: .organisation(id))
            try await grants.allowChange(of: account, in: .organisation(id))
            let dropped = try await transaction.first(
                MembershipStore.delete(
                    id,
                    account,
                    grantor.account,
                    binds
                )
            )
            guard dropped != nil else { throw OrganisationRefusal.notFound }
        }
    }

    private static let permission = AdminPermission.organisationsWrite.rawValue
}

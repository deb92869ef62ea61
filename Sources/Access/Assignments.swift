// Giving roles to accounts and taking them. What is given or taken is in force at every gateway
// when it is answered (W11): the version of the account's rights grows and goes into the revocation
// log in the transaction of the change (revocation.md H28).
import Audit
import Messaging
package import Postgres
package import Primitives
package import Revocation

/// A role that an account has.
package struct Assignment: Sendable {
    /// Whose.
    package let account: AccountID
    /// Which role.
    package let role: RoleID
    /// Its name.
    package let roleName: String
    /// Where.
    package let scope: RoleScope
    /// Until when; nil for ever.
    package let expiresAt: Timestamp?
    /// Since when.
    package let grantedAt: Timestamp
    /// By whom, where that is known.
    package let grantedBy: AccountID?

    /// An assignment.
    package init(
        account: AccountID,
        role: RoleID,
        roleName: String,
        scope: RoleScope,
        expiresAt: Timestamp?,
        grantedAt: Timestamp,
        grantedBy: AccountID?
    ) {
        self.account = account
        self.role = role
        self.roleName = roleName
        self.scope = scope
        self.expiresAt = expiresAt
        self.grantedAt = grantedAt
        self.grantedBy = grantedBy
    }
}

/// Why a role cannot be given.
package enum AssignmentRefusal: Refusal, Equatable {
    /// The account has as many roles as one may have.
    case limitReached
    /// The end is not in the future.
    case isOver
    /// The account is no member of the organisation.
    case notMember

    package var code: ProblemCode {
        switch self {
        case .limitReached: .limitReached
        case .isOver, .notMember: .validationFailed
        }
    }
    package var memberErrors: [MemberError] {
        switch self {
        case .limitReached: []
        case .isOver: [MemberError("expires_at", "in-the-past", "must be in the future")]
        case .notMember:
            [MemberError("organisation", "not-a-member", "the account is no member of it")]
        }
    }
}

/// What a change of rights has brought.
package struct RightsChange<Value: Sendable>: Sendable {
    /// The thing as it is now.
    package let value: Value
    /// Whether it is new.
    package let isNew: Bool
    /// The version of the rights it belongs to; a check may ask for at least that.
    package let version: Int64
}

/// Gives and takes roles.
package struct Assignments: Sendable {
    let revoker: Revoker
    let database: any PostgresExecutor
    let wantsConfirmed: Bool
    let entropy: Entropy

    /// The use cases.
    ///
    /// - Parameter wantsConfirmed: whether nobody signs in whose address is not confirmed, so that
    ///   such an administrator is none.
    package init(
        revoker: Revoker,
        database: any PostgresExecutor,
        wantsConfirmed: Bool,
        entropy: Entropy
    ) {
        self.revoker = revoker
        self.database = database
        self.wantsConfirmed = wantsConfirmed
        self.entropy = entropy
    }

    /// Gives a role, or changes until when it is given.
    ///
    /// - Throws: `GrantRefusal`, `AssignmentRefusal`; or a fault.
    package func assign(
        _ role: RoleID,
        to account: AccountID,
        in scope: RoleScope,
        until end: Timestamp?,
        by grantor: Grantor,
        _ trace: RequestTrace
    ) async throws -> RightsChange<Assignment> {
        if let end, end <= trace.now { throw AssignmentRefusal.isOver }
        try Self.check(scope, grantor.realm)
        return try await revoker.transaction { transaction in
            // Whoever changes the organisation looks at all that is held there.
            if let organisation = scope.organisationID {
                _ = try await transaction.rows(OrganisationStore.share(organisation))
            }
            let grants = try await Grants(transaction, by: grantor, changing: [account])
            try await grants.allowChange(of: account, in: scope)
            try await grants.allowGiving([role], in: scope, for: .until(end))
            try grants.allow([AdminPermission.rolesAssign.rawValue], in: scope)
            if let organisation = scope.organisationID {
                let member = try await transaction.first(GrantStore.isMember(organisation, account))
                guard member != nil else { throw AssignmentRefusal.notMember }
            }
            // An end makes one administrator less who is there for ever.
            let touchesSeat = role == BuiltInRole.admin && scope.isEverywhere && end != nil
            return try await grants.keepingAnAdministrator(
                if: touchesSeat,
                wantsConfirmed: wantsConfirmed
            ) {
                let count = try await transaction.first(AssignmentStore.count(account)) ?? 0
                let binds = AuditBinds(trace, entropy: entropy)
                let done = try await transaction.first(
                    AssignmentStore.assign(
                        account,
                        role,
                        scope.text,
                        end,
                        grantor.actor,
                        binds
                    )
                )
                guard let done else { throw GrantRefusal.notFound }
                guard !done.isNew || count < RightsResolver.roleLimit else {
                    throw AssignmentRefusal.limitReached
                }
                return done
            }
        }
    }

    /// Takes a role; returns the version of the account's rights from then on.
    ///
    /// - Throws: `GrantRefusal`; or a fault.
    package func unassign(
        _ role: RoleID,
        from account: AccountID,
        in scope: RoleScope,
        by grantor: Grantor,
        _ trace: RequestTrace
    ) async throws -> Int64 {
        try Self.check(scope, grantor.realm)
        return try await revoker.transaction { transaction in
            if let organisation = scope.organisationID {
                _ = try await transaction.rows(OrganisationStore.share(organisation))
            }
            let grants = try await Grants(transaction, by: grantor, changing: [account])
            try await grants.allowChange(of: account, in: scope)
            try await grants.allowNames(of: [role], in: scope, for: .now)
            try grants.allow([AdminPermission.rolesAssign.rawValue], in: scope)
            let touchesSeat = role == BuiltInRole.admin && scope.isEverywhere
            return try await grants.keepingAnAdministrator(
                if: touchesSeat,
                wantsConfirmed: wantsConfirmed
            ) {
                let binds = AuditBinds(trace, entropy: entropy)
                let version = try await transaction.first(
                    AssignmentStore.unassign(account, role, scope.text, grantor.actor, binds)
                )
                guard let version else { throw GrantRefusal.notFound }
                return version
            }
        }
    }

    /// What an account has been given and is not over, as far as `realm` reaches.
    ///
    /// - Throws: `GrantRefusal.notFound`.
    package func list(_ account: AccountID, within realm: Realm) async throws -> [Assignment] {
        let rows = try await database.rows(AssignmentStore.list(account))
        guard !rows.isEmpty else { throw GrantRefusal.notFound }
        let held = rows.compactMap(\.self)
        guard let organisation = realm.organisationID else { return held }
        let member = try await database.first(GrantStore.isMember(organisation, account))
        guard member != nil else { throw GrantRefusal.notFound }
        return held.filter { $0.scope == .organisation(organisation) }
    }

    /// Who has a role, a page of them.
    package func holders(
        of role: RoleID,
        within realm: Realm,
        _ request: PageRequest
    ) async throws -> Page<Assignment> {
        let after = request.cursor.flatMap { AccountID(bytes: $0.bytes.prefix(16)) }
        let scope = request.cursor.map { String(decoding: $0.bytes.dropFirst(16), as: UTF8.self) }
        let rows = try await database.rows(
            AssignmentStore.holders(
                role,
                after ?? AccountID(high: 0, low: 0),
                scope ?? "",
                realm.organisationID.map { RoleScope.organisation($0).text },
                request.rowLimit
            )
        )
        return Page(rows, of: request) { $0.account.bytes + Array($0.scope.text.utf8) }
    }

    /// A delegate of an organisation gives and takes there alone.
    private static func check(_ scope: RoleScope, _ realm: Realm) throws(GrantRefusal) {
        guard let organisation = realm.organisationID else { return }
        guard scope == .organisation(organisation) else { throw .notHeld }
    }
}

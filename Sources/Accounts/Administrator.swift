// What every use case on somebody else's account shares: who acts, how far he reaches, and why he
// is refused. What is outside his realm is not there for him (row 175).
package import Access
package import Postgres
package import Primitives

/// What an account is.
package enum AccountKind: String, Sendable, CaseIterable {
    case person
    case service
}

/// Whether an account may be used.
package enum AccountState: String, Sendable, CaseIterable {
    case active
    case disabled
    case deleted
}

/// Somebody who acts on accounts of others.
package struct Administrator: Sendable {
    /// His account.
    package let accountID: AccountID
    /// The roles that he holds.
    package let roles: [RoleID]
    /// What his key is narrowed to; nil for all that he may.
    package let narrowedTo: [String]?
    /// How far his permission reaches.
    package let realm: Realm
    /// His request.
    package let trace: RequestTrace

    /// An administrator.
    package init(
        accountID: AccountID,
        roles: [RoleID],
        narrowedTo: [String]?,
        realm: Realm,
        trace: RequestTrace
    ) {
        self.accountID = accountID
        self.roles = roles
        self.narrowedTo = narrowedTo
        self.realm = realm
        self.trace = trace
    }
}

/// Why an administrator is refused.
package enum AdministrationRefusal: Refusal, Equatable {
    /// There is no such account in his realm.
    case noSuchAccount
    /// It is his own.
    case selfChange
    /// It holds a permission that he does not hold.
    case permissionNotHeld
    /// It belongs to another organisation as well, which has a say in that.
    case memberElsewhere
    /// It is the last that administers Watchword (W12).
    case lastAdministrator
    /// It was changed since he read it.
    case versionMismatch
    /// Somebody has that address.
    case emailTaken
    /// Somebody has that user name.
    case usernameTaken
    /// Members that cannot be accepted.
    case invalid([MemberError])
    /// Its rights change so fast that no answer held.
    case restless

    package var code: ProblemCode {
        switch self {
        case .noSuchAccount: .notFound
        case .selfChange: .selfChangeRefused
        case .permissionNotHeld: .permissionNotHeld
        case .memberElsewhere: .permissionDenied
        case .lastAdministrator: .lastAdministrator
        case .versionMismatch: .versionMismatch
        case .emailTaken: .emailTaken
        case .usernameTaken: .usernameTaken
        case .invalid: .validationFailed
        case .restless: .overloaded
        }
    }

    package var detail: String? {
        switch self {
        case .memberElsewhere: "The account is a member of other organisations too."
        default: nil
        }
    }

    package var memberErrors: [MemberError] {
        if case .invalid(let errors) = self { errors } else { [] }
    }
}

/// What an administrator is allowed to do to an account.
package enum AccountTouch: Sendable {
    /// Ending sessions, lifting a throttle: of any member of his organisation.
    case light
    /// Anything that other organisations of the account would feel.
    case heavy
}

/// Finds the account that an administrator means, and whether he may change it.
package struct AccountTargets: Sendable {
    let database: any PostgresExecutor
    let ranking: Ranking

    /// Targets in a database.
    package init(database: any PostgresExecutor, ranking: Ranking) {
        self.database = database
        self.ranking = ranking
    }

    /// Runs `change` with the version of the account's rights under which it is allowed.
    ///
    /// The change must carry that version in its `WHERE`; it gives nil where there is no such row,
    /// and then everything is looked at again: a role that was given meanwhile counts.
    ///
    /// - Throws: `AdministrationRefusal`; what `change` throws.
    package func permitted<R>(
        _ account: AccountID,
        _ kind: AccountKind,
        _ touch: AccountTouch,
        by actor: Administrator,
        _ change: (_ rightsVersion: Int64) async throws -> R?
    ) async throws -> R {
        for _ in 0..<3 {
            let version = try await check(account, kind, touch, by: actor)
            if let changed = try await change(version) { return changed }
        }
        throw AdministrationRefusal.restless
    }

    private func check(
        _ account: AccountID,
        _ kind: AccountKind,
        _ touch: AccountTouch,
        by actor: Administrator
    ) async throws -> Int64 {
        let standing = try await database.first(
            AdministrationStore.findStanding(
                account,
                kind.rawValue,
                actor.realm.organisationID,
                actor.trace.now
            )
        )
        guard let standing else { throw AdministrationRefusal.noSuchAccount }
        guard account != actor.accountID else { throw AdministrationRefusal.selfChange }
        let mayChange = try await ranking.mayChange(
            standing.roles,
            holding: actor.roles,
            narrowedTo: actor.narrowedTo
        )
        guard mayChange else { throw AdministrationRefusal.permissionNotHeld }
        if touch == .heavy, standing.isElsewhere { throw AdministrationRefusal.memberElsewhere }
        return standing.rightsVersion
    }
}

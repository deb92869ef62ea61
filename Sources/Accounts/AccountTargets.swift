// What every use case on somebody else's account shares: how it finds the account, and that it may
// change it. What is outside the administrator's realm is not there for him (row 175).
package import Access
import Postgres
package import Primitives
package import Revocation

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

/// Why somebody else's account is not changed, besides what `Grants` refuses.
package enum AdministrationRefusal: Refusal, Equatable {
    /// There is no such account in the administrator's realm.
    case noSuchAccount
    /// It belongs to another organisation as well, which has a say in that.
    case memberElsewhere
    /// Somebody has that address.
    case emailTaken
    /// Somebody has that user name.
    case usernameTaken
    /// Members that cannot be accepted.
    case invalid([MemberError])

    package var code: ProblemCode {
        switch self {
        case .noSuchAccount: .notFound
        case .memberElsewhere: .permissionDenied
        case .emailTaken: .emailTaken
        case .usernameTaken: .usernameTaken
        case .invalid: .validationFailed
        }
    }

    package var detail: String? {
        switch self {
        case .memberElsewhere: "The account is a member of other organisations too."
        case .noSuchAccount, .emailTaken, .usernameTaken, .invalid: nil
        }
    }

    package var memberErrors: [MemberError] {
        if case .invalid(let errors) = self { errors } else { [] }
    }
}

/// How deep a change goes.
package enum AccountTouch: Sendable {
    /// Ending sessions, lifting a throttle: of any member of the administrator's organisation.
    case light
    /// Anything that other organisations of the account would feel.
    case heavy
    /// The same, and the account may be used again: what it holds is woken for good.
    case waking
}

/// Changes accounts of others under the rules of giving (`Grants`).
package struct AccountTargets: Sendable {
    let revoker: Revoker

    /// Changes by way of `revoker`.
    package init(_ revoker: Revoker) { self.revoker = revoker }

    /// Runs `change` in a transaction that has locked the account and found that `actor` may.
    ///
    /// Returns when all that it has revoked is in force.
    ///
    /// - Throws: `GrantRefusal`, `AdministrationRefusal`, also where `change` gives nil: there is
    ///   no such account; what `change` throws. Then nothing has happened.
    package func permitted<R>(
        _ account: AccountID,
        _ kind: AccountKind,
        _ touch: AccountTouch,
        by actor: Grantor,
        _ change: (RevokingTransaction, Grants) async throws -> R?
    ) async throws -> R {
        try await revoker.transaction { transaction in
            let grants = try await Grants(transaction, by: actor, changing: [account])
            // What other organisations would feel is refused below, whatever is held there.
            try await grants.allowChange(
                of: account,
                for: touch == .waking ? .until(nil) : .now,
                in: actor.realm.organisationID.map(RoleScope.organisation) ?? .everywhere
            )
            let isElsewhere = try await transaction.first(
                AdministrationStore.findStanding(
                    account,
                    kind.rawValue,
                    actor.realm.organisationID
                )
            )
            guard let isElsewhere else { throw AdministrationRefusal.noSuchAccount }
            if touch != .light, isElsewhere { throw AdministrationRefusal.memberElsewhere }
            guard let changed = try await change(transaction, grants) else {
                throw AdministrationRefusal.noSuchAccount
            }
            return changed
        }
    }
}

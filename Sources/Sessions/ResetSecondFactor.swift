// Taking somebody's second factor away, because the authenticator and the recovery codes are lost.
// It gives whoever knows the password what is the account's, so it is for an administrator who has
// looked at the person, and who may change the account; every session of it ends (row 61).
package import Access
import Accounts
import Audit
import Postgres
package import Primitives
package import Revocation

/// Resets second factors of others.
package struct ResetSecondFactor: Sendable {
    let targets: AccountTargets
    let entropy: Entropy

    /// The use case.
    package init(revoker: Revoker, entropy: Entropy) {
        targets = AccountTargets(revoker)
        self.entropy = entropy
    }

    /// Removes the second factor of an account and outdates its tokens; nothing where it has none.
    ///
    /// - Throws: `GrantRefusal`, also for the administrator's own account; `AdministrationRefusal`;
    ///   or a fault.
    package func callAsFunction(
        of account: AccountID,
        by actor: Grantor,
        _ trace: RequestTrace
    ) async throws {
        let removal = AuditBinds(trace, entropy: entropy)
        let end = AuditBinds(trace, entropy: entropy)
        _ = try await targets.permitted(account, .person, .heavy, by: actor) { transaction, _ in
            let query = SecondFactorStore.remove(account, actor.actor, nil, removal)
            if try await transaction.first(query) != nil {
                _ = try await transaction.first(
                    SessionStore.endAllOfAnother(account, actor.actor, end)
                )
            }
            return account
        }
    }
}

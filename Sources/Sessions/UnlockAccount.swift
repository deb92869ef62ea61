// Lifting the throttle of somebody who has mistyped a password too often. Only that account's count
// goes; addresses from which many accounts were tried stay counted.
package import Access
import Accounts
import Audit
import Postgres
package import Primitives
package import Revocation

/// Lets people try their password again.
package struct UnlockAccount: Sendable {
    let targets: AccountTargets
    let throttle: Throttle
    let rules: SignInRules
    let entropy: Entropy

    /// The use case.
    package init(revoker: Revoker, throttle: Throttle, rules: SignInRules, entropy: Entropy) {
        targets = AccountTargets(revoker)
        self.throttle = throttle
        self.rules = rules
        self.entropy = entropy
    }

    /// Forgets the failed sign-ins of an account, and records it.
    ///
    /// The record is written first and committed last: where Redis cannot be asked there is none,
    /// and nothing is forgotten for whoever may not do it. Where the commit fails the caller is
    /// told so, and doing it again records it.
    ///
    /// - Throws: `GrantRefusal`, `AdministrationRefusal`; a fault where Redis cannot be asked.
    package func callAsFunction(
        _ account: AccountID,
        by actor: Grantor,
        _ trace: RequestTrace
    ) async throws {
        let binds = AuditBinds(trace, entropy: entropy)
        _ = try await targets.permitted(account, .person, .light, by: actor) { transaction, _ in
            let recorded = try await transaction.first(
                UnlockStore.unlock(
                    account,
                    actor.actor,
                    binds
                )
            )
            guard let recorded else { return AccountID?.none }
            try await throttle.forget(
                ThrottleSubject(rule: rules.perAccount, key: account.description)
            )
            return recorded
        }
    }
}

// Wanting somebody's password replaced: it opens no session until it is, and sessions that are open
// stay; who wants those gone ends them.
package import Access
import Audit
import Postgres
package import Primitives
package import Revocation

/// Requires that passwords are replaced.
package struct RequirePasswordChange: Sendable {
    let targets: AccountTargets
    let entropy: Entropy

    /// The use case.
    package init(revoker: Revoker, entropy: Entropy) {
        targets = AccountTargets(revoker)
        self.entropy = entropy
    }

    /// Lets an account's password open no session until it is replaced.
    ///
    /// - Throws: `GrantRefusal`, `AdministrationRefusal`; or a fault.
    package func callAsFunction(
        of account: AccountID,
        by actor: Grantor,
        _ trace: RequestTrace
    ) async throws {
        let binds = AuditBinds(trace, entropy: entropy)
        _ = try await targets.permitted(account, .person, .heavy, by: actor) { transaction, _ in
            try await transaction.first(
                AccountEditStore.requirePasswordChange(
                    account,
                    actor.actor,
                    binds
                )
            )
        }
    }
}

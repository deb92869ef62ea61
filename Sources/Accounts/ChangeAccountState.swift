// Disabling, enabling and deleting somebody's account. When disabling or deleting is acknowledged
// no token of the account opens anything on any node (W1); enabling gives none back. The last
// administrator stays, also when two go for the last two at once (W12).
package import Access
import Audit
import Postgres
package import Primitives
package import Revocation

/// Changes whether accounts may be used.
package struct ChangeAccountState: Sendable {
    let targets: AccountTargets
    let wantsConfirmed: Bool
    let entropy: Entropy

    /// The use case.
    ///
    /// - Parameter wantsConfirmed: as for `Assignments`.
    package init(revoker: Revoker, wantsConfirmed: Bool, entropy: Entropy) {
        targets = AccountTargets(revoker)
        self.wantsConfirmed = wantsConfirmed
        self.entropy = entropy
    }

    /// Ends every token of an account and lets nobody sign in to it.
    ///
    /// - Throws: `GrantRefusal`, `AdministrationRefusal`; or a fault.
    package func disable(
        _ account: AccountID,
        _ kind: AccountKind = .person,
        by actor: Grantor,
        _ trace: RequestTrace
    ) async throws {
        try await take(AccountStateStore.disable, account, kind, by: actor, trace)
    }

    /// Erases what is known of a person, frees the names and ends every token.
    ///
    /// The id stays taken for ever.
    ///
    /// - Throws: `GrantRefusal`, `AdministrationRefusal`; or a fault.
    package func delete(
        _ account: AccountID,
        _ kind: AccountKind = .person,
        by actor: Grantor,
        _ trace: RequestTrace
    ) async throws {
        try await take(AccountStateStore.delete, account, kind, by: actor, trace)
    }

    /// Lets a disabled account be used again, by signing in anew; an active one stays as it is.
    ///
    /// - Throws: `GrantRefusal`, `AdministrationRefusal`; or a fault.
    package func enable(
        _ account: AccountID,
        _ kind: AccountKind = .person,
        by actor: Grantor,
        _ trace: RequestTrace
    ) async throws {
        let binds = AuditBinds(trace, entropy: entropy)
        _ = try await targets.permitted(account, kind, .waking, by: actor) { transaction, _ in
            try await transaction.first(
                AccountStateStore.enable(
                    account,
                    actor.actor,
                    binds
                )
            )
        }
    }

    private typealias Taking = RevokingStatement<
        AccountID, AccountID, AccountID?, AuditBinds
    >

    /// Takes an account away, unless it is the last that administers.
    ///
    /// Whoever has no seat takes none with him: where nobody is left who counts, such as after a
    /// change of settings, an intruder can be shut out all the same.
    private func take(
        _ statement: Taking,
        _ account: AccountID,
        _ kind: AccountKind,
        by actor: Grantor,
        _ trace: RequestTrace
    ) async throws {
        let binds = AuditBinds(trace, entropy: entropy)
        _ = try await targets.permitted(account, kind, .heavy, by: actor) { transaction, grants in
            let touchesSeat = try await grants.administers(account)
            let taken: AccountID? = try await grants.keepingAnAdministrator(
                if: touchesSeat,
                wantsConfirmed: wantsConfirmed
            ) {
                try await transaction.first(statement(account, actor.actor, binds))
            }
            return taken
        }
    }
}

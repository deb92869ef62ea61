// Ending somebody else's sessions: one, or all of them. Acknowledged when no node accepts a token
// of them any more (W1).
package import Access
import Accounts
import Audit
import Postgres
package import Primitives
package import Revocation

/// Ends sessions of others.
package struct EndSessions: Sendable {
    let targets: AccountTargets
    let collapseAfter: Int
    let entropy: Entropy

    /// The use case.
    ///
    /// - Parameter collapseAfter: how many ends of sessions of one account in a minute are told to
    ///   the nodes one by one; 0 for all.
    package init(revoker: Revoker, collapseAfter: Int, entropy: Entropy) {
        targets = AccountTargets(revoker)
        self.collapseAfter = collapseAfter
        self.entropy = entropy
    }

    /// Ends one session of an account; once more where it has ended (H19).
    ///
    /// To a delegate one that is for another organisation is not there (row 175).
    ///
    /// - Throws: `GrantRefusal`, `AdministrationRefusal`, also where it has no such session; or a
    ///   fault.
    package func one(
        _ session: SessionID,
        of account: AccountID,
        by actor: Grantor,
        _ trace: RequestTrace
    ) async throws {
        let binds = AuditBinds(trace, entropy: entropy)
        _ = try await targets.permitted(account, .person, .light, by: actor) { transaction, _ in
            try await transaction.first(
                SessionStore.end(
                    session,
                    account,
                    "ended-by-administrator",
                    binds,
                    Int32(collapseAfter),
                    actor.actor,
                    actor.realm.organisationID
                )
            )
        }
    }

    /// Outdates every token of an account.
    ///
    /// - Throws: `GrantRefusal`, `AdministrationRefusal`; or a fault.
    package func all(
        of account: AccountID,
        by actor: Grantor,
        _ trace: RequestTrace
    ) async throws {
        let binds = AuditBinds(trace, entropy: entropy)
        _ = try await targets.permitted(account, .person, .light, by: actor) { transaction, _ in
            try await transaction.first(
                SessionStore.endAllOfAnother(
                    account,
                    actor.actor,
                    binds
                )
            )
        }
    }
}

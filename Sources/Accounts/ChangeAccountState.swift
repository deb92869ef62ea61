// Disabling, enabling and deleting somebody's account. When disabling or deleting is acknowledged
// no token of the account opens anything on any node (W1); enabling gives none back. The last
// administrator stays, also when two go for the last two at once (W12).
package import Access
import Audit
package import Postgres
package import Primitives
package import Revocation

/// Changes whether accounts may be used.
package struct ChangeAccountState: Sendable {
    let database: any PostgresExecutor
    let revoker: Revoker
    let targets: AccountTargets
    let entropy: Entropy

    /// The use case.
    package init(
        database: any PostgresExecutor,
        revoker: Revoker,
        ranking: Ranking,
        entropy: Entropy
    ) {
        self.database = database
        self.revoker = revoker
        self.entropy = entropy
        targets = AccountTargets(database: database, ranking: ranking)
    }

    /// Ends every token of an account and lets nobody sign in to it.
    ///
    /// - Throws: `AdministrationRefusal`; or a fault.
    package func disable(
        _ account: AccountID,
        _ kind: AccountKind = .person,
        by actor: Administrator
    ) async throws {
        try await targets.permitted(account, kind, .heavy, by: actor) { version in
            try await take(AccountStateStore.disable, account, kind, version, actor)
        }
    }

    /// Erases what is known of a person, frees the names and ends every token.
    ///
    /// The id stays taken for ever.
    ///
    /// - Throws: `AdministrationRefusal`; or a fault.
    package func delete(
        _ account: AccountID,
        _ kind: AccountKind = .person,
        by actor: Administrator
    ) async throws {
        try await targets.permitted(account, kind, .heavy, by: actor) { version in
            try await take(AccountStateStore.delete, account, kind, version, actor)
        }
    }

    /// Lets a disabled account be used again, by signing in anew; an active one stays as it is.
    ///
    /// - Throws: `AdministrationRefusal`; or a fault.
    package func enable(
        _ account: AccountID,
        _ kind: AccountKind = .person,
        by actor: Administrator
    ) async throws {
        let binds = AuditBinds(actor.trace, entropy: entropy)
        _ = try await targets.permitted(account, kind, .heavy, by: actor) { version in
            try await database.first(
                AccountStateStore.enable(
                    account,
                    kind.rawValue,
                    version,
                    actor.realm.organisationID,
                    actor.accountID,
                    binds.entry,
                    binds.at,
                    binds.address,
                    binds.request
                )
            )
        }
    }

    private typealias Taking = RevokingStatement<
        Bool, AccountID, String, Int64, OrganisationID?, RoleID, AccountID, EntryID, Timestamp,
        String, RequestID
    >

    /// Locks signature and role, then runs the statement; nil where its row is another by now.
    private func take(
        _ statement: Taking,
        _ account: AccountID,
        _ kind: AccountKind,
        _ version: Int64,
        _ actor: Administrator
    ) async throws -> Void? {
        let binds = AuditBinds(actor.trace, entropy: entropy)
        let isLast = try await revoker.transaction { transaction in
            try await transaction.execute(AdministrationStore.lockSignature(account))
            try await transaction.execute(
                AdministrationStore.lockAdministration(BuiltInRole.admin)
            )
            return try await transaction.first(
                statement(
                    account,
                    kind.rawValue,
                    version,
                    actor.realm.organisationID,
                    BuiltInRole.admin,
                    actor.accountID,
                    binds.entry,
                    binds.at,
                    binds.address,
                    binds.request
                )
            )
        }
        guard let isLast else { return nil }
        if isLast { throw AdministrationRefusal.lastAdministrator }
        return ()
    }
}

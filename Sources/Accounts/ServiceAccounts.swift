// Accounts of services: a name of their own and keys, neither an address nor a password, so nobody
// signs in to one. They get no roles but those that they are given.
import Audit
package import Postgres
package import Primitives

/// Makes accounts of services.
package struct ServiceAccounts: Sendable {
    let database: PostgresPool
    let entropy: Entropy

    /// The use case.
    package init(database: PostgresPool, entropy: Entropy) {
        self.database = database
        self.entropy = entropy
    }

    /// Makes one; people and services share their names.
    ///
    /// - Throws: `AdministrationRefusal.invalid`, `.usernameTaken`; or a fault.
    package func create(
        _ name: String,
        by actor: AccountID,
        _ trace: RequestTrace
    ) async throws -> AccountID {
        let username: Username
        do throws(IdentifierFlaw) {
            username = try Username(name)
        } catch {
            throw AdministrationRefusal.invalid([
                MemberError(
                    "name",
                    error.rawValue,
                    "must be 3 to 64 letters, digits, dots, underscores or hyphens"
                )
            ])
        }
        let id = AccountID(at: trace.now, entropy: entropy)
        let binds = AuditBinds(trace, entropy: entropy)
        let query = ServiceAccountStore.insert(
            id,
            username.text,
            username.canonical,
            actor,
            binds
        )
        do {
            // A transaction, though of one statement: an idempotency key is marked in it.
            _ = try await database.transaction { try await $0.first(query) }
        } catch let error as PostgresError
            where error.isUniqueViolation(of: "accounts_username_key")
        {
            throw AdministrationRefusal.usernameTaken
        }
        return id
    }
}

// Reading one's own account.
package import Postgres
package import Primitives

/// Reads accounts for their owners.
package struct AccountReader: Sendable {
    let database: any PostgresExecutor

    /// The use case.
    package init(database: any PostgresExecutor) { self.database = database }

    /// The account as its owner sees it; nil once it is disabled or gone.
    ///
    /// One statement.
    package func view(_ account: AccountID) async throws -> AccountView? {
        try await database.first(AccountStore.findView(account))
    }
}

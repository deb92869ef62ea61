// What an account's owner sees of his sessions and sign-ins, and an administrator of them.
package import Postgres
package import Primitives

/// Lists sessions and sign-ins.
package struct SessionLists: Sendable {
    let database: any PostgresExecutor

    /// The use case.
    package init(database: any PostgresExecutor) { self.database = database }

    /// The living sessions of an account, newest first; one statement.
    ///
    /// - Parameter organisation: the one whose delegate asks: he is not told of those that are for
    ///   another (row 175).
    package func sessions(
        of account: AccountID,
        within organisation: OrganisationID? = nil,
        _ request: PageRequest,
        now: Timestamp
    ) async throws -> Page<SessionView> {
        let after = request.cursor.flatMap { SessionID(bytes: $0.bytes) } ?? Self.beyond()
        let rows = try await database.rows(
            SessionStore.list(account, now, after, request.rowLimit, organisation)
        )
        return Page(rows, of: request) { $0.id.bytes }
    }

    /// The login history of an account, newest first; one statement.
    ///
    /// - Parameter organisation: the one whose delegate asks: he is not told of sign-ins for
    ///   another (row 175).
    package func history(
        of account: AccountID,
        within organisation: OrganisationID? = nil,
        _ request: PageRequest
    ) async throws -> Page<LoginView> {
        let after = request.cursor.flatMap { EntryID(bytes: $0.bytes) } ?? Self.beyond()
        let rows = try await database.rows(
            SessionStore.history(account, after, request.rowLimit, organisation)
        )
        return Page(rows, of: request) { $0.id.bytes }
    }

    private static func beyond<K>() -> ID<K> { ID(high: .max, low: .max) }
}

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
            SessionStore.list(account, now, after, Int32(request.limit + 1), organisation)
        )
        return Self.page(rows, request.limit, \.id)
    }

    /// The login history of an account, newest first; one statement.
    package func history(
        of account: AccountID,
        _ request: PageRequest
    ) async throws -> Page<LoginView> {
        let after = request.cursor.flatMap { EntryID(bytes: $0.bytes) } ?? Self.beyond()
        let rows = try await database.rows(
            SessionStore.history(account, after, Int32(request.limit + 1))
        )
        return Self.page(rows, request.limit, \.id)
    }

    private static func beyond<K>() -> ID<K> { ID(high: .max, low: .max) }

    private static func page<Item: Sendable, K>(
        _ rows: [Item],
        _ limit: Int,
        _ id: (Item) -> ID<K>
    ) -> Page<Item> {
        let items = Array(rows.prefix(limit))
        let next = rows.count > limit ? items.last.map { Cursor(id($0).bytes) } : nil
        return Page(items, nextCursor: next)
    }
}

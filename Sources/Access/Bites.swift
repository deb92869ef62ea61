// Rows that count no more are taken away in bites, each of its own: millions of them hold nobody
// up, any node can begin, stop or die at any point, and several can be at it at once.
import Postgres
import Primitives
import ServiceLifecycle

/// Takes rows away in bites.
package enum Bites {
    /// How many rows one bite takes.
    package static let size = 1000

    /// Bite after bite of what accounts have of `owner`.
    ///
    /// Each from where the one before has ended: what was taken is not read again.
    static func take<Owner: PostgresBind>(
        _ statement: Statement<AccountID, Owner, AccountID>,
        of owner: Owner,
        from database: any PostgresExecutor
    ) async throws {
        var from = AccountID(high: 0, low: 0)
        while true {
            let taken = try await database.rows(statement(owner, from))
            guard taken.count == size, let last = taken.max() else { return }
            from = last
            try pause()
        }
    }

    /// A bite is whole or not at all, so this is a place to stop.
    static func pause() throws {
        guard !Task.isShuttingDownGracefully else { throw CancellationError() }
        try Task.checkCancellation()
    }

    /// Takes a bite of the assignments `ar` that meet `condition`.
    ///
    /// Waits for nobody: not for another node that sweeps, nor for who deletes an account.
    static func assignments(_ condition: String, by order: String = "ar.account_id") -> String {
        """
        DELETE FROM account_roles d
         USING (SELECT ar.account_id, ar.role_id, ar.scope
                  FROM account_roles ar
                 WHERE \(condition)
                 ORDER BY \(order)
                 LIMIT \(size)
                   FOR UPDATE SKIP LOCKED) o
         WHERE d.account_id = o.account_id
           AND d.role_id = o.role_id
           AND d.scope = o.scope
        """
    }
}

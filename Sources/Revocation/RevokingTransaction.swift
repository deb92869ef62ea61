// Several statements that revoke, in one transaction: a change of roles with its entry in the log,
// say (W3). What was appended is acknowledged after the commit and not before; a body that throws,
// or a connection that dies between two statements, leaves neither the change nor the entry. The
// rule of every revocation holds here too: take the locks first, and append after (1.8).
package import Postgres
package import Primitives
import Synchronization

/// A transaction that may revoke; ends with the closure it was lent to.
package final class RevokingTransaction: PostgresExecutor {
    private let transaction: PostgresTransaction
    private let appended = Mutex<[RevocationEntry]>([])

    init(_ transaction: PostgresTransaction) { self.transaction = transaction }

    package func result(
        of info: StatementInfo,
        parameters: [UInt8],
        deadline: Deadline?
    ) async throws -> PostgresResult {
        try await transaction.result(of: info, parameters: parameters, deadline: deadline)
    }

    /// Runs a revoking statement; what it has revoked is in force when the transaction has ended.
    package func first<Row>(
        _ query: RevokingQuery<Row>,
        deadline: Deadline? = nil
    ) async throws -> Row? {
        guard let revoked = try await transaction.first(query.query, deadline: deadline) else {
            return nil
        }
        appended.withLock { $0 += revoked.entries }
        return revoked.row
    }

    /// All that was appended.
    var entries: [RevocationEntry] { appended.withLock { $0 } }
}

extension Revoker {
    /// Runs `body` in a transaction; returns its value when all that it has revoked is in force on
    /// every node.
    ///
    /// - Parameters:
    ///   - deadline: for the transaction, not for the acknowledgement.
    ///   - body: the work; what it is lent ends with it.
    /// - Throws: what `body` throws, and then nothing has happened; or a fault after which the
    ///   revocation may be committed and must not be acknowledged.
    package func transaction<R>(
        deadline: Deadline? = nil,
        _ body: (RevokingTransaction) async throws -> R
    ) async throws -> R {
        let (value, entries) = try await database.transaction(deadline: deadline) { transaction in
            let revoking = RevokingTransaction(transaction)
            let value = try await body(revoking)
            return (value, revoking.entries)
        }
        if !entries.isEmpty { try await acknowledge(entries) }
        return value
    }
}

// What every transaction of a request begins with. Bound around a handler like `RequestDeadline`,
// so that a record about the request is committed together with what the request does, and no use
// case has to know of it. It must be one short statement on a row that nobody else waits for.

/// The first work of each transaction that the current task opens.
package enum TransactionOpening {
    /// Runs after `BEGIN`; nil outside of such requests.
    ///
    /// What it throws rolls the transaction back.
    @TaskLocal package static var current: (@Sendable (PostgresTransaction) async throws -> Void)?
}

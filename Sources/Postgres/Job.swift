// One call on its way: what is to be done, until when, and who waits. Between being handed to its
// event loop and being finished a job is touched on that loop only.
import Primitives

/// A statement, a script or the wish for a connection, with its waiter.
@safe final class Job: @unchecked Sendable {
    // Sendable: built by the caller, then handed to the loop by `EventLoop.execute` or on the loop
    // itself, which orders the two; from then on only the loop reads or writes it.

    /// What is to be done.
    enum Purpose {
        /// Run a prepared statement.
        case run(StatementInfo, parameters: [UInt8])
        /// Run several statements by the simple protocol, on an exclusive connection.
        case script(String)
        /// Obtain a connection for oneself.
        case lease
    }

    /// What the waiter gets.
    enum Answer: Sendable {
        case result(PostgresResult)
        case lease(Lease)
    }

    let purpose: Purpose
    let deadline: MonotonicInstant
    /// Whether it must not share its sync, by its kind or because a group with it failed.
    var isAlone: Bool
    /// Whether the sync is left to the next statement (`BEGIN`).
    var sharesNextSync = false
    /// How often it was sent.
    var attempts = 0
    /// When it may wait no longer for a connection.
    var waitsUntil: MonotonicInstant?
    /// When its waiter was let go before the answer came: it is a tombstone, which keeps the order.
    private(set) var abandonedAt: MonotonicInstant?
    /// Whether the loop has it; before that a cancellation only leaves its mark.
    var isSubmitted = false
    var isCancelled = false
    private var continuation: UnsafeContinuation<Answer, any Error>?

    init(_ purpose: Purpose, deadline: Deadline) {
        self.purpose = purpose
        self.deadline = deadline.instant
        if case .run(let info, _) = purpose { isAlone = info.kind == .solo } else { isAlone = true }
    }

    deinit { precondition(!isAwaited, "a waiter was forgotten") }

    /// The name of the statement, for errors.
    var name: String {
        switch purpose {
        case .run(let info, _): info.name
        case .script: "script"
        case .lease: "transaction"
        }
    }

    /// Whether somebody still waits.
    var isAwaited: Bool { unsafe continuation != nil }

    /// Sets the waiter; once, before the job is handed over.
    func await(_ continuation: UnsafeContinuation<Answer, any Error>) {
        unsafe self.continuation = continuation
    }

    /// Resumes the waiter, if there is one left.
    func succeed(_ answer: Answer) {
        guard let waiter = unsafe continuation else { return }
        unsafe continuation = nil
        unsafe waiter.resume(returning: answer)
    }

    /// Resumes the waiter, if there is one left, with an error.
    func fail(_ error: any Error) {
        guard let waiter = unsafe continuation else { return }
        unsafe continuation = nil
        unsafe waiter.resume(throwing: error)
    }

    /// Lets the waiter go while the answer is still out.
    func abandon(_ error: any Error, at now: MonotonicInstant) {
        guard isAwaited else { return }
        abandonedAt = now
        fail(error)
    }
}

/// An exclusive connection in somebody's hands.
struct Lease: Sendable {
    let lane: Lane
    let connection: LoopBoundConnection
}

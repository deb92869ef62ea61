// Work on a connection of its own. A transaction commits when its body returns and rolls back when
// it throws; a commit that the server could not confirm is a failure (revocation.md H8), and a
// deadline or a cancellation in mid-command closes the connection, which rolls back as well.
import NIOCore
package import Primitives
import Synchronization

/// A connection held by one caller.
package final class PostgresSession: PostgresExecutor {
    /// The latest end of everything done here.
    package let deadline: Deadline
    private let lease: Lease
    private let hasEnded = Atomic<Bool>(false)

    init(_ lease: Lease, deadline: Deadline) {
        self.lease = lease
        self.deadline = deadline
    }

    package func result(
        of info: StatementInfo,
        parameters: [UInt8],
        deadline: Deadline?
    ) async throws -> PostgresResult {
        let deadline = min(deadline ?? self.deadline, self.deadline)
        let job = Job(.run(info, parameters: parameters), deadline: deadline)
        job.isAlone = true
        return try await submit(job)
    }

    /// Runs SQL of one or more statements by the simple protocol, without parameters.
    package func script(_ sql: String) async throws {
        _ = try await submit(Job(.script(sql), deadline: deadline))
    }

    /// Gives the connection back; later calls fail.
    func end() {
        guard hasEnded.exchange(true, ordering: .relaxed) == false else { return }
        onLoop { lane, connection in lane.giveBack(connection) }
    }

    /// Closes the connection, with all that the server keeps for it.
    func discard() {
        onLoop { _, connection in connection.close("its session was given up") }
    }

    private func onLoop(_ body: @escaping @Sendable (Lane, Connection) -> Void) {
        let lease = lease
        if lease.lane.loop.inEventLoop {
            body(lease.lane, lease.connection.value)
        } else {
            lease.lane.loop.execute { body(lease.lane, lease.connection.value) }
        }
    }

    /// Sends a statement that shares the sync of the next one, without waiting for its answer.
    func post(_ info: StatementInfo) {
        let job = Job(.run(info, parameters: []), deadline: deadline)
        job.isAlone = true
        job.sharesNextSync = true
        onLoop { lane, connection in lane.submit(job, on: connection) }
    }

    private func submit(_ job: Job) async throws -> PostgresResult {
        guard !hasEnded.load(ordering: .relaxed) else {
            throw PostgresError(.protocolViolation, "used after its end").naming(job.name)
        }
        let lease = lease
        return try await withTaskCancellationHandler {
            try await send(job)
        } onCancel: {
            lease.lane.loop.execute { lease.lane.cancel(job, on: lease.connection.value) }
        }
    }

    /// Runs a job that a cancellation does not touch.
    private func send(_ job: Job) async throws -> PostgresResult {
        let answer = try await unsafe withUnsafeThrowingContinuation { continuation in
            unsafe job.await(continuation)
            onLoop { lane, connection in lane.submit(job, on: connection) }
        }
        guard case .result(let result) = answer else {
            preconditionFailure("a statement is answered by a result")
        }
        return result
    }

    /// Rolls back even when the task is cancelled.
    ///
    /// If that fails the connection is closed, and the server rolls back by itself.
    func rollBack() async {
        let job = Job(.run(Self.rollback, parameters: []), deadline: .after(.seconds(1)))
        job.isAlone = true
        do {
            _ = try await send(job)
        } catch {
            // `end` finds the connection closed, or in the middle of something, and closes it.
        }
    }

    /// Commits, and makes sure that it was a commit: PostgreSQL answers `ROLLBACK`, without an
    /// error, where a statement of the transaction had failed.
    func commit() async throws {
        let result = try await result(of: Self.commit, parameters: [], deadline: nil)
        guard result.commandTag == "COMMIT" else {
            throw PostgresError(
                .server,
                "rolled back: a statement in it had failed",
                sqlState: "25P02",
                statement: Self.commit.name
            )
        }
    }

    private static let commit = StatementInfo(
        name: "transaction.commit",
        sql: "COMMIT",
        kind: .solo
    )
    private static let rollback = StatementInfo(
        name: "transaction.rollback",
        sql: "ROLLBACK",
        kind: .solo
    )
}

/// A transaction; commits or rolls back with the closure it was lent to.
package struct PostgresTransaction: PostgresExecutor {
    private let session: PostgresSession

    fileprivate init(_ session: PostgresSession) { self.session = session }

    package func result(
        of info: StatementInfo,
        parameters: [UInt8],
        deadline: Deadline?
    ) async throws -> PostgresResult {
        try await session.result(of: info, parameters: parameters, deadline: deadline)
    }

    /// Runs SQL of one or more statements within the transaction, without parameters.
    package func script(_ sql: String) async throws { try await session.script(sql) }

    fileprivate static let begin = StatementInfo(
        name: "transaction.begin",
        sql: "BEGIN",
        kind: .solo
    )
}

extension PostgresPool {
    /// Runs `body` in a transaction: commits when it returns, rolls back when it throws.
    ///
    /// One round trip more than its statements take: `BEGIN` travels with the first of them. Not
    /// repeated on conflicts; callers order their locks. `TransactionOpening` goes first.
    ///
    /// - Parameters:
    ///   - deadline: for the whole of it; without one, the configured deadline.
    ///   - body: the work; what it is lent ends with it.
    /// - Returns: what `body` returns.
    /// - Throws: what `body` throws; `PostgresError`, also when the server warned at the commit,
    ///   for then the commit is not confirmed by its standbys.
    package func transaction<R>(
        deadline: Deadline? = nil,
        _ body: (PostgresTransaction) async throws -> R
    ) async throws -> R {
        try await session(deadline: deadline) { session in
            session.post(PostgresTransaction.begin)
            let value: R
            do {
                let transaction = PostgresTransaction(session)
                if let open = TransactionOpening.current { try await open(transaction) }
                value = try await body(transaction)
            } catch {
                await session.rollBack()
                throw error
            }
            try await session.commit()
            return value
        }
    }
}

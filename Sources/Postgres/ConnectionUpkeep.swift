// What happens to a connection besides statements: deadlines, notices, and scripts, for which it
// leaves pipeline mode. A late answer leaves a tombstone, so that order is kept; one that is much
// too late means a server that has stopped, and closes the connection.
import CPostgres
import Logging
import Primitives

extension Connection {
    /// Whether nothing is in flight and no transaction is open.
    var isIdle: Bool {
        guard queue.isEmpty, script == nil, waitingScript == nil else { return false }
        return unsafe PQtransactionStatus(handle) == PQTRANS_IDLE
    }

    /// Lets go of waiters whose time is up, and closes a connection whose server has stopped.
    ///
    /// - Parameters:
    ///   - now: the instant to judge by.
    ///   - tombstoneLimit: how late an answer may be.
    /// - Returns: the next instant at which to look again.
    func sweep(_ now: MonotonicInstant, tombstoneLimit: Duration) -> MonotonicInstant? {
        var next: MonotonicInstant?
        var isStuck = false
        func visit(_ job: Job) {
            if job.isAwaited, job.deadline <= now {
                metrics.late.increment()
                let error = PostgresError(.deadline, "no answer in time").naming(job.name)
                job.abandon(error, at: now)
                if role == .exclusive { isStuck = true }
            }
            var due = job.deadline
            if let abandoned = job.abandonedAt {
                due = abandoned + tombstoneLimit
                if due <= now { isStuck = true }
            }
            next = min(next ?? due, due)
        }
        queue.forEachJob(visit)
        if let script { visit(script) }
        if let waitingScript { visit(waitingScript) }
        guard !isStuck else {
            close("an answer was overdue")
            return nil
        }
        return next
    }

    /// Has libpq hand over what the server says beside its answers.
    func receiveNotices() {
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe PQsetNoticeReceiver(handle, receiveNotice, context)
    }

    /// Notes what the server says beside its answers.
    fileprivate func notice(_ result: OpaquePointer) {
        let error = unsafe PostgresError(result: result)
        let isWarning = unsafe PostgresError.isWarning(result)
        if isWarning { warning = error }
        logger.log(
            level: isWarning ? .warning : .debug,
            "PostgreSQL notice",
            metadata: ["sql_state": "\(error.sqlState)", "message": "\(error.message)"]
        )
    }
}

private func receiveNotice(_ context: UnsafeMutableRawPointer?, _ result: OpaquePointer?) {
    guard let context = unsafe context, let result = unsafe result else { return }
    // The context is the connection, which outlives its handle: PQfinish ends the notices.
    unsafe Unmanaged<Connection>.fromOpaque(context).takeUnretainedValue().notice(result)
}

extension Connection {
    /// Leaves pipeline mode for one script of several statements, as soon as nothing is in flight.
    func start(script job: Job) {
        precondition(role == .exclusive, "scripts need a connection of their own")
        guard case .script(let sql) = job.purpose else { return }
        guard queue.isEmpty, script == nil else {
            waitingScript = job
            if queue.openCount > 0 { sync() }
            return push()
        }
        guard unsafe PQexitPipelineMode(handle) == 1, unsafe PQsendQuery(handle, sql) == 1 else {
            job.fail(Self.lostError.naming(job.name))
            return close("a script could not be sent")
        }
        warning = nil
        script = job
        scriptReply = nil
        push()
    }

    func receiveScript() {
        while unsafe PQisBusy(handle) == 0 {
            guard let result = unsafe PQgetResult(handle) else { return finishScript() }
            switch unsafe PQresultStatus(result) {
            case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY:
                let answer = unsafe PostgresResult(owning: result)
                if case .failure? = scriptReply { break }
                scriptReply = .success(answer)
            default:
                scriptReply = .failure(unsafe PostgresError(result: result))
                unsafe PQclear(result)
            }
        }
    }

    private func finishScript() {
        guard let job = script else { return }
        script = nil
        guard unsafe PQenterPipelineMode(handle) == 1 else {
            job.fail(Self.lostError.naming(job.name))
            return close("the connection was lost in a script")
        }
        switch scriptReply {
        case .success(let result)?: job.succeed(.result(result))
        case .failure(let error)?: job.fail(error.naming(job.name))
        case nil: job.fail(Self.lostError.naming(job.name))
        }
        scriptReply = nil
    }
}

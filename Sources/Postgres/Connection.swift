// One pipelined connection, confined to its event loop. It sends jobs, flushes once per tick of the
// loop, reads answers when the socket is ready, and tells its owner what became of it. All calls of
// libpq here are non-blocking; PQcancel is never used, for it would hit somebody else's statement.
import CLinux
import CPostgres
import Logging
import NIOCore
import Primitives

/// What a connection tells the lane that owns it.
protocol ConnectionOwner: AnyObject {
    /// Answers arrived: there may be room for more.
    func madeProgress(_ connection: Connection)
    /// The connection is closed; everything in flight has been failed.
    func lost(_ connection: Connection)
    /// The server refused a write because it takes none any more; the connection is closed.
    func becameReadOnly(_ connection: Connection)
}

/// One connection to a server.
@safe final class Connection {
    /// What a connection is for, which decides how its statements are grouped.
    enum Role: String {
        case read
        case urgent
        case list
        case write
        case exclusive

        /// Whether the server takes no writes on it.
        var isReadOnly: Bool {
            switch self {
            case .read, .urgent, .list: true
            case .write, .exclusive: false
            }
        }
    }
    typealias Queue = PipelineQueue<Job, PostgresResult, PostgresError>

    /// A statement is sent at most so often: once in company, and again alone when innocent or when
    /// the server had forgotten its preparation.
    private static let attemptLimit = 3

    let role: Role
    let loop: any EventLoop
    let metrics: PoolMetrics
    let logger: Logger
    let handle: OpaquePointer
    private unowned let owner: any ConnectionOwner
    private var watch: (any SocketWatch)?
    var queue = Queue()
    private var prepared = PreparedStatements()
    private var frame = ParameterFrame()
    /// A warning since the last sync: the commit may not have been confirmed (H8).
    var warning: PostgresError?
    var script: Job?
    var scriptReply: Result<PostgresResult, PostgresError>?
    var waitingScript: Job?
    private var isFlushScheduled = false
    private(set) var isClosed = false
    /// When it was made.
    let since = MonotonicInstant.now

    /// Takes over `server`; `open` must follow.
    init(
        _ server: ServerConnection,
        role: Role,
        loop: any EventLoop,
        owner: any ConnectionOwner,
        logger: Logger,
        metrics: PoolMetrics
    ) {
        unsafe handle = server.handle
        self.role = role
        self.loop = loop
        self.owner = owner
        self.logger = logger
        self.metrics = metrics
        metrics.open.add(1)
    }

    deinit { precondition(isClosed, "a connection was dropped without being closed") }

    /// The statements in flight.
    var inFlight: Int { queue.statements }

    /// Starts to watch the socket; false when that is impossible.
    func open(fallback: () -> EpollThread?, usesKernelPolling: Bool) -> Bool {
        let socket = unsafe PQsocket(handle)
        if usesKernelPolling {
            watch = KernelWatch(socket, on: loop) { [unowned self] in ready() }
        }
        if watch == nil, let thread = fallback() {
            watch = ThreadWatch(socket, with: thread, on: loop) { [unowned self] in ready() }
        }
        guard watch?.arm(WW_READABLE) == true else { return false }
        receiveNotices()
        return true
    }

    /// Sends a job; its end of the tick flushes it.
    func send(_ job: Job) {
        guard !isClosed else { return job.fail(Self.lostError.naming(job.name)) }
        job.attempts += 1
        switch job.purpose {
        case .run(let info, let parameters): run(job, info, parameters)
        case .script: start(script: job)
        case .lease: preconditionFailure("a connection does not lend itself")
        }
    }

    private func run(_ job: Job, _ info: StatementInfo, _ parameters: [UInt8]) {
        if role == .write, job.isAlone, queue.openCount > 0 { sync() }
        let name = prepare(job, info)
        let number = info.bindTypes.count
        let count = Int32(number)
        let sent = unsafe frame.with(parameters, count: number) { values, lengths, formats in
            if let name {
                return unsafe PQsendQueryPrepared(handle, name, count, values, lengths, formats, 1)
            }
            return unsafe info.withTypes { types in
                unsafe PQsendQueryParams(
                    handle,
                    info.sql,
                    count,
                    types,
                    values,
                    lengths,
                    formats,
                    1
                )
            }
        }
        guard sent == 1 else {
            job.fail(Self.lostError.naming(job.name))
            return close("a statement could not be sent")
        }
        metrics.inFlight.add(1)
        queue.appendExecute(job, mode)
        if job.isAlone, !job.sharesNextSync { sync() }
        scheduleFlush()
    }

    private var mode: Queue.Mode {
        switch role {
        case .read, .urgent, .list: .read
        case .write: .write
        case .exclusive: .transaction
        }
    }

    /// The server-side name of the statement, which is sent for preparation if it is new; nil when
    /// the connection holds too many already.
    private func prepare(_ job: Job, _ info: StatementInfo) -> String? {
        if let name = prepared.name(of: info) { return name }
        guard let name = prepared.add(info) else { return nil }
        let sent = unsafe info.withTypes {
            unsafe PQsendPrepare(handle, name, info.sql, Int32(info.bindTypes.count), $0)
        }
        // A failure to send shows again, and is dealt with, when the statement itself is sent.
        if sent == 1 { queue.appendPrepare(job) }
        return name
    }

    func sync() {
        guard unsafe PQpipelineSync(handle) == 1 else { return close("a sync could not be sent") }
        queue.appendSync()
    }

    private func scheduleFlush() {
        guard !isFlushScheduled, !isClosed else { return }
        isFlushScheduled = true
        loop.assumeIsolatedUnsafeUnchecked().execute { self.flush() }
    }

    private func flush() {
        isFlushScheduled = false
        guard !isClosed else { return }
        if role != .exclusive, queue.openCount > 0 { sync() }
        push()
    }

    /// Writes what libpq has buffered, as far as the socket takes it.
    func push() {
        guard !isClosed else { return }
        switch unsafe PQflush(handle) {
        case 0: break
        case 1: arm(WW_READABLE | WW_WRITABLE)
        default: close("the connection was lost while sending")
        }
    }

    private func arm(_ interest: Int32) {
        if watch?.arm(interest) != true { close("the socket cannot be watched") }
    }

    private func ready() {
        guard !isClosed else { return }
        let isAlive = unsafe PQconsumeInput(handle) == 1
        receive()
        guard !isClosed else { return }
        guard isAlive else { return close("the server closed the connection") }
        push()
        if !isClosed { arm(WW_READABLE) }
        if !isClosed { owner.madeProgress(self) }
    }

    /// Takes all answers that have arrived.
    private func receive() {
        if script != nil { receiveScript() }
        // With nothing in flight this still reads notices, such as that of a shutdown.
        while !isClosed, script == nil, unsafe PQisBusy(handle) == 0, !queue.isEmpty {
            guard let result = unsafe PQgetResult(handle) else {
                guard !queue.expectsSync else { return }
                if let action = queue.ended() { perform(action) }
                continue
            }
            unsafe receive(result)
        }
        if !isClosed, queue.isEmpty, let job = waitingScript {
            waitingScript = nil
            start(script: job)
        }
    }

    private func receive(_ result: OpaquePointer) {
        switch unsafe PQresultStatus(result) {
        case PGRES_PIPELINE_SYNC:
            unsafe PQclear(result)
            let verdict = role.isReadOnly ? nil : warning
            warning = nil
            for action in queue.synced(verdict: verdict) { perform(action) }
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK:
            queue.received(.success(unsafe PostgresResult(owning: result)))
        case PGRES_PIPELINE_ABORTED:
            unsafe PQclear(result)
            queue.received(.skipped)
        default:
            queue.received(.failure(unsafe PostgresError(result: result)))
            unsafe PQclear(result)
        }
    }

    private func perform(_ action: Queue.Action) {
        switch action {
        case .deliver(let job, let result):
            metrics.inFlight.add(-1)
            job.succeed(.result(result))
        case .fail(let job, let error):
            metrics.inFlight.add(-1)
            if forgets(job, error) { again(job) } else { job.fail(error.naming(job.name)) }
            // The server takes no writes any more: another one may (revocation.md H10).
            if error.sqlState == "25006", !role.isReadOnly, !isClosed {
                close("the server became read-only")
                owner.becameReadOnly(self)
            }
        case .retryAlone(let job):
            metrics.inFlight.add(-1)
            again(job)
        case .prepared(let job, let isReady):
            if !isReady, case .run(let info, _) = job.purpose { prepared.remove(info) }
        }
    }

    /// Whether the server no longer has, or no longer likes, the prepared form: it was not run.
    private func forgets(_ job: Job, _ error: PostgresError) -> Bool {
        guard error.sqlState == "26000" || error.sqlState == "0A000",
            case .run(let info, _) = job.purpose
        else { return false }
        prepared.remove(info)
        return role != .exclusive && job.attempts < Self.attemptLimit
    }

    private func again(_ job: Job) {
        // Nobody waits for a tombstone; not to run it is the safer end.
        guard job.isAwaited else { return }
        guard job.attempts < Self.attemptLimit else {
            return job.fail(
                PostgresError(.server, "rolled back with others", sqlState: "40000")
                    .naming(job.name)
            )
        }
        metrics.repeated.increment()
        job.isAlone = true
        send(job)
    }

    /// Closes the connection and fails what is in flight: whether its writes happened is unknown.
    func close(_ reason: String) {
        guard !isClosed else { return }
        isClosed = true
        watch?.close()
        watch = nil
        unsafe PQfinish(handle)
        metrics.open.add(-1)
        let error = PostgresError(.connection, reason, sqlState: "08006")
        var jobs = queue.drain()
        metrics.inFlight.add(-jobs.count)
        for case let job? in [script, waitingScript] { jobs.append(job) }
        script = nil
        waitingScript = nil
        for job in jobs { job.fail(error.naming(job.name)) }
        owner.lost(self)
    }

    static let lostError = PostgresError(
        .connection,
        "the connection was lost",
        sqlState: "08006"
    )
}

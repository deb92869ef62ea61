// What came of calls with an idempotency key, kept for a day. Guarantee: of the attempts at one
// request at most one commits a transaction. Each transaction of an attempt begins by marking the
// key's row as done (`TransactionOpening`), so the mark is committed with the work or not at all;
// whoever lost the key to another attempt finds no row to mark, and is rolled back. What writes
// outside of a transaction has no such mark: idempotent operations must use one, and refuse inside
// of it, for what is committed keeps its key. What is a day old is told by the database's clock: a
// node that is ahead would have calls done twice (H13).
import Logging
import Postgres
import Primitives
import ServiceLifecycle
import Synchronization
import Tokens
import Web

/// Keeps the answers of calls with a key in PostgreSQL.
final class IdempotencyKeeper: IdempotentAnswers, Service {
    private let database: PostgresPool
    private let masterKey: MasterKey
    private let logger: Logger

    /// After how long an attempt that has done nothing is taken for dead.
    ///
    /// A request's time is shorter; were it alive, it would come to nothing all the same.
    static let staleAfter: Duration = .minutes(1)
    private static let sweepInterval: Duration = .minutes(10)

    /// A keeper on `database`.
    init(database: PostgresPool, masterKey: MasterKey, logger: Logger) {
        self.database = database
        self.masterKey = masterKey
        self.logger = logger
    }

    func once(
        _ request: IdempotentRequest,
        _ run: () async throws -> [UInt8]
    ) async throws -> (answer: [UInt8], isReplay: Bool) {
        if let answer = try await earlierAnswer(request) { return (answer, true) }
        let isMarked = Atomic<Bool>(false)
        do {
            let answer = try await TransactionOpening.$current.withValue(
                { transaction in
                    try await Self.mark(request, in: transaction)
                    isMarked.store(true, ordering: .relaxed)
                },
                operation: run
            )
            assert(
                isMarked.load(ordering: .relaxed),
                "an idempotent operation did its work outside of a transaction"
            )
            await keep(answer, of: request)
            return (answer, false)
        } catch {
            // The mark decides, whatever was thrown: where it was committed, or may yet be, the
            // row stays (the DELETE waits for its lock). A refusal is no sign that nothing was
            // done: what reads the result after the commit can refuse as well.
            await release(request)
            throw error
        }
    }

    /// The kept answer; nil once this attempt has the key.
    ///
    /// - Throws: `IdempotencyRefusal` where neither can be.
    private func earlierAnswer(_ request: IdempotentRequest) async throws -> [UInt8]? {
        let sealed = try masterKey.seal(
            request.requestDigest,
            context: Self.context(request, "request")
        )
        let version = Int32(masterKey.currentVersion)
        let reserved = try await database.first(
            IdempotencyStore.reserve(
                request.account,
                request.keyDigest,
                request.attempt,
                version,
                sealed
            )
        )
        if reserved != nil { return nil }
        guard
            let row = try await database.first(
                IdempotencyStore.find(request.account, request.keyDigest)
            )
        else { throw IdempotencyRefusal.underWay }
        guard try open(row.request, "request", row, request) == request.requestDigest else {
            throw IdempotencyRefusal.otherRequest
        }
        if let answer = row.answer { return try open(answer, "answer", row, request) }
        if row.isDone {
            // The work is committed; its answer is on its way, or will never come.
            throw request.now < row.createdAt + Self.staleAfter
                ? IdempotencyRefusal.underWay : .answerLost
        }
        guard row.createdAt + Self.staleAfter <= request.now else {
            throw IdempotencyRefusal.underWay
        }
        let taken = try await database.first(
            IdempotencyStore.takeOver(
                request.account,
                request.keyDigest,
                request.attempt,
                version,
                sealed,
                row.attempt
            )
        )
        if taken == nil { throw IdempotencyRefusal.underWay }
        return nil
    }

    private static func mark(
        _ request: IdempotentRequest,
        in transaction: PostgresTransaction
    ) async throws {
        let marked = try await transaction.first(
            IdempotencyStore.mark(
                request.account,
                request.keyDigest,
                request.attempt,
                request.now
            )
        )
        if marked == nil { throw IdempotencyRefusal.underWay }
    }

    /// What it was done for has happened: a failure here must not hide the answer.
    private func keep(_ answer: [UInt8], of request: IdempotentRequest) async {
        do {
            try await database.execute(
                IdempotencyStore.keep(
                    request.account,
                    request.keyDigest,
                    request.attempt,
                    try masterKey.seal(answer, context: Self.context(request, "answer")),
                    request.now
                )
            )
        } catch {
            logger.warning("an answer was not kept", metadata: ["error": "\(error)"])
        }
    }

    /// Where this fails too the row becomes stale, and is taken over if it may be.
    private func release(_ request: IdempotentRequest) async {
        do {
            try await database.execute(
                IdempotencyStore.release(
                    request.account,
                    request.keyDigest,
                    request.attempt
                )
            )
        } catch {
            logger.warning("an idempotency key was not freed", metadata: ["error": "\(error)"])
        }
    }

    /// - Throws: `otherRequest` where the master key that sealed it is gone: what cannot be
    ///   compared is not repeated (W10).
    private func open(
        _ sealed: [UInt8],
        _ what: String,
        _ row: IdempotencyRow,
        _ request: IdempotentRequest
    ) throws -> [UInt8] {
        do {
            return try masterKey.open(
                sealed,
                version: row.masterKeyVersion,
                context: Self.context(request, what)
            )
        } catch .unknownVersion {
            throw IdempotencyRefusal.otherRequest
        }
    }

    /// Binds what is sealed to its row (checklist row 271).
    private static func context(_ request: IdempotentRequest, _ what: String) -> String {
        "watchword.idempotency:\(request.account):\(Hex.encode(request.keyDigest)):\(what)"
    }

    /// Forgets what is older than a day.
    func sweep() async throws {
        while try await database.execute(IdempotencyStore.sweep()) > 0 {}
    }

    /// Sweeps until shutdown.
    func run() async throws {
        await untilShutdown(every: Self.sweepInterval) {
            try await sweep()
        } onFailure: {
            logger.warning("idempotency keys could not be swept", metadata: ["error": "\($0)"])
        }
    }
}

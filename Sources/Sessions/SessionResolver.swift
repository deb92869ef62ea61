// Which sessions of an account are alive, for accounts whose ended sessions the revocation log does
// not name one by one (revocation.md H25). PostgreSQL is asked once for a session and remembered:
// a session that is alive as of a version of its account, one that is dead for good (W2). It must
// never say "alive" from a snapshot older than the version that is asked for (W1).
import Access
package import Postgres
package import Primitives
import Revocation
import Synchronization

/// A session of a genuine token that cannot be judged without PostgreSQL.
package struct OpenQuestion: Hashable, Sendable {
    /// The session.
    let session: SessionID
    /// The version of its account's ended sessions that an answer must have seen.
    let version: Int64
}

/// What PostgreSQL has answered to an open question.
package struct SessionAnswer: Sendable {
    let isAlive: Bool
    /// The version of its account's ended sessions that the answer has seen.
    let version: Int64

    /// Whether the session is alive, for a question that may be another one by now; nil where it
    /// has to be asked anew, for it may have ended before something else began (W11).
    func settles(_ question: OpenQuestion) -> Bool? {
        isAlive ? version >= question.version ? true : nil : false
    }
}

/// What PostgreSQL has answered; a session that is not in it is still open.
package typealias Resolution = [SessionID: SessionAnswer]

/// Asks PostgreSQL for sessions.
package final class SessionResolver: Sendable {
    private struct Known {
        let isAlive: Bool
        let version: Int64
    }
    private struct State {
        var young: [SessionID: Known] = [:]
        var old: [SessionID: Known] = [:]
    }

    /// The most sessions remembered: twice this, in two generations.
    private static let generationLimit = 50_000
    /// The most sessions that one statement asks for.
    private static let chunk = 1000

    private let database: any PostgresExecutor
    private let reads = SharedRead<OpenQuestion>()
    private let state = Mutex(State())
    private let statements: Counter
    private let resolved: Counter

    /// A resolver that knows nothing yet.
    package init(database: any PostgresExecutor, metrics: MetricsRegistry) {
        self.database = database
        statements = metrics.counter(
            "watchword_sessions_resolutions_total",
            help: "Statements that asked which sessions of an account are alive."
        )
        resolved = metrics.counter(
            "watchword_sessions_resolved_total",
            help: "Sessions that were asked for in them."
        )
    }

    /// What is known without asking; nil where PostgreSQL must be asked.
    func known(_ question: OpenQuestion) -> Bool? {
        state.withLock { state in
            guard let known = state.young[question.session] ?? state.old[question.session]
            else { return nil }
            return !known.isAlive ? false : known.version >= question.version ? true : nil
        }
    }

    /// Asks for one; those who ask the same at the same time share a statement.
    func resolve(_ question: OpenQuestion) async throws -> Resolution {
        let isMine = try await reads.run(question) { _ = try await resolve([question]) }
        if let isAlive = known(question) { return [question.session: question.answer(isAlive)] }
        // The memory is bounded, and what was read may be forgotten by now.
        return isMine ? [:] : try await resolve([question])
    }

    /// Asks for several; one statement for a thousand.
    ///
    /// - Returns: those that the database could answer as of the version asked for.
    package func resolve(_ questions: [OpenQuestion]) async throws -> Resolution {
        var answers: Resolution = [:]
        let all = Array(Set(questions))
        for start in stride(from: 0, to: all.count, by: Self.chunk) {
            let part = all[start..<min(start + Self.chunk, all.count)]
            statements.increment()
            resolved.increment(by: part.count)
            let rows = try await database.rows(SessionStore.resolve(part.map(\.session)))
            let found = Dictionary(rows.map { ($0.session, $0) }, uniquingKeysWith: { $1 })
            for question in part {
                guard let row = found[question.session] else { continue }
                // A database that lacks the version lacks ends of sessions: it cannot say "alive".
                guard !row.isAlive || row.version >= question.version else { continue }
                answers[question.session] = question.answer(row.isAlive, row.version)
                remember(row)
            }
        }
        return answers
    }

    private func remember(_ row: ResolvedSession) {
        state.withLock { state in
            if state.young.count >= Self.generationLimit {
                state.old = state.young
                state.young = [:]
            }
            let before = state.young[row.session] ?? state.old[row.session]
            // Two readings may come back in either order; the dead stay dead.
            if let before, !before.isAlive || before.version > row.version, row.isAlive { return }
            state.young[row.session] = Known(isAlive: row.isAlive, version: row.version)
        }
    }
}

extension OpenQuestion {
    /// The answer to it, as of a version that it asks for or a later one.
    fileprivate func answer(_ isAlive: Bool, _ seen: Int64? = nil) -> SessionAnswer {
        SessionAnswer(isAlive: isAlive, version: max(seen ?? version, version))
    }
}

/// One session as PostgreSQL has it.
struct ResolvedSession: Sendable {
    let session: SessionID
    /// Whether nobody has ended it; a session that is not there is as good as ended.
    let isAlive: Bool
    /// The version of its account's ended sessions in the same snapshot.
    let version: Int64
}

// Reads what accounts hold, once for all who wait for the same one, and remembers it by account and
// version: whoever changes rights raises the version in the same transaction. It must never answer
// from a reading older than the version that is asked for, nor after something in it is over (W11).
package import Postgres
package import Primitives
import Synchronization

/// Rights that somebody needs.
package struct RightsQuestion: Hashable, Sendable {
    /// Whose.
    package let account: AccountID
    /// The version that an answer must have seen.
    package let version: Int64
    /// The generation of the account's signature that it must have seen.
    package let generation: Int64

    /// A question.
    package init(_ account: AccountID, version: Int64, generation: Int64 = .min) {
        self.account = account
        self.version = version
        self.generation = generation
    }
}

/// What accounts hold, resolved in the node.
package final class RightsResolver: Sendable {
    /// The most accounts remembered: twice this, in two generations.
    private static let generationLimit = 20_000
    /// The most roles of one account.
    package static let roleLimit = 1000
    /// The most accounts that one statement asks for.
    private static let chunk = 500

    /// How long a reading counts: less than the margin for which the log tells of a change after
    /// the last token has expired that it could matter to (revocation.md 1.9).
    static let lifetime: Duration = .seconds(60)

    private struct Reading {
        let rights: AccountRights
        let readAt: MonotonicInstant
    }
    private struct State {
        var young: [AccountID: Reading] = [:]
        var old: [AccountID: Reading] = [:]
    }
    private let database: any PostgresExecutor
    private let reads = SharedRead<RightsQuestion>()
    private let state = Mutex(State())
    private let statements: Counter
    private let resolved: Counter

    /// A resolver that knows nothing yet.
    package init(database: any PostgresExecutor, metrics: MetricsRegistry) {
        self.database = database
        statements = metrics.counter(
            "watchword_rights_resolutions_total",
            help: "Statements that asked what accounts hold."
        )
        resolved = metrics.counter(
            "watchword_rights_resolved_total",
            help: "Accounts that were asked for in them."
        )
    }

    /// What is known without asking; nil where PostgreSQL must be asked.
    package func known(_ question: RightsQuestion, at now: Timestamp) -> AccountRights? {
        let reading = state.withLock { $0.young[question.account] ?? $0.old[question.account] }
        guard let reading, MonotonicInstant.now - reading.readAt < Self.lifetime else { return nil }
        let rights = reading.rights
        guard rights.version >= question.version, rights.generation >= question.generation
        else { return nil }
        if let end = rights.expiresAt, end <= now { return nil }
        return rights
    }

    /// What an account holds; those who ask the same at the same time share a statement.
    ///
    /// An account that is gone, or whose rights are older than the version, holds nothing.
    package func rights(
        of question: RightsQuestion,
        at now: Timestamp
    ) async throws -> AccountRights {
        // Who has waited twice for a reading that did not last has waited enough.
        for _ in 0..<3 {
            if let known = known(question, at: now) { return known }
            var answer: AccountRights?
            let isMine = try await reads.run(question) {
                answer = try await read([question])[question.account]
            }
            if isMine { return answer ?? .none(version: question.version) }
        }
        throw SharedReadFault.unread
    }

    /// Reads several; one statement for five hundred.
    package func read(_ questions: [RightsQuestion]) async throws -> [AccountID: AccountRights] {
        var answers: [AccountID: AccountRights] = [:]
        let wanted = Dictionary(questions.map { ($0.account, $0.version) }, uniquingKeysWith: max)
        let accounts = Array(wanted.keys)
        for start in stride(from: 0, to: accounts.count, by: Self.chunk) {
            let part = Array(accounts[start..<min(start + Self.chunk, accounts.count)])
            statements.increment()
            resolved.increment(by: part.count)
            let begun = MonotonicInstant.now
            for (account, rights) in try await database.rows(RightsStore.find(part)) {
                remember(account, Reading(rights: rights, readAt: begun))
                // A database that lacks the version cannot say what is held (W10).
                let isNew = rights.version >= wanted[account] ?? .max
                answers[account] = isNew ? rights : .none(version: wanted[account] ?? 0)
            }
        }
        for (account, version) in wanted where answers[account] == nil {
            answers[account] = AccountRights.none(version: version)
        }
        return answers
    }

    private func remember(_ account: AccountID, _ reading: Reading) {
        state.withLock { state in
            // Two readings may come back in either order.
            let before = state.young[account] ?? state.old[account]
            if let before, before.rights.version > reading.rights.version { return }
            if state.young.count >= Self.generationLimit {
                state.old = state.young
                state.young = [:]
            }
            state.young[account] = reading
        }
    }
}

/// Statements that read rights.
package enum RightsStore {
    /// The condition under which a row of `account_roles` counts.
    package static func isLive(_ row: String) -> String {
        "(\(row).expires_at IS NULL OR \(row).expires_at > statement_timestamp())"
    }

    /// What accounts hold now.
    static let find = Statement(
        "rights.find",
        """
        SELECT a.id, a.rights_version, h.roles, h.scopes, h.ends,
               ARRAY(SELECT m.organisation_id
                       FROM organisation_members m
                       JOIN organisations o ON o.id = m.organisation_id
                      WHERE m.account_id = a.id
                        AND o.state = 'active'),
               g.generation
          FROM accounts a
          JOIN account_signatures g ON g.account_id = a.id
         CROSS JOIN LATERAL (
               SELECT COALESCE(array_agg(l.role_id), '{}') AS roles,
                      COALESCE(array_agg(l.scope), '{}') AS scopes,
                      COALESCE(array_agg(COALESCE(
                          (extract(epoch FROM l.expires_at) * 1000000)::bigint, 0)), '{}') AS ends
                 FROM (SELECT ar.role_id, ar.scope, ar.expires_at
                         FROM account_roles ar
                        WHERE ar.account_id = a.id
                          AND \(isLive("ar"))
                        ORDER BY ar.role_id, ar.scope
                        LIMIT \(RightsResolver.roleLimit)) l) h
         WHERE a.id = ANY($1)
           AND a.state = 'active'
        """,
        binds: [AccountID].self,
        decode: { row in
            let roles = try row.get(2, as: [RoleID].self)
            let scopes = try row.get(3, as: [String].self)
            let ends = try row.get(4, as: [Int64].self)
            let held = zip(roles, zip(scopes, ends)).compactMap { role, place -> HeldRole? in
                let (text, end) = place
                // A scope that this version cannot read covers nothing.
                guard let scope = text.isEmpty ? .everywhere : RoleScope(text) else { return nil }
                let expiresAt = end == 0 ? nil : Timestamp(microseconds: end)
                return HeldRole(role: role, scope: scope, expiresAt: expiresAt)
            }
            let rights = AccountRights(
                version: try row.get(1, as: Int64.self),
                generation: try row.get(6, as: Int64.self),
                held: held,
                organisations: Set(try row.get(5, as: [OrganisationID].self))
            )
            return (try row.get(0, as: AccountID.self), rights)
        }
    )

    /// All statements, for the test that prepares them.
    package static var statements: [StatementInfo] { [find.info] }
}

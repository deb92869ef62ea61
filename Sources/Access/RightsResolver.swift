// Reads what accounts hold, once for all who wait for the same one, and remembers it by account and
// version: whoever changes rights raises the version in the same transaction. It must never answer
// from a reading older than the version that is asked for, nor after something in it is over, nor
// where the revocation log has told of a change of an organisation that is in it, nor from one that
// is newer than what the node has read of the log (W11).
package import Postgres
package import Primitives
package import Revocation
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

    private final class Reading: Sendable {
        let rights: AccountRights
        let readAt: MonotonicInstant
        /// The number of the last news of organisations that it was compared with.
        private let compared = Atomic<Int>(-1)

        init(_ rights: AccountRights, readAt: MonotonicInstant) {
            self.rights = rights
            self.readAt = readAt
        }

        /// Whether each of its organisations stands as it was read, as far as `set` tells.
        func isCurrent(in set: borrowing RevocationSet) -> Bool {
            #if DEBUG
            if Mutant.active == .staleTenants { return true }
            #endif
            let news = set.tenantChanges
            if compared.load(ordering: .relaxed) == news { return true }
            guard rights.outdated(by: set).isEmpty else { return false }
            compared.store(news, ordering: .relaxed)
            return true
        }
    }
    private struct State {
        var young: [AccountID: Reading] = [:]
        var old: [AccountID: Reading] = [:]
    }
    private let database: any PostgresExecutor
    private let readIndex: ReadIndex
    private let reads = SharedRead<RightsQuestion>()
    private let state = Mutex(State())
    private let statements: Counter
    private let resolved: Counter

    /// A resolver that knows nothing yet.
    ///
    /// - Parameter readIndex: what the revocation log has told of organisations.
    package init(
        database: any PostgresExecutor,
        readIndex: ReadIndex,
        metrics: MetricsRegistry
    ) {
        self.database = database
        self.readIndex = readIndex
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
        return readIndex.look { reading.isCurrent(in: $0) } ? rights : nil
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

    /// Reads several; one statement for five hundred, and another one where the log has told of
    /// changes of organisations that the first did not find.
    ///
    /// - Parameter isForGateway: whether a verdict of a gateway waits for them.
    package func read(
        _ questions: [RightsQuestion],
        isForGateway: Bool = true
    ) async throws -> [AccountID: AccountRights] {
        let find = isForGateway ? RightsStore.find : RightsStore.findForQuestion
        var answers = try await readOnce(questions, find)
        let behind = readIndex.look { set in
            answers.mapValues { $0.outdated(by: set) }.filter { !$0.value.isEmpty }
        }
        guard !behind.isEmpty else { return answers }
        // They may have come while it was read. What a reading that begins now does not find is
        // lost: a failover has taken it, and nobody can say what may be done there (W10).
        let again = try await readOnce(questions.filter { behind[$0.account] != nil }, find)
        for (account, rights) in again {
            let doubtful = behind[account, default: [:]].filter { organisation, generation in
                rights.memberships[organisation].map { $0.generation < generation } ?? false
            }
            answers[account] = rights
            guard !doubtful.isEmpty else { continue }
            let sure = rights.disabling(doubtful)
            answers[account] = sure
            remember(account, Reading(sure, readAt: .now))
        }
        return answers
    }

    private func readOnce(
        _ questions: [RightsQuestion],
        _ find: RightsStore.Find
    ) async throws -> [AccountID: AccountRights] {
        var answers: [AccountID: AccountRights] = [:]
        var readings: [AccountID: Reading] = [:]
        let wanted = Dictionary(questions.map { ($0.account, $0.version) }, uniquingKeysWith: max)
        let accounts = Array(wanted.keys)
        for start in stride(from: 0, to: accounts.count, by: Self.chunk) {
            let part = Array(accounts[start..<min(start + Self.chunk, accounts.count)])
            statements.increment()
            resolved.increment(by: part.count)
            let begun = MonotonicInstant.now
            for (account, rights) in try await database.rows(find(part)) {
                readings[account] = Reading(rights, readAt: begun)
                // A database that lacks the version cannot say what is held (W10).
                let isNew = rights.version >= wanted[account] ?? .max
                answers[account] = isNew ? rights : .none(version: wanted[account] ?? 0)
            }
        }
        for (account, version) in wanted where answers[account] == nil {
            answers[account] = AccountRights.none(version: version)
        }
        // Roles are as old as what the node has read of the log. Somebody who loses a right, and
        // gains one that gives nothing any more, must not be seen with the old role and the new
        // right.
        try await readIndex.confirm()
        for (account, reading) in readings { remember(account, reading) }
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

    /// The part `reach`: what account `$1` holds, by scope, end and role, with all they include.
    ///
    /// In an organisation only as a member of it, and in one that is disabled where the condition
    /// `withDisabled` says so.
    static func held(withDisabled: String = "false") -> String {
        """
        WITH RECURSIVE reach AS (
            SELECT ar.scope, ar.expires_at, ar.role_id
              FROM account_roles ar
             WHERE ar.account_id = $1
               AND \(isLive("ar"))
               AND (ar.scope !~ '^org:[0-9a-f-]{36}$'
                    OR EXISTS (SELECT
                                 FROM organisation_members m
                                 JOIN organisations o ON o.id = m.organisation_id
                                WHERE m.account_id = ar.account_id
                                  AND ar.scope = 'org:' || m.organisation_id
                                  AND o.removed_at IS NULL
                                  AND (o.state = 'active' OR \(withDisabled))))
            UNION
            SELECT e.scope, e.expires_at, i.included_id
              FROM reach e
              JOIN role_includes i ON i.role_id = e.role_id
        )
        """
    }

    /// The part `reach`: the roles `$1` and all that they include, by `id`.
    static let included = """
        WITH RECURSIVE reach AS (
            SELECT r.id FROM roles r WHERE r.id = ANY($1)
            UNION
            SELECT i.included_id FROM reach e JOIN role_includes i ON i.role_id = e.id
        )
        """

    /// What accounts hold now.
    ///
    /// `infinity`, which somebody may have written by hand, is no end: an error would be that of
    /// all who are asked for together.
    static let find = make("rights.find", .urgent)
    /// The same on another connection: a question may be about a hundred accounts, and many may be
    /// asked at once, so no verdict of a gateway is to be behind them.
    static let findForQuestion = make("rights.find_for_question", .read)

    typealias Find = Statement<(AccountID, AccountRights), [AccountID]>

    private static func make(_ name: String, _ kind: StatementKind) -> Find {
        Statement(
            name,
            findText,
            kind: kind,
            binds: [AccountID].self,
            decode: { row in (try row.get(0, as: AccountID.self), try rights(row)) }
        )
    }

    private static let findText = """
        SELECT a.id, a.rights_version, h.roles, h.scopes, h.ends, g.generation,
               o.ids, o.generations, o.actives
          FROM accounts a
          JOIN account_signatures g ON g.account_id = a.id
         CROSS JOIN LATERAL (
               SELECT COALESCE(array_agg(o.id), '{}') AS ids,
                      COALESCE(array_agg(o.generation), '{}') AS generations,
                      COALESCE(array_agg((o.state = 'active')::integer::bigint), '{}') AS actives
                 FROM organisation_members m
                 JOIN organisations o ON o.id = m.organisation_id
                WHERE m.account_id = a.id
                  AND o.removed_at IS NULL) o
         CROSS JOIN LATERAL (
               SELECT COALESCE(array_agg(l.role_id), '{}') AS roles,
                      COALESCE(array_agg(l.scope), '{}') AS scopes,
                      COALESCE(array_agg(CASE WHEN isfinite(l.expires_at)
                          THEN (extract(epoch FROM l.expires_at) * 1000000)::bigint
                          ELSE 0 END), '{}') AS ends
                 FROM (SELECT ar.role_id, ar.scope, ar.expires_at
                         FROM account_roles ar
                        WHERE ar.account_id = a.id
                          AND \(isLive("ar"))
                        ORDER BY ar.role_id, ar.scope
                        LIMIT \(RightsResolver.roleLimit)) l) h
         WHERE a.id = ANY($1)
           AND a.state = 'active'
        """

    private static func rights(_ row: PostgresRow) throws -> AccountRights {
        let roles = try row.get(2, as: [RoleID].self)
        let scopes = try row.get(3, as: [String].self)
        let ends = try row.get(4, as: [Int64].self)
        let held = zip(roles, zip(scopes, ends)).compactMap { role, place -> HeldRole? in
            let (text, end) = place
            guard let scope = RoleScope(stored: text) else { return nil }
            let expiresAt = end == 0 ? nil : Timestamp(microseconds: end)
            return HeldRole(role: role, scope: scope, expiresAt: expiresAt)
        }
        return AccountRights(
            version: try row.get(1, as: Int64.self),
            generation: try row.get(5, as: Int64.self),
            held: held,
            memberships: try memberships(row)
        )
    }

    private static func memberships(
        _ row: PostgresRow
    ) throws -> [OrganisationID: OrganisationStanding] {
        let organisations = try row.get(6, as: [OrganisationID].self)
        let generations = try row.get(7, as: [Int64].self)
        let actives = try row.get(8, as: [Int64].self)
        let standings = zip(generations, actives).map {
            OrganisationStanding(generation: $0, isActive: $1 == 1)
        }
        return Dictionary(zip(organisations, standings)) { first, _ in first }
    }

    /// All statements, for the test that prepares them.
    package static var statements: [StatementInfo] { [find.info, findForQuestion.info] }
}

// Reading and changing the rules of gateways. A change locks the set, reads all rules (a thousand
// at most), changes them here, where they are also compiled, and writes what differs: under that
// lock reading and then writing is one decision. It is in force on every node when it is answered
// (W11).
import Audit
package import Postgres
package import Primitives
package import Revocation

/// Why rules are not changed, or not found.
package enum RouteRefusal: Refusal {
    /// There is no such rule.
    case notThere
    /// There are a thousand.
    case tooMany
    /// What is wrong with which member.
    case invalid([MemberError])

    package var code: ProblemCode {
        switch self {
        case .notThere: .notFound
        case .tooMany: .limitReached
        case .invalid: .validationFailed
        }
    }

    package var memberErrors: [MemberError] {
        if case .invalid(let errors) = self { errors } else { [] }
    }
}

/// Who changes rules, and in which request.
package struct RouteEditor: Sendable {
    /// His account.
    package let account: AccountID
    /// The request.
    package let trace: RequestTrace
    /// What he has seen of the rules.
    package let seen: ExpectedVersion

    /// Somebody.
    package init(account: AccountID, trace: RequestTrace, seen: ExpectedVersion) {
        self.account = account
        self.trace = trace
        self.seen = seen
    }
}

/// The rules of gateways.
package struct RouteRules: Sendable {
    let database: any PostgresExecutor
    let revoker: Revoker
    let entropy: Entropy

    /// The use case.
    package init(database: any PostgresExecutor, revoker: Revoker, entropy: Entropy) {
        self.database = database
        self.revoker = revoker
        self.entropy = entropy
    }

    /// The rules as they are in the database.
    package func table() async throws -> RouteTable { try await Self.table(database) }

    private static func table(_ database: some PostgresExecutor) async throws -> RouteTable {
        let rows = try await database.rows(RouteRuleStore.list())
        return try RouteTable(rows.compactMap(\.rule), version: rows.first?.version ?? 0)
    }

    /// Makes a rule, at a position or at the end.
    package func insert(
        _ definition: RouteDefinition,
        at position: Int?,
        by editor: RouteEditor
    ) async throws -> (rule: RouteRuleID, table: RouteTable) {
        let errors = definition.flaws()
        guard errors.isEmpty else { throw RouteRefusal.invalid(errors) }
        let id = RouteRuleID(at: editor.trace.now, entropy: entropy)
        let table = try await change("inserted", by: editor) { rules in
            guard rules.count < RouteRule.limit else { throw RouteRefusal.tooMany }
            let rule = RouteRule(
                id: id,
                position: 0,
                definition: definition,
                createdAt: editor.trace.now,
                updatedAt: editor.trace.now
            )
            rules.insert(rule, at: min(position.map { $0 - 1 } ?? rules.count, rules.count))
        }
        return (id, table)
    }

    /// Changes a rule, and perhaps its position.
    package func update(
        _ id: RouteRuleID,
        to position: Int?,
        by editor: RouteEditor,
        _ edit: (inout RouteDefinition) -> Void
    ) async throws -> RouteTable {
        try await change("updated", by: editor) { rules in
            guard let index = rules.firstIndex(where: { $0.id == id }) else {
                throw RouteRefusal.notThere
            }
            var rule = rules.remove(at: index)
            edit(&rule.definition)
            rules.insert(rule, at: min(position.map { $0 - 1 } ?? index, rules.count))
        }
    }

    /// Takes a rule away.
    package func delete(_ id: RouteRuleID, by editor: RouteEditor) async throws {
        _ = try await change("deleted", by: editor) { rules in
            guard let index = rules.firstIndex(where: { $0.id == id }) else {
                throw RouteRefusal.notThere
            }
            rules.remove(at: index)
        }
    }

    /// Puts these in the place of all rules; what is there already keeps its id.
    package func replace(
        with definitions: [RouteDefinition],
        by editor: RouteEditor
    ) async throws -> RouteTable {
        guard definitions.count <= RouteRule.limit else { throw RouteRefusal.tooMany }
        let errors = definitions.enumerated().flatMap { index, definition in
            definition.flaws().map {
                MemberError("rules.\(index).\($0.member)", $0.code, $0.detail)
            }
        }
        guard errors.isEmpty else { throw RouteRefusal.invalid(errors) }
        return try await change("replaced", by: editor) { rules in
            var known = Dictionary(grouping: rules.reversed(), by: \.definition)
            rules = definitions.map { definition in
                known[definition]?.popLast()
                    ?? RouteRule(
                        id: RouteRuleID(at: editor.trace.now, entropy: entropy),
                        position: 0,
                        definition: definition,
                        createdAt: editor.trace.now,
                        updatedAt: editor.trace.now
                    )
            }
        }
    }

    /// Changes the rules; positions are given anew.
    private func change(
        _ name: String,
        by editor: RouteEditor,
        _ edit: (inout [RouteRule]) throws -> Void
    ) async throws -> RouteTable {
        try await revoker.transaction { transaction in
            guard let version = try await transaction.first(RouteRuleStore.lock()) else {
                preconditionFailure("the set of rules has its one row")
            }
            guard editor.seen.matches(version) else { throw VersionMismatch() }
            let before = try await Self.table(transaction).rules
            var rules = before
            try edit(&rules)
            for index in rules.indices { rules[index].position = index + 1 }
            let difference = RouteDifference(before, rules)
            let errors = difference.written.flatMap { $0.definition.flaws() }
            guard errors.isEmpty else { throw RouteRefusal.invalid(errors) }
            guard !difference.isEmpty else {
                // It may have been made by a call that died before the others were told: 2xx is an
                // acknowledgement all the same (H19).
                _ = try await transaction.first(RouteRuleStore.retell())
                return try RouteTable(before, version: version)
            }
            try await difference.carryOut(transaction, now: editor.trace.now)
            let binds = AuditBinds(editor.trace, entropy: entropy)
            let next = try await transaction.first(
                RouteRuleStore.announce(
                    editor.account,
                    name,
                    difference.written.map(\.id),
                    difference.removed,
                    binds
                )
            )
            for rule in difference.written {
                rules[rule.position - 1].updatedAt = editor.trace.now
            }
            return try RouteTable(rules, version: next ?? version)
        }
    }
}

/// What is to be written where rules were changed.
private struct RouteDifference {
    /// The ids of those that are gone.
    let removed: [RouteRuleID]
    /// Those that are new or say something else.
    let written: [RouteRule]
    /// All ids in their new order, where others than the written ones have moved.
    let order: [RouteRuleID]

    init(_ before: [RouteRule], _ after: [RouteRule]) {
        let old = Dictionary(before.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        let kept = Set(after.map(\.id))
        removed = before.map(\.id).filter { !kept.contains($0) }
        written = after.filter { old[$0.id]?.definition != $0.definition }
        let hasMoved = after.contains { rule in
            old[rule.id].map { $0.position != rule.position } ?? false
        }
        order = hasMoved ? after.map(\.id) : []
    }

    var isEmpty: Bool { removed.isEmpty && written.isEmpty && order.isEmpty }

    /// Writes it; that positions are unique is checked at the commit.
    func carryOut(_ transaction: some PostgresExecutor, now: Timestamp) async throws {
        if !removed.isEmpty { _ = try await transaction.execute(RouteRuleStore.delete(removed)) }
        if !written.isEmpty {
            let definitions = written.map(\.definition)
            func joined(_ names: (RouteDefinition) -> [String]) -> [String] {
                definitions.map { names($0).joined(separator: " ") }
            }
            _ = try await transaction.execute(
                RouteRuleStore.write(
                    written.map(\.id),
                    written.map { Int64($0.position) },
                    joined(\.methods),
                    definitions.map { $0.host ?? "" },
                    definitions.map(\.path),
                    definitions.map(\.access.rawValue),
                    joined(\.permissions),
                    joined(\.roles),
                    joined(\.scopes),
                    definitions.map { $0.resource ?? "" },
                    definitions.map(\.description),
                    now
                )
            )
        }
        if !order.isEmpty { _ = try await transaction.execute(RouteRuleStore.order(order)) }
    }
}

// Statements that append to the revocation log. They are a type of their own that no database
// takes: only a `Revoker` can run one, and it answers when the revocation may be acknowledged on
// every node. So it cannot be forgotten (revocation.md 1.3, W1). The SQL of an append is no text
// either; it fits into such a statement and nowhere else.
package import Postgres
import Primitives

/// A part of a `WITH` list that appends to the log.
package struct RevokingPart: Sendable {
    let name: String
    let sql: String
}

/// The `WITH` list of a revoking statement: text, and parts that append.
package struct RevokingSQL: Sendable, ExpressibleByStringInterpolation {
    /// What a literal of it is made of.
    package struct StringInterpolation: StringInterpolationProtocol {
        fileprivate var text = ""
        fileprivate var parts: [String] = []

        /// An empty list.
        package init(literalCapacity: Int, interpolationCount: Int) {}
        /// Adds SQL.
        package mutating func appendLiteral(_ literal: String) { text += literal }
        /// Adds SQL.
        package mutating func appendInterpolation(_ sql: String) { text += sql }
        /// Adds a part that appends to the log.
        package mutating func appendInterpolation(_ part: RevokingPart) {
            text += part.sql
            parts.append(part.name)
        }
        /// Adds a list with its own parts.
        package mutating func appendInterpolation(_ list: RevokingSQL) {
            text += list.text
            parts += list.parts
        }
    }
    let text: String
    /// The names of the parts that append.
    let parts: [String]

    /// A list without such parts.
    package init(stringLiteral value: String) {
        text = value
        parts = []
    }

    /// A list.
    package init(stringInterpolation: StringInterpolation) {
        text = stringInterpolation.text
        parts = stringInterpolation.parts
    }
}

/// What a revoking statement brought.
struct Revoked<Row: Sendable>: Sendable {
    /// Its answer; nil where it has no row.
    let row: Row?
    /// What it has appended.
    let entries: [RevocationEntry]
}

/// A statement that appends to the revocation log.
package struct RevokingStatement<Row: Sendable, each Bind: PostgresBind>: Sendable {
    private let statement: Statement<Revoked<Row>, repeat each Bind>

    /// Name, SQL, kind and parameter types.
    package var info: StatementInfo { statement.info }

    /// A statement.
    ///
    /// - Parameters:
    ///   - list: the parts of its `WITH`, at least one of which appends to the log.
    ///   - answer: a query over them; of its rows the first is the answer.
    package init(
        _ name: String,
        _ list: RevokingSQL,
        answer: String,
        binds: repeat (each Bind).Type,
        decode: @escaping @Sendable (PostgresRow) throws -> Row
    ) {
        precondition(!list.parts.isEmpty, "a revoking statement appends to the log")
        let appended = list.parts.map { "SELECT entry FROM \($0)" }
        statement = Statement(
            name,
            """
            WITH \(list.text), appended AS (
                \(appended.joined(separator: " UNION ALL "))
            )
            SELECT answered.*, (SELECT string_agg(a.entry, ''::bytea) FROM appended a)
              FROM (SELECT 1) one
              LEFT JOIN (SELECT answer.*, true AS is_answered FROM (\(answer)) answer) answered
                ON true
             LIMIT 1
            """,
            // With a commit of its own: it locks, and it must never be sent twice.
            kind: .solo,
            binds: repeat each binds,
            decode: { row in
                let isAnswered = try row.get(row.columns - 2, as: Bool?.self) ?? false
                let packed = try row.get(row.columns - 1, as: [UInt8]?.self) ?? []
                return Revoked(
                    row: isAnswered ? try decode(row) : nil,
                    entries: RevocationEntry.unpack(packed)
                )
            }
        )
    }

    /// The query that runs the statement with these values.
    package func callAsFunction(_ bind: repeat each Bind) -> RevokingQuery<Row> {
        RevokingQuery(query: statement(repeat each bind))
    }
}

/// A revoking statement with its values, ready to be run by a `Revoker`.
package struct RevokingQuery<Row: Sendable>: Sendable {
    let query: Query<Revoked<Row>>
}

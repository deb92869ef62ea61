// What can go wrong between this process and PostgreSQL. The texts are safe to log: bind values
// and the server's DETAIL line, which quotes rows, never get into them (W7).
import Primitives

/// A failure of PostgreSQL, of the way to it, or of the room in front of it.
package struct PostgresError: Fault, Hashable {
    /// Where the failure arose.
    package enum Kind: String, Sendable {
        /// The server refused the statement; `sqlState` says why.
        case server
        /// The connection could not be made or was lost. A write in flight may have happened.
        case connection
        /// Time ran out while waiting for the answer. A write may still happen.
        case deadline
        /// The waiting queue was full, or the wait for a connection too long. Nothing was sent.
        case overloaded
        /// An answer that does not fit the question: a wrong type, a missing column, a used-up
        /// transaction. A bug, or a schema of another version.
        case protocolViolation
    }

    /// Where the failure arose.
    package let kind: Kind
    /// The five characters of the server's SQLSTATE, or an empty string.
    package let sqlState: String
    /// What happened, without any value of a row or parameter.
    package let message: String
    /// The violated constraint, when there is one.
    package let constraint: String?
    /// The name of the statement, when there is one.
    package let statement: String?

    /// An error with the given particulars.
    package init(
        _ kind: Kind,
        _ message: String,
        sqlState: String = "",
        constraint: String? = nil,
        statement: String? = nil
    ) {
        self.kind = kind
        self.sqlState = sqlState
        self.message = message
        self.constraint = constraint
        self.statement = statement
    }

    package var isTransient: Bool {
        switch kind {
        case .connection, .deadline, .overloaded: true
        case .protocolViolation: false
        case .server: Self.isTransient(sqlState)
        }
    }

    /// Whether the server refused because a row with the same key exists under `constraint`.
    package func isUniqueViolation(of constraint: String) -> Bool {
        sqlState == "23505" && self.constraint == constraint
    }

    /// Whether a foreign key named `constraint` found no row, or one still in use.
    package func isForeignKeyViolation(of constraint: String) -> Bool {
        sqlState == "23503" && self.constraint == constraint
    }

    /// Whether a check named `constraint` failed.
    package func isCheckViolation(of constraint: String) -> Bool {
        sqlState == "23514" && self.constraint == constraint
    }

    package var description: String {
        var out = "PostgreSQL \(kind.rawValue)"
        if !sqlState.isEmpty { out += " \(sqlState)" }
        if let statement { out += " in \(statement)" }
        out += ": \(message)"
        if let constraint { out += " (constraint \(constraint))" }
        return out
    }

    /// The same error, naming the statement it belongs to.
    func naming(_ statement: String) -> Self {
        Self(kind, message, sqlState: sqlState, constraint: constraint, statement: statement)
    }

    /// A commit that was not confirmed (revocation.md H8), connection lost, serialisation and
    /// deadlock, resources, operator's intervention, locks not available: the same call may work
    /// shortly.
    private static func isTransient(_ state: String) -> Bool {
        switch state.prefix(2) {
        case "01", "08", "40", "53", "57", "58": true
        default: state == "55P03" || state == "25006"
        }
    }
}

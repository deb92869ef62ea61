// SQL as named values. A statement carries its SQL, the types of its parameters and how a row is
// read; calling it with values gives a query that any executor can run. Statements are prepared on
// first use, once per connection, so they must be made once (`static let`), never per call.

/// How a statement may be sent together with others.
package enum StatementKind: Sendable {
    /// Reads only, takes no locks. Shares a connection that is read-only and a sync with its
    /// neighbours; when one of them fails, the innocent ones are sent again by themselves.
    case read
    /// A short read that a verdict, or the acknowledgement of a revocation, may have to wait for.
    /// As `read`, on a connection that only such reads share.
    case urgent
    /// A read that may take long, such as a page of a list. As `read`, on a connection that only
    /// such reads share, so that none is ever in front of anything else.
    case list
    /// One statement that writes. Shares a commit with its neighbours; if the group fails it is
    /// rolled back as a whole, and each member is sent again alone.
    case write
    /// One statement that writes and has a commit of its own: it could deadlock in a group, or
    /// must never be sent twice.
    case solo

    /// Whether it has no effect that could be undone.
    var isRead: Bool {
        switch self {
        case .read, .urgent, .list: true
        case .write, .solo: false
        }
    }
}

/// What a statement is, apart from its Swift types; one object per statement.
package final class StatementInfo: Sendable {
    /// The name, `store.verb`; unique in the program.
    package let name: String
    /// The SQL, with numbered parameters.
    package let sql: String
    /// How it may be grouped.
    package let kind: StatementKind
    /// The types of the parameters, in order.
    package let bindTypes: [PostgresType]

    /// A statement with these particulars.
    package init(name: String, sql: String, kind: StatementKind, bindTypes: [PostgresType] = []) {
        self.name = name
        self.sql = sql
        self.kind = kind
        self.bindTypes = bindTypes
    }
}

/// A named SQL statement with typed parameters and rows.
package struct Statement<Row: Sendable, each Bind: PostgresBind>: Sendable {
    /// Name, SQL, kind and parameter types.
    package let info: StatementInfo
    private let decode: @Sendable (PostgresRow) throws -> Row

    /// A statement whose rows `decode` reads, on the caller's side.
    package init(
        _ name: String,
        _ sql: String,
        kind: StatementKind = .read,
        binds: repeat (each Bind).Type,
        decode: @escaping @Sendable (PostgresRow) throws -> Row
    ) {
        var types: [PostgresType] = []
        repeat types.append(contentsOf: (each binds).parameterTypes)
        info = StatementInfo(name: name, sql: sql, kind: kind, bindTypes: types)
        self.decode = decode
    }

    /// The query that runs the statement with these values.
    package func callAsFunction(_ bind: repeat each Bind) -> Query<Row> {
        var parameters: [UInt8] = []
        parameters.reserveCapacity(info.bindTypes.count * 24)
        repeat (each bind).appendParameters(into: &parameters)
        return Query(info: info, parameters: parameters, decode: decode)
    }
}

extension Statement where Row == Void {
    /// A statement without rows; by default a write.
    package init(
        _ name: String,
        _ sql: String,
        kind: StatementKind = .write,
        binds: repeat (each Bind).Type
    ) {
        self.init(name, sql, kind: kind, binds: repeat each binds, decode: { _ in })
    }
}

/// A statement with its values, ready to be run.
package struct Query<Row: Sendable>: Sendable {
    /// The statement.
    package let info: StatementInfo
    /// The values in binary form, each behind its length, in one buffer.
    let parameters: [UInt8]
    /// How a row is read.
    let decode: @Sendable (PostgresRow) throws -> Row
}

// Answers. A result owns libpq's object and frees it; rows are views into it, and a column is read
// only when asked for. Nothing is copied up front, and nothing here waits.
import CPostgres

/// The answer to one statement.
@safe package final class PostgresResult: @unchecked Sendable {
    // Sendable: a PGresult is never changed after libpq has returned it, the reading functions of
    // libpq are pure, and `deinit` runs when no reader is left.
    private let handle: OpaquePointer

    /// Takes over `handle`, which nobody else may free.
    init(owning handle: OpaquePointer) { unsafe self.handle = handle }

    deinit { unsafe PQclear(handle) }

    /// The number of rows.
    package var count: Int { unsafe Int(PQntuples(handle)) }

    /// The number of columns.
    package var columns: Int { unsafe Int(PQnfields(handle)) }

    /// The rows the statement changed, or read where it changes none.
    package var affectedRows: Int {
        unsafe Int(String(cString: PQcmdTuples(handle))) ?? 0
    }

    /// What the server says it did: `COMMIT`, `INSERT 0 1`.
    var commandTag: String { unsafe String(cString: PQcmdStatus(handle)) }

    /// The row at `index`.
    package subscript(index: Int) -> PostgresRow {
        precondition(index >= 0 && index < count, "no row \(index) in a result of \(count)")
        return PostgresRow(result: self, index: Int32(index))
    }

    /// The type of a column.
    func type(of column: Int32) -> PostgresType {
        unsafe PostgresType(oid: PQftype(handle, column))
    }

    /// The name of a column, for messages.
    func name(of column: Int32) -> String {
        guard let name = unsafe PQfname(handle, column) else { return "\(column)" }
        return unsafe String(cString: name)
    }

    /// Reads one value, or what NULL reads as; nil when the bytes do not fit.
    func value<Value: PostgresDecodable>(
        _ row: Int32,
        _ column: Int32,
        _ type: PostgresType
    ) -> Value? {
        guard unsafe PQgetisnull(handle, row, column) == 0 else { return Value.ofPostgresNull }
        let bytes = unsafe UnsafeRawBufferPointer(
            start: PQgetvalue(handle, row, column),
            count: Int(PQgetlength(handle, row, column))
        )
        return unsafe Value(postgres: bytes.bytes, type: type)
    }
}

extension PostgresResult {
    /// Lends the bytes of one value to `body`, which must not keep them; false where it is NULL.
    ///
    /// For large values that are read in pieces, without a copy.
    @discardableResult
    package func withBytes(row: Int, column: Int, _ body: (RawSpan) -> Void) -> Bool {
        precondition(row >= 0 && row < count && column >= 0 && column < columns)
        let (row, column) = (Int32(row), Int32(column))
        guard unsafe PQgetisnull(handle, row, column) == 0 else { return false }
        let bytes = unsafe UnsafeRawBufferPointer(
            start: PQgetvalue(handle, row, column),
            count: Int(PQgetlength(handle, row, column))
        )
        unsafe body(bytes.bytes)
        return true
    }
}

/// One row of an answer.
package struct PostgresRow: Sendable {
    let result: PostgresResult
    let index: Int32

    /// How many columns it has.
    package var columns: Int { result.columns }

    /// Reads the column at a position that starts at 0.
    ///
    /// - Throws: `PostgresError` of kind `.protocolViolation` for a column that is missing, NULL
    ///   where `type` has no NULL, or of a server type that `type` does not read.
    package func get<Value: PostgresDecodable>(
        _ column: Int,
        as type: Value.Type = Value.self
    ) throws -> Value {
        let column = Int32(truncatingIfNeeded: column)
        let served = result.type(of: column)
        guard Value.reads(served) else {
            throw PostgresError(
                .protocolViolation,
                "column \(result.name(of: column)) has type \(served.oid), not one for \(type)"
            )
        }
        guard let value: Value = result.value(index, column, served) else {
            throw PostgresError(
                .protocolViolation,
                "column \(result.name(of: column)) is NULL or malformed for \(type)"
            )
        }
        return value
    }
}

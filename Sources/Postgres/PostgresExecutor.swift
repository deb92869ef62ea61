// What a store sees of the database: something that runs queries. A pool runs each by itself, a
// transaction runs them in its own, and a store works with either.
package import Primitives

/// Runs queries.
package protocol PostgresExecutor: Sendable {
    /// Runs one statement and gives its answer undecoded; `rows` and its kin are built on it.
    ///
    /// - Parameters:
    ///   - info: the statement.
    ///   - parameters: the values, each behind its length.
    ///   - deadline: the latest moment for the answer; without one, the configured one counts.
    /// - Returns: the answer, whose rows can be read one by one.
    /// - Throws: `PostgresError`, or `CancellationError` when the task was cancelled first.
    func result(
        of info: StatementInfo,
        parameters: [UInt8],
        deadline: Deadline?
    ) async throws -> PostgresResult
}

extension PostgresExecutor {
    /// Runs a query and reads all its rows; without a deadline the configured one counts.
    ///
    /// - Throws: `PostgresError`; `CancellationError` when the task was cancelled first; what
    ///   decoding throws.
    package func rows<Row>(_ query: Query<Row>, deadline: Deadline? = nil) async throws -> [Row] {
        let result = try await result(
            of: query.info,
            parameters: query.parameters,
            deadline: deadline
        )
        var rows: [Row] = []
        let count = result.count
        rows.reserveCapacity(count)
        for index in 0..<count { rows.append(try query.decode(result[index])) }
        return rows
    }

    /// Runs a query and gives its answer as it is, for a caller that reads it in pieces.
    ///
    /// - Throws: `PostgresError`; `CancellationError` when the task was cancelled first.
    package func answer<Row>(
        _ query: Query<Row>,
        deadline: Deadline? = nil
    ) async throws -> PostgresResult {
        try await result(of: query.info, parameters: query.parameters, deadline: deadline)
    }

    /// Runs a query and reads its first row, if there is one; more rows are not an error.
    package func first<Row>(_ query: Query<Row>, deadline: Deadline? = nil) async throws -> Row? {
        let result = try await result(
            of: query.info,
            parameters: query.parameters,
            deadline: deadline
        )
        return result.count > 0 ? try query.decode(result[0]) : nil
    }

    /// Runs a query for its effect; the number of rows it changed.
    @discardableResult
    package func execute<Row>(
        _ query: Query<Row>,
        deadline: Deadline? = nil
    ) async throws -> Int {
        try await result(of: query.info, parameters: query.parameters, deadline: deadline)
            .affectedRows
    }
}

// Prepares statements against a migrated database, with the parameter types their Swift values will
// have, so that a typo in SQL fails in a test as a compile error would.
package import Postgres
import Primitives

/// What is wrong with statements.
package enum StatementCheck {
    /// Prepares each of `statements` in the database of `pool`.
    ///
    /// - Parameters:
    ///   - statements: the statements of a store.
    ///   - pool: a pool on a database with the tables they need.
    /// - Returns: a line for each statement that the server refuses, and for each name used twice.
    /// - Throws: `PostgresError` when the server cannot be asked.
    package static func complaints(
        about statements: [StatementInfo],
        in pool: PostgresPool
    ) async throws -> [String] {
        var complaints: [String] = []
        var names: Set<String> = []
        try await pool.session(deadline: .after(.seconds(60))) { session in
            for info in statements {
                if !names.insert(info.name).inserted {
                    complaints.append("\(info.name): the name is used twice")
                }
                var types: [String] = []
                for type in info.bindTypes {
                    types.append(try await session.first(typeName(Int(type.oid))) ?? "unknown")
                }
                let list = types.isEmpty ? "" : "(\(types.joined(separator: ", ")))"
                do {
                    try await session.script("PREPARE checked \(list) AS \(info.sql)")
                    try await session.script("DEALLOCATE checked")
                } catch let error as PostgresError where error.kind == .server {
                    complaints.append("\(info.name): \(error.message)")
                }
            }
        }
        return complaints
    }

    private static let typeName = Statement(
        "test.type_name",
        "SELECT format_type($1::bigint::oid, NULL)",
        binds: Int.self,
        decode: { try $0.get(0, as: String.self) }
    )
}

// What the sessions of a pool are set to, whatever the database, or whoever wrote its URL, has for
// a default: a weaker isolation or commit would break what log-outs promise without a word.
import Postgres
import Primitives
import TestKit
import Testing

@Suite struct SessionSettingTests {
    private static let columns = """
        SELECT current_setting('synchronous_commit') || ', '
            || current_setting('transaction_isolation')
        """
    private static func make(_ kind: StatementKind) -> Statement<String> {
        Statement(
            "test.settings_\(kind)",
            columns,
            kind: kind,
            decode: { try $0.get(0, as: String.self) }
        )
    }
    private static let kinds = [
        make(.read), make(.urgent), make(.list), make(.write), make(.solo),
    ]
    private static let inTransaction = make(.read)

    @Test
    func `commits are durable and snapshots single, whatever the defaults are (A1, S1)`()
        async throws
    {
        let server = try await PostgresServer.start()
        try await server.script(
            """
            ALTER SYSTEM SET synchronous_commit = off;
            """
        )
        try await server.script(
            "ALTER SYSTEM SET default_transaction_isolation = 'repeatable read'"
        )
        try await server.script("SELECT pg_reload_conf()")
        let options = [
            "", "-c synchronous_commit=local -c default_transaction_isolation=serializable",
        ]
        for given in options {
            try await withPool(on: server) { configuration in
                let text = String(decoding: configuration.connection.exposed, as: UTF8.self)
                configuration = PostgresConfiguration("\(text) options='\(given)'")
            } _: { pool, _, _ in
                for statement in Self.kinds {
                    let found = try await pool.first(statement())
                    #expect(found == "on, read committed", "\(statement.info.name)")
                }
                let found = try await pool.transaction { transaction in
                    try await transaction.first(Self.inTransaction())
                }
                #expect(found == "on, read committed")
            }
        }
    }
}

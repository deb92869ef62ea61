// TLS to PostgreSQL over TCP, as libpq does it: the right authority and host name or no connection,
// and never one in the clear to a server that wants TLS.
import Postgres
import Primitives
import TestKit
import Testing

@Suite struct EncryptionTests {
    private static let encryption = Statement(
        "test.encryption",
        """
        SELECT CASE WHEN ssl THEN version ELSE 'none' END
          FROM pg_stat_ssl
         WHERE pid = pg_backend_pid()
        """,
        decode: { try $0.get(0, as: String.self) }
    )

    /// A connection string; the address is always the same, the name is what is checked.
    private func words(
        _ server: PostgresServer,
        host: String = "localhost",
        _ tls: String
    )
        -> String
    {
        "host=\(host) hostaddr=127.0.0.1 port=\(server.port) user=postgres dbname=postgres \(tls)"
    }

    /// Why a pool does not start; nil when it does.
    private func refusal(_ words: String) async -> PostgresError? {
        let pool = makePool(PostgresConfiguration(words), MultiThreadedGroup.one)
        let error = await failure { try await pool.start() }
        await pool.close()
        return error
    }

    @Test func `a server is believed by its authority and its name, or not at all`() async throws {
        let server = try await PostgresServer.startEncrypted()
        let right = "sslmode=verify-full sslrootcert=\(server.folder)/ca.pem"
        let pool = makePool(
            PostgresConfiguration(words(server, right)),
            MultiThreadedGroup.one
        )
        try await pool.start()
        let spoken = try await pool.first(Self.encryption())
        #expect(spoken == "TLSv1.3")
        let url =
            "postgresql://postgres@localhost:\(server.port)/postgres"
            + "?sslmode=verify-full&sslrootcert=\(server.folder)/ca.pem"
        #expect(await refusal(url) == nil)
        await pool.close()
        let cases: [(host: String, tls: String, why: String)] = [
            (
                "localhost", "sslmode=verify-full sslrootcert=\(server.folder)/other.pem",
                "certificate verify failed"
            ),
            ("database.example", right, "does not match host name \"database.example\""),
            (
                "localhost", "sslmode=verify-full sslrootcert=\(server.folder)/absent.pem",
                "root certificate file"
            ),
            ("localhost", "sslmode=disable", "no encryption"),
        ]
        for (host, tls, why) in cases {
            let error = await refusal(words(server, host: host, tls))
            #expect(error?.kind == .connection, "\(tls)")
            let says = error?.message.contains(why) == true
            #expect(says, "\(host) \(tls): \(error?.message ?? "connected")")
        }
        await server.stop()
    }
}

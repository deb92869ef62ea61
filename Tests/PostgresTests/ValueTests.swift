// Values there and back again through the server, and columns that are not what the caller thinks.
import Postgres
import Primitives
import TestKit
import Testing

@Suite struct ValueTests {
    @Test func `every type survives the round trip, NULL included`() async throws {
        let id = AccountID(at: Timestamp(seconds: 1_700_000_000), entropy: .system)
        try await withPool { pool, _, _ in
            try await expect([true, false, nil], in: pool)
            try await expect([Int16.min, 0, .max, nil], in: pool)
            try await expect([Int32.min, 0, .max, nil], in: pool)
            try await expect([Int64.min, 0, .max, nil], in: pool)
            try await expect([Int.min, -1, .max, nil], in: pool)
            try await expect([0.1, -.infinity, .greatestFiniteMagnitude, nil], in: pool)
            try await expect(["", "a", "naïve 漢字 👩‍👩‍👧", "it's \"q\" \\", nil], in: pool)
            try await expect([[], [0], Array(0...255), nil] as [[UInt8]?], in: pool)
            try await expect(
                [Timestamp(microseconds: -1), Timestamp(microseconds: 1_795_241_228_123_456), nil],
                in: pool
            )
            try await expect([id, AccountID(high: 0, low: 0), nil], in: pool)
            try await expect([[], ["", "b,{}\"", "NULL"], nil] as [[String]?], in: pool)
            try await expect([[], [id, id], nil] as [[AccountID]?], in: pool)
            try await expect([[], [Int64.min, 7], nil] as [[Int64]?], in: pool)
            try await expect([PostgresJSON(#"{"a": [1, null]}"#), nil], in: pool)
        }
    }

    private func expect<Value: PostgresEncodable & PostgresDecodable & Equatable>(
        _ values: [Value?],
        in pool: PostgresPool
    ) async throws {
        let echo = Statement(
            "test.echo_\(Value.postgresType.oid)",
            "SELECT $1",
            binds: Value?.self,
            decode: { try $0.get(0, as: Value?.self) }
        )
        for value in values {
            let answer = try await pool.first(echo(value))
            #expect(answer == .some(value))
        }
    }

    @Test func `a column of another type, a NULL and a missing column are errors`() async throws {
        let wrongType = Statement(
            "test.wrong",
            "SELECT 'a'",
            decode: { try $0.get(0, as: Int.self) }
        )
        let null = Statement(
            "test.null",
            "SELECT NULL::bigint",
            decode: { try $0.get(0, as: Int.self) }
        )
        let narrow = Statement(
            "test.narrow",
            "SELECT 40000::bigint",
            decode: { try $0.get(0, as: Int16.self) }
        )
        let missing = Statement("test.missing", "SELECT 1", decode: { try $0.get(1, as: Int.self) })
        try await withPool { pool, _, _ in
            for statement in [wrongType, null, missing] {
                let error = await failure { _ = try await pool.rows(statement()) }
                #expect(error?.kind == .protocolViolation)
            }
            let error = await failure { _ = try await pool.rows(narrow()) }
            #expect(error?.kind == .protocolViolation)
        }
    }

    @Test func `an error tells the constraint and never a value (W7)`() async throws {
        let insert = Statement(
            "test.secret",
            "INSERT INTO people (mail) VALUES ($1)",
            kind: .write,
            binds: String.self
        )
        let cast = Statement(
            "test.cast",
            "SELECT $1::text::bigint",
            binds: String.self,
            decode: { try $0.get(0, as: Int.self) }
        )
        let setup = "CREATE TABLE people (mail text CONSTRAINT people_mail_key UNIQUE)"
        try await withPool(setup) { pool, _, _ in
            try await pool.execute(insert("hidden"))
            let duplicate = await failure { try await pool.execute(insert("hidden")) }
            #expect(duplicate?.isUniqueViolation(of: "people_mail_key") == true)
            #expect(duplicate?.description.contains("hidden") == false)
            let malformed = await failure { _ = try await pool.rows(cast("hidden")) }
            #expect(malformed?.sqlState == "22P02")
            #expect(malformed?.description.contains("hidden") == false)
        }
    }
}

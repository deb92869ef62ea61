// Many statements on few connections: order, neighbours, group commit, and the values themselves.
import Postgres
import Primitives
import TestKit
import Testing

@Suite struct PipelineTests {
    @Test func `a thousand statements in flight each get their own answer`() async throws {
        try await withPool { pool, _, _ in
            let answers = try await withThrowingTaskGroup(of: (Int, Int?).self) { group in
                for number in 0..<1000 {
                    group.addTask { (number, try await pool.first(SQL.echo(number))) }
                }
                return try await group.reduce(into: [(Int, Int?)]()) { $0.append($1) }
            }
            #expect(answers.count == 1000)
            let isEachItsOwn = answers.allSatisfy { $0 == $1 }
            #expect(isEachItsOwn)
        }
    }

    @Test func `one failing statement does not fail its neighbours`() async throws {
        try await withPool { pool, metrics, _ in
            let outcomes = await withTaskGroup(of: Int?.self) { group in
                for number in 0..<200 {
                    group.addTask {
                        do {
                            return try await pool.first(SQL.divide(number % 10))
                        } catch let error as PostgresError {
                            return error.sqlState == "22012" ? -1 : nil
                        } catch {
                            return nil
                        }
                    }
                }
                return await group.reduce(into: [Int?]()) { $0.append($1) }
            }
            let failed = outcomes.count { $0 == -1 }
            let answered = outcomes.count { ($0 ?? -1) >= 0 }
            #expect(failed == 20)
            #expect(answered == 180)
            #expect((metrics.value("watchword_postgres_repeated_total") ?? 0) > 0)
        }
    }

    @Test func `an urgent read is answered while a slow one has its connection`() async throws {
        try await withPool { pool, metrics, _ in
            async let slow = pool.first(SQL.sleep(7, 10))
            let sleeps = try await eventually {
                metrics.value("watchword_postgres_in_flight") == 1
            }
            async let behind = pool.first(SQL.echo(8))
            let sent = try await eventually {
                metrics.value("watchword_postgres_in_flight") == 2
            }
            #expect(sleeps && sent)
            for number in 0..<10 {
                let answer = try await pool.first(SQL.urgentEcho(number))
                #expect(answer == number)
            }
            // Both are still out.
            #expect(metrics.value("watchword_postgres_in_flight") == 2)
            let answers = try await [slow, behind]
            #expect(answers == [7, 8])
        }
    }

    @Test func `a statement whose columns changed type is prepared again`() async throws {
        let read = Statement(
            "test.changing",
            "SELECT note FROM items",
            decode: { try $0.get(0, as: String.self) }
        )
        try await withPool(SQL.itemsTable + "; INSERT INTO items VALUES (1, '7')") { pool, _, _ in
            let before = try await pool.rows(read())
            #expect(before == ["7"])
            try await pool.script("ALTER TABLE items ALTER COLUMN note TYPE varchar(9)")
            let after = try await pool.rows(read())
            #expect(after == ["7"])
        }
    }

    @Test func `a statement that cannot be prepared fails alone, each time it is tried`()
        async throws
    {
        let broken = Statement(
            "test.broken",
            "SELECT nothing FROM nowhere",
            decode: { try $0.get(0, as: Int.self) }
        )
        try await withPool { pool, _, _ in
            for _ in 0..<2 {
                async let good = pool.first(SQL.echo(1))
                async let bad = failure { try await pool.rows(broken()) }
                let (answer, error) = try await (good, await bad)
                #expect(answer == 1)
                #expect(error?.sqlState == "42P01")
                #expect(error?.statement == "test.broken")
            }
        }
    }

    @Test func `a statement with a typo or a wrong parameter type is found without running it`()
        async throws
    {
        let typo = Statement("test.typo", "DELETE FROM itms WHERE id = $1", binds: Int.self)
        let wrong = Statement("test.type", "DELETE FROM items WHERE id = $1", binds: String.self)
        try await withPool(SQL.itemsTable) { pool, _, _ in
            let good = [SQL.echo.info, SQL.insert.info, SQL.list.info]
            let none = try await StatementCheck.complaints(about: good, in: pool)
            #expect(none.isEmpty)
            let some = try await StatementCheck.complaints(
                about: good + [typo.info, wrong.info, SQL.list.info],
                in: pool
            )
            #expect(some.count == 3)
            #expect(some.first?.hasPrefix("test.typo: relation") == true)
        }
    }

    @Test func `callers on no loop of the pool are spread over all of them`() async throws {
        try await withPool(loops: 3) { pool, _, _ in
            var backends: Set<Int32> = []
            for _ in 0..<6 { backends.insert(try await pool.first(SQL.backend()) ?? 0) }
            #expect(backends.count == 3)
        }
    }

    @Test func `parameters larger than the socket's buffer arrive whole`() async throws {
        let length = Statement(
            "test.length",
            "SELECT length($1), $1",
            binds: [UInt8].self,
            decode: { (try $0.get(0, as: Int.self), try $0.get(1, as: [UInt8].self)) }
        )
        try await withPool { pool, _, _ in
            let bytes = Entropy.system.bytes(8_000_000)
            let answer = try await pool.first(length(bytes))
            #expect(answer?.0 == bytes.count)
            #expect(answer?.1 == bytes)
        }
    }

    @Test func `a failed group commit is repeated one by one and only the culprit fails`()
        async throws
    {
        try await withPool(SQL.itemsTable + "; INSERT INTO items VALUES (50)") {
            pool,
            metrics,
            _ in
            let failed = await withTaskGroup(of: PostgresError?.self) { group in
                for number in 0..<100 {
                    group.addTask {
                        await failure { try await pool.execute(SQL.insert(number)) }
                    }
                }
                return await group.reduce(into: [PostgresError]()) { all, one in
                    if let one { all.append(one) }
                }
            }
            #expect(failed.count == 1)
            #expect(failed.first?.isUniqueViolation(of: "items_key") == true)
            let stored = try await pool.rows(SQL.list())
            #expect(stored == Array(0..<100))
            #expect((metrics.value("watchword_postgres_repeated_total") ?? 0) > 0)
        }
    }
}

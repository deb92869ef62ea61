// Servers that die, stop, warn and refuse; deadlines, cancellations and full queues. Whatever
// happens, every waiter gets an answer, and the pool works again afterwards.
import Glibc
import Logging
import Postgres
import Primitives
import ServiceLifecycle
import TestKit
import Testing

@Suite struct FailureTests {
    @Test(arguments: [true, false])
    func `a backend killed in mid-query fails what is in flight, and the pool recovers`(
        usesKernelPolling: Bool
    ) async throws {
        let server = try await PostgresServer.start()
        try await withPool(SQL.itemsTable, on: server) {
            $0.usesKernelPolling = usesKernelPolling
        } _: { pool, metrics, _ in
            let reader = try #require(try await pool.first(SQL.backend()))
            async let slow = failure { _ = try await pool.first(SQL.sleep(1, 30)) }
            // Not both at once: the other might be first.
            let sleeps = try await eventually {
                metrics.value("watchword_postgres_in_flight") == 1
            }
            async let behind = failure { _ = try await pool.first(SQL.echo(2)) }
            let waits = try await eventually {
                metrics.value("watchword_postgres_in_flight") == 2
            }
            #expect(sleeps && waits)
            kill(reader, SIGKILL)
            let errors = await [slow, behind]
            for error in errors {
                #expect(error?.kind == .connection)
                #expect(error?.isTransient == true)
            }
            let recovers = try await eventually {
                await failure { _ = try await pool.first(SQL.echo(1)) } == nil
            }
            #expect(recovers)
            #expect((metrics.value("watchword_postgres_reconnects_total") ?? 0) > 0)
            // Other connections may just be set up anew.
            let rests = try await eventually {
                metrics.value("watchword_postgres_in_flight") == 0
            }
            #expect(rests)
        }
        await server.stop()
    }

    @Test func `a server that was started again is known by its new process`() async throws {
        let server = try await PostgresServer.start()
        // Empty for what has ended, though nobody has asked how.
        func command(_ process: Int32) -> String { readFile("/proc/\(process)/cmdline") }
        let before = server.processID
        try await server.crash()
        // It takes its file away before it ends.
        let isGone = try await eventually { command(before).isEmpty }
        #expect(isGone)
        try await server.restart()
        let after = server.processID
        #expect(after != before && command(after).contains("postgres"))
        #expect(!server.children.isEmpty)
        await server.stop()
        // Its watchdog ends that one too.
        let ends = try await eventually { command(after).isEmpty }
        #expect(ends)
    }

    @Test func `a write in flight when its backend dies is reported and not sent again`()
        async throws
    {
        let server = try await PostgresServer.start()
        let slowInsert = Statement(
            "test.slow_insert",
            "INSERT INTO items (id, note) SELECT $1, pg_sleep(20)::text",
            kind: .write,
            binds: Int.self
        )
        try await withPool(SQL.itemsTable, on: server) { pool, metrics, _ in
            let writer = try #require(try await pool.first(SQL.backendOfWriter()))
            async let lost = failure { try await pool.execute(slowInsert(1)) }
            let waits = try await eventually {
                metrics.value("watchword_postgres_in_flight") == 1
            }
            #expect(waits)
            kill(writer, SIGKILL)
            let error = await lost
            #expect(error?.kind == .connection)
            let recovers = try await eventually {
                await failure { try await pool.execute(SQL.insert(2)) } == nil
            }
            #expect(recovers)
            let stored = try await pool.rows(SQL.list())
            #expect(stored == [2])
        }
        await server.stop()
    }

    @Test func `a stopped server ends calls at their deadline, and connections are made again`()
        async throws
    {
        let server = try await PostgresServer.start()
        try await withPool(on: server) {
            $0.tombstoneLimit = .milliseconds(200)
        } _: { pool, metrics, _ in
            let before = try await pool.first(SQL.backend())
            server.signalAll(SIGSTOP)
            let start = MonotonicInstant.now
            let error = await failure {
                _ = try await pool.first(SQL.echo(1), deadline: .after(.milliseconds(100)))
            }
            #expect(error?.kind == .deadline)
            #expect(MonotonicInstant.now - start < .seconds(3))
            let isClosed = try await eventually {
                metrics.value("watchword_postgres_reconnects_total") == 1
            }
            #expect(isClosed)
            server.signalAll(SIGCONT)
            let recovers = try await eventually {
                await failure { _ = try await pool.first(SQL.echo(1)) } == nil
            }
            #expect(recovers)
            let after = try await pool.first(SQL.backend())
            #expect(before != after)
        }
        await server.stop()
    }

    @Test func `a write whose time was up before it was sent never happens`() async throws {
        try await withPool(SQL.itemsTable) { pool, _, _ in
            let error = await failure {
                try await pool.execute(SQL.insert(1), deadline: .after(.zero))
            }
            #expect(error?.kind == .deadline)
            let stored = try await pool.rows(SQL.list())
            #expect(stored.isEmpty)
        }
    }

    @Test func `a service that is shut down gracefully lets work in flight finish`() async throws {
        let server = try await PostgresServer.shared()
        let database = try await server.database()
        let metrics = MetricsRegistry()
        var configuration = PostgresConfiguration(database.connection)
        configuration.statementDeadline = .seconds(60)
        configuration.drainLimit = .seconds(60)
        let pool = makePool(configuration, MultiThreadedGroup.one, metrics)
        let services = ServiceGroup(
            services: [pool],
            logger: Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() }
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await services.run() }
            let isOpen = try await eventually {
                metrics.value("watchword_postgres_connections") == 4
            }
            #expect(isOpen)
            // What new connections send of their own is over, and not taken for the slow one.
            _ = try await pool.first(SQL.echo(1))
            _ = try await pool.first(SQL.urgentEcho(1))
            _ = try await pool.first(SQL.listEcho(1))
            async let slow = pool.first(SQL.sleep(5, 5))
            let sent = try await eventually {
                metrics.value("watchword_postgres_in_flight") == 1
            }
            #expect(sent)
            await services.triggerGracefulShutdown()
            let answer = try await slow
            #expect(answer == 5)
            try await group.waitForAll()
        }
        #expect(metrics.value("watchword_postgres_connections") == 0)
        let refused = await failure { try await pool.first(SQL.echo(1)) }
        #expect(refused?.kind == .connection)
    }

    @Test func `a server that restarts is found again by reads, writes and transactions`()
        async throws
    {
        let server = try await PostgresServer.start()
        try await withPool(SQL.itemsTable, on: server) { pool, metrics, _ in
            try await pool.transaction { _ = try await $0.execute(SQL.insert(1)) }
            for child in server.children { kill(child, SIGKILL) }
            let recovers = try await eventually {
                let error = await failure {
                    try await pool.execute(SQL.insert(2))
                }
                return error == nil || error?.sqlState == "23505"
            }
            #expect(recovers)
            let reads = try await eventually {
                await failure { try await pool.rows(SQL.list()) } == nil
            }
            #expect(reads)
            let transacts = try await eventually {
                await failure {
                    try await pool.transaction { _ = try await $0.rows(SQL.list()) }
                } == nil
            }
            #expect(transacts)
            let stored = try await pool.rows(SQL.list())
            #expect(stored == [1, 2])
        }
        await server.stop()
    }

    @Test func `a late answer leaves the order of the others as it was`() async throws {
        try await withPool {
            $0.tombstoneLimit = .seconds(60)
        } _: { pool, metrics, _ in
            async let late = failure {
                _ = try await pool.first(SQL.sleep(7, 5), deadline: .after(.seconds(2)))
            }
            let sent = try await eventually {
                metrics.value("watchword_postgres_in_flight") == 1
            }
            #expect(sent)
            async let one = pool.first(SQL.echo(1))
            async let two = pool.first(SQL.echo(2))
            let error = await late
            #expect(error?.kind == .deadline)
            let answers = try await [one, two]
            #expect(answers == [1, 2])
            #expect(metrics.value("watchword_postgres_reconnects_total") == 0)
        }
    }

    @Test func `a cancelled task is let go at once, and the connection stays in order`()
        async throws
    {
        try await withPool {
            $0.tombstoneLimit = .seconds(60)
        } _: { pool, metrics, _ in
            let start = MonotonicInstant.now
            await withTaskGroup { group in
                group.addTask { _ = try? await pool.first(SQL.sleep(7, 12)) }
                _ = try? await eventually { metrics.value("watchword_postgres_in_flight") == 1 }
                group.cancelAll()
                await group.waitForAll()
            }
            #expect(MonotonicInstant.now - start < .seconds(11))
            let answer = try await pool.first(SQL.echo(3))
            #expect(answer == 3)
            #expect(metrics.value("watchword_postgres_reconnects_total") == 0)
        }
    }

    @Test func `a full queue refuses and a long wait ends, before anything is sent`() async throws {
        try await withPool {
            $0.pipelineDepth = 1
            $0.queueLimit = 1
            $0.waitLimit = .seconds(8)
        } _: { pool, metrics, _ in
            async let slow = pool.first(SQL.sleep(1, 20), deadline: .after(.seconds(60)))
            let sent = try await eventually {
                metrics.value("watchword_postgres_in_flight") == 1
                    && metrics.value("watchword_postgres_waiting") == 0
            }
            #expect(sent)
            async let waiting = failure { _ = try await pool.first(SQL.echo(1)) }
            let waits = try await eventually { metrics.value("watchword_postgres_waiting") == 1 }
            #expect(waits)
            let refused = await failure { _ = try await pool.first(SQL.echo(1)) }
            #expect(refused?.kind == .overloaded)
            #expect(refused?.message == "too many wait")
            let expired = await waiting
            #expect(expired?.kind == .overloaded)
            #expect(expired?.message == "no connection became free in time")
            let answer = try await slow
            #expect(answer == 1)
            #expect(metrics.value("watchword_postgres_waiting") == 0)
        }
    }

    @Test func `a pool that cannot connect says why and what to`() async throws {
        let group = MultiThreadedGroup.one
        let pool = makePool(PostgresConfiguration("host=/nonexistent dbname=x"), group)
        let error = await failure { try await pool.start() }
        #expect(error?.kind == .connection)
        #expect(error?.message.contains("/nonexistent") == true)
        let unreadable = makePool(PostgresConfiguration("host='/x dbname"), group)
        let other = await failure { try await unreadable.start() }
        #expect(other?.kind == .connection)
    }

    @Test(arguments: [StatementKind.read, .urgent, .list])
    func `a write on a shared reading connection is refused by the server`(
        kind: StatementKind
    ) async throws {
        let disguised = Statement(
            "test.disguised",
            "INSERT INTO items (id) VALUES (1) RETURNING id",
            kind: kind,
            decode: { try $0.get(0, as: Int.self) }
        )
        try await withPool(SQL.itemsTable) { pool, _, _ in
            let error = await failure { _ = try await pool.rows(disguised()) }
            #expect(error?.sqlState == "25006")
        }
    }

    @Test func `of several hosts the one that takes writes is used (H10)`() async throws {
        let standby = try await PostgresServer.start(
            settings: ["default_transaction_read_only=on"]
        )
        let primary = try await PostgresServer.start()
        let hosts = "host=\(standby.folder),\(primary.folder) user=postgres dbname=postgres"
        let pool = makePool(PostgresConfiguration(hosts), MultiThreadedGroup.one)
        try await pool.start()
        let folder = Statement(
            "test.folder",
            "SELECT current_setting('unix_socket_directories')",
            decode: { try $0.get(0, as: String.self) }
        )
        let used = try await pool.first(folder())
        #expect(used == primary.folder)
        await pool.close()
        let only = makePool(
            PostgresConfiguration("host=\(standby.folder) user=postgres dbname=postgres"),
            MultiThreadedGroup.one
        )
        let error = await failure { try await only.start() }
        #expect(error?.kind == .connection)
        await standby.stop()
        await primary.stop()
    }
}

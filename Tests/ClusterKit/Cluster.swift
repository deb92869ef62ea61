// Nodes as the composition root builds them, several on one database and one Redis, without their
// HTTP listeners: what the tests call are the use cases. Nothing here replaces a part of a node;
// only the wall clock can be moved.
package import Accounts
import Logging
package import NIOCore
import NIOPosix
package import Postgres
package import Primitives
package import Revocation
package import Sessions
import Synchronization
package import TestKit
package import Tokens
package import Web

@testable import Watchword

/// A wall clock that a test can move.
package final class TestClock: Sendable {
    private let offset = Atomic<Int64>(0)

    /// A clock that shows the machine's time.
    package init() {}

    /// Moves it; the system's time goes on underneath.
    package func advance(by duration: Duration) {
        offset.wrappingAdd(duration.wholeMicroseconds, ordering: .relaxed)
    }

    /// The clock as nodes take it.
    package var wall: WallClock {
        WallClock { [self] in
            WallClock.system.now() + .microseconds(offset.load(ordering: .relaxed))
        }
    }
}

/// One node of a cluster.
package struct TestNode: Sendable {
    let node: Node
    /// Its use cases.
    package var web: WebServices { node.web }
    /// Its event loops.
    package var group: any EventLoopGroup { node.group }
    /// Its pool.
    package var pool: PostgresPool { node.pool }
    /// Its read-index.
    package var readIndex: ReadIndex { node.readIndex }
    /// What looks at its answers again; it does not run unless a test runs it.
    package var sampler: RevocationSampler { node.sampler }
    /// The door of its revocations.
    package var revoker: Revoker { node.revoker }
    /// Its ways to the members of the authority.
    package var members: AuthorityMembers { node.members }
    /// What tends its authority; it does not run unless a test runs it.
    package var keeper: AuthorityKeeper { node.keeper }
    /// Its keys.
    package var keys: KeyKeeper { node.keys }
    /// Its token lifetime.
    package var horizon: TokenHorizon { node.horizon }
    /// Its hashing threads.
    package var hashing: PasswordHashing { node.hashing }
    /// Its numbers.
    package var metrics: MetricsRegistry { node.metrics }
    /// Counts the hours; it does not run unless a test runs it.
    package var statistics: StatisticsKeeper { node.statistics }
    /// Makes and drops partitions.
    package var partitions: PartitionKeeper { node.partitions }

    /// The statements of its kept answers.
    package static var answerStatements: [StatementInfo] { IdempotencyStore.statements }

    /// Forgets answers to idempotency keys that are kept no longer.
    package func sweepAnswers() async throws { try await node.answers.sweep() }

    /// What it says of itself at `/readyz`.
    package func readiness() async -> Readiness { await node.readiness() }

    /// The value of a metric without labels.
    package func value(_ name: String) -> Int {
        for line in metrics.exposition().split(separator: "\n") where line.hasPrefix("\(name) ") {
            // What is computed is written with a fraction.
            return Double(line.dropFirst(name.count + 1)).map { Int($0) } ?? -1
        }
        return -1
    }
}

extension TestNode {
    /// How many durations a histogram without labels has recorded.
    package func histogramCount(_ name: String) -> Int { value(name + "_count") }
}

/// What an operator asks of the authority.
package enum AuthorityOrder: Sendable { case show, close, adopt }

/// Several nodes on one migrated database.
package struct Cluster: Sendable {
    /// The nodes.
    package let nodes: [TestNode]
    /// Their database.
    package let database: TestDatabase
    /// A pool of the test's own, as the superuser.
    package let sql: PostgresPool
    /// The clock of all nodes.
    package let clock: TestClock
    /// The Redis of all nodes.
    package let redis: RedisServer

    /// Builds nodes, lends them to `body`, closes them.
    ///
    /// - Parameters:
    ///   - count: how many nodes.
    ///   - server: the server for their database; the shared one where none is given.
    ///   - standby: the standby of `server`, if they are to know it.
    ///   - set: settings by their dotted names.
    ///   - only: settings of single nodes, by their index.
    package static func run<R>(
        _ count: Int = 1,
        on server: PostgresServer? = nil,
        standby: PostgresServer? = nil,
        set: [String: String] = [:],
        only: [Int: [String: String]] = [:],
        _ body: (Cluster) async throws -> R
    ) async throws -> R {
        let owner: PostgresServer
        if let server { owner = server } else { owner = try await .shared() }
        var made = try await owner.database()
        made.standby = standby
        let database = made
        let redis = try await RedisServer.start()
        let clock = TestClock()
        let master = MasterKey.generate(entropy: .system)
        let nodes = try (0..<count).map { index in
            let settings = try makeSettings(
                base(database, redis, master)
                    .merging(set) { $1 }.merging(only[index] ?? [:]) { $1 }
            )
            let node = try Node.make(
                settings,
                clock: clock.wall,
                database: { database in
                    // A busy machine is not to look like a lost database.
                    database.statementDeadline = .seconds(60)
                    database.waitLimit = .seconds(60)
                    database.connectTimeout = .seconds(60)
                    database.lockTimeout = .seconds(15)
                },
                log: quiet
            )
            return TestNode(node: node)
        }
        let sql = makePool(database.connection, nodes[0].node)
        let cluster = Cluster(
            nodes: nodes,
            database: database,
            sql: sql,
            clock: clock,
            redis: redis
        )
        do {
            try await sql.start()
            _ = try await Migrator(pool: sql, migrations: embeddedMigrations).migrate()
            for node in nodes { try await node.node.open() }
            let result = try await body(cluster)
            await cluster.close()
            return result
        } catch {
            await cluster.close()
            throw error
        }
    }

    /// What `watchword authority show`, `close` or `adopt` does with the settings of a node; gives
    /// the state afterwards, and the complaints about the members.
    package func authority(
        _ command: AuthorityOrder,
        on index: Int = 0
    ) async throws -> (state: String, epoch: Int, members: Int, complaints: [String]) {
        let settings = nodes[index].node.settings
        let report =
            switch command {
            case .show: try await Services.showAuthority(settings)
            case .close: try await Services.closeAuthority(settings)
            case .adopt: try await Services.adoptAuthority(settings)
            }
        return (
            report.state, Int(report.epoch), report.members.count { $0.holdsToken },
            report.members.compactMap(\.complaint)
        )
    }

    /// Makes the members the authority, by a node; where a busy machine keeps one from answering in
    /// time, once more.
    package func adopt(on index: Int = 0) async throws {
        try await until("the members are adopted") {
            do {
                _ = try await nodes[index].keeper.adopt()
                return true
            } catch AdoptionRefusal.unfit {
                return false
            }
        }
    }

    /// What `watchword keys rotate` does with the settings of a node.
    package func rotateAtTerminal(on index: Int = 0) async throws -> KeyView {
        try await Services.rotateKeys(nodes[index].node.settings, atOnce: false)
    }

    /// Has a node make the next key of refresh tokens, as if the last were old, and use it at once.
    package func renewRefreshKey(on index: Int) async throws {
        let keys = nodes[index].keys
        func date(_ from: String) async throws {
            try await run("UPDATE keys SET active_from = \(from) WHERE use = 'refresh-token'")
            try await keys.reload()
        }
        try await date("created_at - interval '91 days'")
        try await keys.rotateIfDue()
        try await date("created_at")
    }

    /// One more pool, with the loop of the first node.
    package func makePool(applicationName: String) -> PostgresPool {
        Self.makePool(database.connection + " application_name=\(applicationName)", nodes[0].node)
    }

    private func close() async {
        await sql.close()
        for node in nodes { await node.node.close() }
        for node in nodes {
            do {
                try await node.node.group.shutdownGracefully()
            } catch {
                preconditionFailure("an event loop did not end: \(error)")
            }
        }
    }

    private static func makePool(_ connection: String, _ node: Node) -> PostgresPool {
        var configuration = PostgresConfiguration(connection)
        configuration.statementDeadline = .seconds(180)
        configuration.waitLimit = .seconds(180)
        configuration.lockTimeout = .seconds(60)
        return PostgresPool(
            configuration: configuration,
            eventLoopGroup: node.group,
            threadPool: .singleton,
            logger: quiet("tests"),
            metrics: MetricsRegistry()
        )
    }

    private static func base(
        _ database: TestDatabase,
        _ redis: RedisServer,
        _ master: String
    ) -> [String: String] {
        [
            "mode": "development",
            "public.url": "http://127.0.0.1:8000",
            // The host in the query counts; a folder is no host name for a URL.
            "database.url": "postgresql://postgres@localhost/\(database.name)"
                + "?host=\(database.hosts)",
            "redis.url": "unix://\(redis.socket)",
            "keys.master": master,
            "http.event_loops": "1",
            "passwords.memory": "8MiB",
            "passwords.passes": "1",
            "passwords.threads": "1",
            "verify.read_limit": "10s",
        ]
    }

    private static func makeSettings(_ values: [String: String]) throws -> Settings {
        let source = SettingsSource { name in
            values[name].map { RawSetting($0, from: .environment) }
        }
        let settings = Settings(from: source)
        guard source.complaints.isEmpty else { throw TestServerError("\(source.complaints)") }
        return settings
    }

    /// Says nothing.
    static func quiet(_ label: String) -> Logger {
        Logger(label: label) { _ in SwiftLogNoOpLogHandler() }
    }
}

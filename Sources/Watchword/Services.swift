// What the commands ask for, each built from the composition root.
import Access
import Accounts
import Audit
import Logging
import NIOCore
import NIOPosix
import Postgres
import Primitives
import Revocation
import Sessions
import Tokens
import Web

/// One migration, for `watchword migrate --plan`.
struct MigrationStep: Sendable, Equatable {
    /// Its number.
    let number: Int
    /// Its file's name without number and ending.
    let name: String
    /// Whether the database has it already.
    let isApplied: Bool
}

/// What was sealed anew.
struct Rewrapped: Sendable, Equatable {
    let keys: Int
    /// Seeds of authenticators.
    let seeds: Int
    /// Seeds that do not open with any version that is configured.
    let unopened: Int
}

/// An account that may do everything, as made at the first start.
struct FirstAdministrator: Sendable, Equatable {
    /// What to sign in with.
    let login: String
    /// The password, known to nobody else.
    let password: String
}

/// What the commands ask the service to do.
enum Services {
    /// Runs a node until SIGTERM or SIGINT, then drains it.
    static func serve(
        _ settings: Settings,
        log: @escaping @Sendable (String) -> Logger
    ) async throws {
        do {
            try await Node.make(settings, log: log).run()
        } catch let error as MasterKeyError {
            throw CommandFailure(.configuration, "\(error)")
        }
    }

    /// The steps there are; with `apply`, after the missing ones were run.
    static func migrate(databaseURL: String, apply: Bool) async throws -> [MigrationStep] {
        try await withPool(PostgresConfiguration(databaseURL)) { pool in
            let migrator = Migrator(pool: pool, migrations: embeddedMigrations)
            do {
                let missing = try await apply ? migrator.migrate() : migrator.plan()
                return embeddedMigrations.map { step in
                    MigrationStep(
                        number: step.version,
                        name: step.name,
                        isApplied: apply || !missing.contains(step)
                    )
                }
            } catch let error as MigrationError {
                throw CommandFailure(.failure, "\(error)")
            }
        }
    }

    /// Makes the first administrator; nil where there is one already.
    static func createFirstAdministrator(
        _ settings: Settings,
        databaseURL: String,
        login: String,
        password: Secret
    ) async throws -> FirstAdministrator? {
        try await withPool(PostgresConfiguration(databaseURL)) { pool in
            guard try await pool.first(AccountStore.findHolder(BuiltInRole.admin)) == nil else {
                return nil
            }
            let logger = quiet("watchword.admin")
            let metrics = MetricsRegistry()
            let now = WallClock.system.now()
            let hashing = PasswordHashing(
                parameters: settings.hashing.parameters,
                threadCount: 1,
                queueLimit: 1,
                entropy: .system,
                metrics: metrics
            )
            hashing.start()
            try await providePartitions(pool, settings)
            let register = Register(
                database: pool,
                hashing: hashing,
                throttle: Throttle(redis: nil, logger: logger, metrics: metrics),
                settings: settings.accounts,
                entropy: .system
            )
            let made: AccountView?
            do {
                made = try await register.administrator(
                    Registration(
                        email: login,
                        username: nil,
                        password: password,
                        profile: AccountProfile()
                    ),
                    in: pool,
                    .terminal("admin create", now: now)
                )
            } catch let refusal as RegisterRefusal {
                throw CommandFailure(.failure, refusal.sentence)
            }
            try await hashing.stop()
            guard made != nil else { return nil }
            // Shown once, to the one who asked for it.
            let text = String(decoding: password.exposed, as: UTF8.self)
            return FirstAdministrator(login: login, password: text)
        }
    }

    /// A page of the audit log.
    static func listAudit(
        databaseURL: String,
        _ filter: AuditFilter,
        _ request: PageRequest
    ) async throws -> Page<AuditEntry> {
        try await withPool(PostgresConfiguration(databaseURL)) { pool in
            try await AuditLists(database: pool).entries(filter, request)
        }
    }

    /// The keys of the ring.
    static func listKeys(_ settings: Settings) async throws -> [KeyView] {
        try await withPool(settings.server.postgres) { pool in
            KeyView.views(try await pool.rows(KeyStore.list()), at: WallClock.system.now())
        }
    }

    /// Makes a new signing key, which takes over once every node knows it, or `atOnce`.
    ///
    /// As the API does it: with an entry in the audit log, and no more keys than there may be.
    static func rotateKeys(_ settings: Settings, atOnce: Bool) async throws -> KeyView {
        try await withKeys(settings) { keys, _ in
            // Whoever cannot open them all makes none that others might not open.
            try await keys.reload()
            if let flaw = keys.flaw { throw flaw }
            return try await keys.makeSigningKey(
                atOnce: atOnce,
                by: nil,
                .terminal("keys rotate", now: WallClock.system.now())
            )
        }
    }

    /// Takes a signing key out of use; its tokens are refused on every node when this returns.
    static func removeKey(_ id: KeyID, _ settings: Settings) async throws {
        try await withKeys(settings) { keys, _ in
            try await keys.reload()
            try await keys.removeSigningKey(
                id,
                by: nil,
                .terminal("keys remove", now: WallClock.system.now())
            )
        }
    }

    /// Seals every stored key with the newest master key that is configured.
    static func rewrapKeys(_ settings: Settings) async throws -> Rewrapped {
        try await withKeys(settings) { keys, factors in
            let count = try await keys.rewrap()
            let seeds = try await factors.rewrap()
            return Rewrapped(keys: count, seeds: seeds.sealed, unopened: seeds.unopened)
        }
    }

    /// The routes: method, path, who may call.
    static func routes() -> [(method: String, path: String, gate: String)] {
        (PublicAPI.catalogue.operations + ManagementAPI.catalogue.operations).map { info in
            (info.methods.title, info.pattern.text, info.gate.title)
        }
    }

    private static func withKeys<R: Sendable>(
        _ settings: Settings,
        _ body: @Sendable (KeyKeeper, SecondFactors) async throws -> R
    ) async throws -> R {
        guard let secret = settings.server.masterKey else { throw MasterKeyError.malformed }
        let masterKey = try MasterKey(secret)
        return try await withStores(settings.server.postgres) { pool, group in
            do {
                let members = try authorityMembers(settings, group)
                try await providePartitions(pool, settings)
                return try await body(
                    KeyKeeper(
                        database: pool,
                        revoker: revoker(pool, members),
                        masterKey: masterKey,
                        settings: settings.keys,
                        clock: .system,
                        entropy: .system,
                        logger: quiet("watchword.keys"),
                        metrics: MetricsRegistry()
                    ),
                    SecondFactors(
                        database: pool,
                        revoker: revoker(pool, members),
                        masterKey: masterKey,
                        publicURL: settings.sessions.issuer,
                        entropy: .system
                    )
                )
            } catch let error as MasterKeyError {
                throw CommandFailure(.failure, "\(error)")
            }
        }
    }

    /// A command answers on standard output; what goes wrong is its error, not a log line.
    static func quiet(_ label: String) -> Logger {
        Logger(label: label) { _ in SwiftLogNoOpLogHandler() }
    }

    /// Makes the partitions that a command writes into: perhaps no node has run for weeks.
    static func providePartitions(_ pool: PostgresPool, _ settings: Settings) async throws {
        try await PartitionKeeper(
            pool: pool,
            tables: settings.partitionedTables,
            clock: .system,
            logger: quiet("watchword.partitions")
        ).provide()
    }

    /// A pool of its own for one command.
    private static func withPool<R: Sendable>(
        _ configuration: PostgresConfiguration,
        _ body: (PostgresPool) async throws -> R
    ) async throws -> R {
        try await withStores(configuration) { pool, _ in try await body(pool) }
    }

    /// A pool of its own for one command, and the event loop it lives on.
    static func withStores<R: Sendable>(
        _ configuration: PostgresConfiguration,
        _ body: (PostgresPool, MultiThreadedEventLoopGroup) async throws -> R
    ) async throws -> R {
        let threads = NIOThreadPool(numberOfThreads: 1)
        threads.start()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let pool = PostgresPool(
            configuration: configuration,
            eventLoopGroup: group,
            threadPool: threads,
            logger: quiet("watchword.postgres"),
            metrics: MetricsRegistry()
        )
        do {
            try await pool.start()
        } catch let error as PostgresError {
            throw CommandFailure(.unavailable, "The database cannot be reached: \(error)")
        }
        let result: Result<R, any Error>
        do {
            result = .success(try await body(pool, group))
        } catch {
            result = .failure(error)
        }
        await pool.close()
        try await threads.shutdownGracefully()
        return try result.get()
    }
}

extension RegisterRefusal {
    /// What a person at a terminal is told.
    fileprivate var sentence: String {
        switch self {
        case .invalid(let errors):
            errors.map { "\($0.member) \($0.detail)" }.joined(separator: "; ")
        case .emailTaken: "There is an account with that address already."
        case .usernameTaken: "That user name is taken."
        case .closed, .throttled: code.rawValue
        }
    }
}

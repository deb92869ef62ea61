// Administration at the terminal: the use cases of the API over a pool of the command's own, for
// the operator who has the database. It makes no SQL and judges nothing itself. What it revokes
// goes through a Revoker with the members of the authority, so a change is in force on every node
// when the command returns (W1, W11); nodes need not run for it, and none is asked.
import Access
import Accounts
import NIOPosix
import Postgres
import Primitives
import Redis
import Revocation
import Sessions
import Tokens

/// The use cases of one command.
struct TerminalDesk: Sendable {
    /// Lists of accounts.
    let accounts: AccountLists
    /// Making accounts.
    let create: CreateAccount
    /// Disabling, enabling, deleting.
    let changeState: ChangeAccountState
    /// Wanting passwords replaced.
    let requirePasswordChange: RequirePasswordChange
    /// Taking lost second factors away.
    let resetSecondFactor: ResetSecondFactor
    /// Lifting throttles.
    let unlock: UnlockAccount
    /// Ending sessions.
    let endSessions: EndSessions
    /// Making and removing roles.
    let roles: RoleAdministration
    /// Giving and taking roles.
    let assignments: Assignments
    /// Organisations.
    let organisations: Organisations
    /// Keys of services.
    let keys: APIKeys
    /// What journals keep of the command.
    let trace: RequestTrace

    /// Whom changes are by.
    let by = Grantor.terminal

    init(
        _ settings: Settings,
        pool: PostgresPool,
        revoker: Revoker,
        throttle: Throttle,
        hashing: PasswordHashing,
        trace: RequestTrace
    ) {
        let entropy = Entropy.system
        accounts = AccountLists(database: pool)
        create = CreateAccount(
            revoker: revoker,
            hashing: hashing,
            settings: settings.accounts,
            entropy: entropy
        )
        let wantsConfirmed = settings.accounts.requiresConfirmation
        changeState = ChangeAccountState(
            revoker: revoker,
            wantsConfirmed: wantsConfirmed,
            entropy: entropy
        )
        requirePasswordChange = RequirePasswordChange(revoker: revoker, entropy: entropy)
        resetSecondFactor = ResetSecondFactor(revoker: revoker, entropy: entropy)
        unlock = UnlockAccount(
            revoker: revoker,
            throttle: throttle,
            rules: settings.signIn,
            entropy: entropy
        )
        endSessions = EndSessions(
            revoker: revoker,
            collapseAfter: settings.revocation.collapseAfter,
            entropy: entropy
        )
        roles = RoleAdministration(revoker: revoker, database: pool, entropy: entropy)
        assignments = Assignments(
            revoker: revoker,
            database: pool,
            wantsConfirmed: wantsConfirmed,
            entropy: entropy
        )
        organisations = Organisations(revoker: revoker, database: pool, entropy: entropy)
        keys = APIKeys(revoker: revoker, database: pool, entropy: entropy)
        self.trace = trace
    }

    /// An account that is called by its id, its address or its user name.
    ///
    /// - Throws: `CommandFailure` where there is none.
    func account(_ name: String) async throws -> AccountDetail {
        do {
            let id = try await accounts.named(name)
            return try await accounts.get(id, in: .everywhere, now: trace.now)
        } catch AdministrationRefusal.noSuchAccount {
            throw CommandFailure(.notFound, "There is no account \(JSONText.plain(name)).")
        }
    }

    /// A role that is called by its id or its name.
    ///
    /// - Throws: `CommandFailure` where there is none.
    func role(_ name: String) async throws -> RoleView {
        do {
            return try await roles.find(roles.named(name))
        } catch RoleRefusal.notFound {
            throw CommandFailure(.notFound, "There is no role \(JSONText.plain(name)).")
        }
    }
}

extension TerminalDesk {
    /// An organisation that is called by its id or its name.
    ///
    /// - Throws: `CommandFailure` where there is none.
    func organisation(_ name: String) async throws -> OrganisationView {
        do {
            return try await organisations.find(organisations.named(name), within: .everywhere)
        } catch OrganisationRefusal.notFound {
            throw CommandFailure(.notFound, "There is no organisation \(JSONText.plain(name)).")
        }
    }
}

extension RequestTrace {
    /// What journals keep of a command: no address, for there was no connection.
    static func terminal(_ command: String, now: Timestamp) -> RequestTrace {
        RequestTrace(
            requestID: RequestID(at: now, entropy: .system),
            now: now,
            address: "terminal",
            userAgent: "watchword \(command)"
        )
    }
}

extension Services {
    /// Lends the use cases of administration to `body`.
    ///
    /// - Parameter needsThrottle: whether Redis must be asked, where failed sign-ins are counted.
    /// - Throws: `CommandFailure` with one sentence where a person can mend it.
    static func administer<R: Sendable>(
        _ settings: Settings,
        needsThrottle: Bool = false,
        _ body: (TerminalDesk) async throws -> R
    ) async throws -> R {
        try settings.server.requireDatabase()
        return try await withStores(settings.server.postgres) { pool, group in
            try await ready(pool, settings)
            let metrics = MetricsRegistry()
            let members = try authorityMembers(settings, group)
            let redis = try needsThrottle ? throttleRedis(settings, group) : nil
            let hashing = PasswordHashing(
                parameters: settings.hashing.parameters,
                threadCount: 1,
                queueLimit: 1,
                entropy: .system,
                metrics: metrics
            )
            let desk = TerminalDesk(
                settings,
                pool: pool,
                revoker: revoker(pool, members),
                throttle: Throttle(
                    redis: redis,
                    logger: quiet("watchword.throttle"),
                    metrics: metrics
                ),
                hashing: hashing,
                trace: .terminal("admin", now: WallClock.system.now())
            )
            await members.start()
            await redis?.start()
            hashing.start()
            let result: Result<R, any Error>
            do {
                result = .success(try await body(desk))
            } catch {
                result = .failure(error)
            }
            await redis?.close()
            await members.close()
            try await hashing.stop()
            return try result.get()
        }
    }

    /// Refuses a schema of another version, and makes the partitions that journals are written to.
    private static func ready(_ pool: PostgresPool, _ settings: Settings) async throws {
        do {
            try await Migrator(pool: pool, migrations: embeddedMigrations).check()
        } catch let error as MigrationError {
            throw CommandFailure(.failure, "\(error)")
        }
        try await providePartitions(pool, settings)
    }

    private static func throttleRedis(
        _ settings: Settings,
        _ group: MultiThreadedEventLoopGroup
    ) throws -> RedisPool {
        try RedisPool(
            configuration: try settings.server.redis(),
            eventLoopGroup: group,
            scripts: ThrottleScripts.all,
            logger: quiet("watchword.redis"),
            metrics: MetricsRegistry()
        )
    }
}

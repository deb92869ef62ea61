// The composition root: every object of a node, built by hand, in order, in one function. Commands
// and tests build nodes here and nowhere else.
import Access
import Accounts
import Audit
import Logging
import Messaging
import NIOCore
import NIOPosix
import Postgres
import Primitives
import Redis
import Revocation
import ServiceLifecycle
import Sessions
import Tokens
import Web

/// One node.
struct Node: Sendable {
    let settings: Settings
    let group: MultiThreadedEventLoopGroup
    let threads: NIOThreadPool
    let metrics: MetricsRegistry
    let pool: PostgresPool
    let redis: RedisPool
    let migrator: Migrator
    let partitions: PartitionKeeper
    let statistics: StatisticsKeeper
    let horizon: TokenHorizon
    let keys: KeyKeeper
    let roles: RoleKeeper
    let routes: RouteKeeper
    let readIndex: ReadIndex
    let sampler: RevocationSampler
    let members: AuthorityMembers
    let revoker: Revoker
    let keeper: AuthorityKeeper
    let hashing: PasswordHashing
    let keyUses: KeyUses
    let drain: Drain
    let answers: IdempotencyKeeper
    let web: WebServices
    let log: @Sendable (String) -> Logger

    /// Builds a node; nothing is opened yet.
    static func make(
        _ settings: Settings,
        clock: WallClock = .system,
        entropy: Entropy = .system,
        database adjust: (inout PostgresConfiguration) -> Void = { _ in },
        log: @escaping @Sendable (String) -> Logger
    ) throws -> Node {
        guard let secret = settings.server.masterKey else { throw MasterKeyError.malformed }
        let metrics = MetricsRegistry()
        let loops = settings.web.eventLoops
        let loopCount = loops == 0 ? System.coreCount : loops
        let group = MultiThreadedEventLoopGroup(numberOfThreads: loopCount)
        let threads = NIOThreadPool(numberOfThreads: 2)
        var database = settings.server.postgres(loops: loopCount)
        adjust(&database)
        let pool = PostgresPool(
            configuration: database,
            eventLoopGroup: group,
            threadPool: threads,
            logger: log("watchword.postgres"),
            metrics: metrics
        )
        let redis = try RedisPool(
            configuration: try settings.server.redis(),
            eventLoopGroup: group,
            scripts: ThrottleScripts.all,
            logger: log("watchword.redis"),
            metrics: metrics
        )
        let members = try AuthorityMembers(
            settings.authority,
            group: group,
            logger: log("watchword.authority"),
            metrics: metrics
        )
        let revoker = Revoker(
            database: pool,
            members: members,
            mirror: settings.revocation.isMirrored
                ? RevocationMirror(redis: redis, clock: clock, metrics: metrics) : nil,
            logger: log("watchword.authority"),
            metrics: metrics
        )
        let masterKey = try MasterKey(secret)
        let keys = KeyKeeper(
            database: pool,
            revoker: revoker,
            masterKey: masterKey,
            settings: settings.keys,
            clock: clock,
            entropy: entropy,
            logger: log("watchword.keys"),
            metrics: metrics
        )
        let horizon = TokenHorizon(
            lifetime: settings.sessions.accessLifetime,
            database: pool,
            logger: log("watchword.tokens")
        )
        let readIndex = ReadIndex(
            database: pool,
            members: members,
            revoker: revoker,
            readLimit: settings.web.readLimit,
            pace: settings.revocation.pace,
            clock: clock,
            entropy: entropy,
            logger: log("watchword.revocation"),
            metrics: metrics
        )
        let roles = RoleKeeper(
            database: pool,
            readIndex: readIndex,
            readLimit: settings.web.readLimit,
            logger: log("watchword.access"),
            metrics: metrics
        )
        let routes = RouteKeeper(
            isOn: settings.web.judgesRoutes,
            database: pool,
            readIndex: readIndex,
            readLimit: settings.web.readLimit,
            logger: log("watchword.access")
        )
        let sampler = RevocationSampler(
            share: settings.revocation.samplerShare,
            database: pool,
            readIndex: readIndex,
            authority: settings.authority,
            entropy: entropy,
            logger: log("watchword.revocation"),
            metrics: metrics
        )
        let hashing = PasswordHashing(
            parameters: settings.hashing.parameters,
            threadCount: settings.hashing.threadCount,
            queueLimit: settings.hashing.queueLimit,
            entropy: entropy,
            metrics: metrics
        )
        let answers = IdempotencyKeeper(
            database: pool,
            masterKey: masterKey,
            logger: log("watchword.idempotency")
        )
        let keyUses = KeyUses(database: pool, logger: log("watchword.access"))
        let web = makeWeb(
            settings,
            clock: clock,
            entropy: entropy,
            pool: pool,
            revoker: revoker,
            throttle: Throttle(redis: redis, logger: log("watchword.throttle"), metrics: metrics),
            keys: keys,
            horizon: horizon,
            roles: roles,
            routes: routes,
            readIndex: readIndex,
            sampler: sampler,
            hashing: hashing,
            cache: TokenCache(limit: settings.web.tokenCacheLimit, metrics: metrics),
            answers: answers,
            masterKey: masterKey,
            keyUses: keyUses,
            metrics: metrics
        )
        return Node(
            settings: settings,
            group: group,
            threads: threads,
            metrics: metrics,
            pool: pool,
            redis: redis,
            migrator: Migrator(pool: pool, migrations: embeddedMigrations),
            partitions: PartitionKeeper(
                pool: pool,
                tables: settings.partitionedTables,
                clock: clock,
                logger: log("watchword.partitions")
            ),
            statistics: StatisticsKeeper(
                database: pool,
                longestSession: settings.sessions.absoluteLimit,
                clock: clock,
                logger: log("watchword.statistics")
            ),
            horizon: horizon,
            keys: keys,
            roles: roles,
            routes: routes,
            readIndex: readIndex,
            sampler: sampler,
            members: members,
            revoker: revoker,
            keeper: AuthorityKeeper(
                settings: settings.authority,
                database: pool,
                members: members,
                revoker: revoker,
                readIndex: readIndex,
                entropy: entropy,
                logger: log("watchword.authority")
            ),
            hashing: hashing,
            keyUses: keyUses,
            drain: Drain(),
            answers: answers,
            web: web,
            log: log
        )
    }

    /// The use cases.
    private static func makeWeb(
        _ settings: Settings,
        clock: WallClock,
        entropy: Entropy,
        pool: PostgresPool,
        revoker: Revoker,
        throttle: Throttle,
        keys: KeyKeeper,
        horizon: TokenHorizon,
        roles: RoleKeeper,
        routes: RouteKeeper,
        readIndex: ReadIndex,
        sampler: RevocationSampler,
        hashing: PasswordHashing,
        cache: TokenCache,
        answers: IdempotencyKeeper,
        masterKey: MasterKey,
        keyUses: KeyUses,
        metrics: MetricsRegistry
    ) -> WebServices {
        let minting = Minting(
            settings: settings.sessions,
            keys: keys,
            horizon: horizon,
            entropy: entropy
        )
        let issuer = settings.sessions.issuer
        let secondFactors = SecondFactors(
            database: pool,
            revoker: revoker,
            masterKey: masterKey,
            publicURL: issuer,
            entropy: entropy
        )
        let rights = RightsResolver(database: pool, readIndex: readIndex, metrics: metrics)
        return WebServices(
            register: Register(
                database: pool,
                hashing: hashing,
                throttle: throttle,
                settings: settings.accounts,
                entropy: entropy
            ),
            accounts: AccountReader(database: pool),
            signIn: SignIn(
                database: pool,
                revoker: revoker,
                hashing: hashing,
                throttle: throttle,
                rules: settings.signIn,
                secondFactors: secondFactors,
                minting: minting,
                settings: settings.accounts,
                entropy: entropy
            ),
            refresh: Refresh(
                database: pool,
                revoker: revoker,
                minting: minting,
                collapseAfter: settings.revocation.collapseAfter,
                entropy: entropy
            ),
            logOut: LogOut(
                revoker: revoker,
                minting: minting,
                collapseAfter: settings.revocation.collapseAfter,
                entropy: entropy
            ),
            sessionOrganisation: SessionOrganisation(database: pool, entropy: entropy),
            changePassword: ChangePassword(
                database: pool,
                revoker: revoker,
                hashing: hashing,
                throttle: throttle,
                rules: settings.signIn,
                secondFactors: secondFactors,
                minimumLength: settings.accounts.minimumPasswordLength,
                minting: minting,
                entropy: entropy
            ),
            lists: SessionLists(database: pool),
            verifier: Verifier(
                checker: AccessTokenChecker(
                    issuer: issuer,
                    audiences: [settings.sessions.audience]
                ),
                keys: keys,
                cache: cache,
                budget: SignatureBudget(
                    perMinute: settings.web.failedChecks,
                    metrics: metrics
                ),
                readIndex: readIndex,
                sampler: sampler,
                resolver: SessionResolver(database: pool, metrics: metrics),
                roles: roles,
                rights: rights,
                apiKeys: KeyResolver(
                    database: pool,
                    readIndex: readIndex,
                    horizon: horizon,
                    audience: settings.sessions.audience,
                    metrics: metrics
                ),
                keyUses: keyUses,
                clock: clock
            ),
            recentProof: RecentProof(within: settings.administration.recentSignIn),
            secondFactors: secondFactors,
            administrationWantsSecondFactor: settings.administration.wantsSecondFactor,
            networks: AdministrationNetworks(
                settings.administrationNetworks,
                behind: settings.web.trustedProxies,
                metrics
            ),
            approvals: Approvals(for: settings.twoPeople, database: pool, entropy: entropy),
            keys: keys,
            roles: roles,
            rights: rights,
            administration: makeAdministration(
                settings,
                entropy: entropy,
                pool: pool,
                revoker: revoker,
                throttle: throttle,
                hashing: hashing,
                minting: minting
            ),
            routes: routes,
            routeRules: RouteRules(database: pool, revoker: revoker, entropy: entropy),
            cookies: SessionCookies(isSecure: issuer.hasPrefix("https://")),
            verify: VerifySettings(
                source: settings.web.verifySource,
                believesEveryPeer: settings.server.mode == .development,
                readsRequirements: settings.web.verifyReadsRequirements,
                allowedOrigins: settings.web.allowedOrigins.union([issuer]),
                mode: settings.web.verifyMode,
                judgesRoutes: settings.web.judgesRoutes
            ),
            verifyCounters: VerifyCounters(metrics),
            answers: answers,
            marks: masterKey,
            insight: InsightServices(
                audit: AuditLists(database: pool),
                statistics: Statistics(database: pool),
                settings: settings.declarations
            )
        )
    }

    /// The use cases of administration.
    private static func makeAdministration(
        _ settings: Settings,
        entropy: Entropy,
        pool: PostgresPool,
        revoker: Revoker,
        throttle: Throttle,
        hashing: PasswordHashing,
        minting: Minting
    ) -> AdministrationServices {
        let wantsConfirmed = settings.accounts.requiresConfirmation
        return AdministrationServices(
            accounts: AccountLists(database: pool),
            create: CreateAccount(
                revoker: revoker,
                hashing: hashing,
                settings: settings.accounts,
                entropy: entropy
            ),
            edit: EditAccount(revoker: revoker, wantsConfirmed: wantsConfirmed, entropy: entropy),
            changeState: ChangeAccountState(
                revoker: revoker,
                wantsConfirmed: wantsConfirmed,
                entropy: entropy
            ),
            requirePasswordChange: RequirePasswordChange(revoker: revoker, entropy: entropy),
            resetSecondFactor: ResetSecondFactor(revoker: revoker, entropy: entropy),
            unlock: UnlockAccount(
                revoker: revoker,
                throttle: throttle,
                rules: settings.signIn,
                entropy: entropy
            ),
            endSessions: EndSessions(
                revoker: revoker,
                collapseAfter: settings.revocation.collapseAfter,
                entropy: entropy
            ),
            impersonate: Impersonate(
                revoker: revoker,
                minting: minting,
                settings: settings.administration,
                entropy: entropy
            ),
            permissions: PermissionRegistry(database: pool, entropy: entropy),
            roles: RoleAdministration(revoker: revoker, database: pool, entropy: entropy),
            assignments: Assignments(
                revoker: revoker,
                database: pool,
                wantsConfirmed: wantsConfirmed,
                entropy: entropy
            ),
            organisations: Organisations(revoker: revoker, database: pool, entropy: entropy),
            services: ServiceAccounts(database: pool, entropy: entropy),
            keys: APIKeys(revoker: revoker, database: pool, entropy: entropy)
        )
    }
}

extension ServerSettings {
    /// How many statements of a node are committed at the same time, at least: each waits for the
    /// disk, and PostgreSQL lets those that wait together share the wait.
    private static let writers = 8

    /// How a node with this many event loops talks to PostgreSQL.
    func postgres(loops: Int) -> PostgresConfiguration {
        var configuration = postgres
        configuration.writeConnections = max(1, Self.writers / loops)
        return configuration
    }

    /// How a command, which does one thing at a time, talks to PostgreSQL.
    var postgres: PostgresConfiguration {
        var configuration = PostgresConfiguration(databaseURL)
        configuration.waitLimit = databaseLimits.wait
        configuration.statementDeadline = databaseLimits.statement
        configuration.lockTimeout = databaseLimits.lock
        return configuration
    }

    /// How a node talks to Redis.
    func redis() throws -> RedisConfiguration {
        var configuration = try RedisConfiguration(url: redisURL)
        configuration.commandDeadline = redisLimit
        return configuration
    }
}

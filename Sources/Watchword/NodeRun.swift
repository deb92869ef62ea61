// The life of a node: open the stores, make sure that everything /verify needs is there, listen,
// and on SIGTERM stop accepting, finish what is in flight, close.
import Access
import Accounts
import Logging
import NIOCore
import NIOPosix
import Postgres
import Primitives
import Redis
import Revocation
import ServiceLifecycle
import Synchronization
import Tokens
import UnixSignals
import Web

/// Whether the node is on its way out.
final class Drain: Service {
    private let draining = Atomic<Bool>(false)

    /// Whether it is.
    var isDraining: Bool { draining.load(ordering: .relaxed) }

    func run() async throws {
        // gracefulShutdown throws when the task is cancelled, which is the end as well.
        try? await gracefulShutdown()
        draining.store(true, ordering: .relaxed)
    }
}

extension Node {
    /// How far the node's clock may be from the database's: half the margin that revocations are
    /// kept by (revocation.md H13).
    static let skewLimit: Duration = .seconds(60)

    /// Opens the stores and loads what every request needs.
    ///
    /// - Throws: `CommandFailure` with one sentence where a person can mend it.
    func open() async throws {
        threads.start()
        hashing.start()
        do {
            try await pool.start()
        } catch let error as PostgresError {
            throw CommandFailure(.unavailable, "The database cannot be reached: \(error)")
        }
        do {
            try await migrator.check()
        } catch let error as MigrationError {
            throw CommandFailure(.failure, "\(error)")
        }
        await redis.start()
        await members.start()
        try await partitions.tend()
        try await horizon.assert()
        try await keys.start()
        try await roles.load()
        try await routes.load()
        try await readIndex.load()
    }

    /// Runs the node until a signal asks it to end.
    func run() async throws {
        do {
            try await open()
        } catch {
            await close()
            throw error
        }
        tellGaps()
        let limits = settings.web.limits
        let desks = VerifyDesks(web, group: group, cacheLimit: settings.web.tokenCacheLimit)
        let roleSweeper = RoleSweeper(database: pool, logger: log("watchword.access"))
        let sweeper = OrganisationSweeper(database: pool, logger: log("watchword.access"))
        let approvals = ApprovalSweeper(database: pool, logger: log("watchword.access"))
        let listener = PublicListener()
        let services: [any Service] = [
            // What listeners need comes before them: services end in the opposite order.
            pool, redis, partitions, statistics, horizon, keys, roles, routes, roleSweeper, sweeper,
            approvals, keeper, sampler, keyUses, answers, desks,
            AfterListening(
                listener: listener,
                service: HTTPServer(
                    HTTPSettings(
                        address: .tcp(
                            host: settings.server.managementHost,
                            port: settings.server.managementPort
                        ),
                        issuer: settings.server.publicURL,
                        limits: limits
                    ),
                    routes: ManagementAPI.routes(metrics: metrics, readiness: readiness),
                    group: group,
                    logger: log("watchword.management")
                )
            ),
            HTTPServer(
                HTTPSettings(
                    address: .tcp(host: settings.server.host, port: settings.server.port),
                    issuer: settings.server.publicURL,
                    tls: settings.web.tls,
                    allowedOrigins: settings.web.allowedOrigins,
                    trustedProxies: settings.web.trustedProxies,
                    limits: limits
                ),
                routes: web.publicRoutes(),
                group: group,
                logger: log("watchword.http"),
                front: settings.web.hasFastPath ? desks : nil,
                onListening: { _ in listener.open() }
            ),
            drain,
        ]
        let lifecycle = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: services.map { .init(service: $0) },
                gracefulShutdownSignals: [.sigterm, .sigint],
                logger: log("watchword.lifecycle")
            )
        )
        do {
            try await lifecycle.run()
        } catch let error as IOError {
            await close()
            throw CommandFailure(.failure, "A port cannot be listened on: \(error).")
        }
        await close()
    }

    /// Warns where two people are wanted and one can be both.
    private func tellGaps() {
        let gaps = TwoPeople.gaps(in: settings.twoPeople)
        guard !gaps.isEmpty else { return }
        log("watchword.access").warning(
            "one administrator alone can make the second person",
            metadata: ["missing": "\(gaps.joined(separator: " "))"]
        )
    }

    /// Closes what `open` opened.
    func close() async {
        await redis.close()
        await members.close()
        await pool.close()
        do {
            try await hashing.stop()
            try await threads.shutdownGracefully()
        } catch {
            log("watchword").warning("threads did not end", metadata: ["error": "\(error)"])
        }
    }

    /// What `/readyz` says: not ready only when draining or when /verify cannot answer.
    @Sendable func readiness() async -> Readiness {
        var database: String?
        do {
            try await readIndex.confirm()
        } catch ReadIndexFault.unknownKind {
            database = "\(ReadIndexFault.unknownKind)"
        } catch {
            database = "the revocation log cannot be read"
        }
        let skew = readIndex.known.skew
        var checks: [Readiness.Check] = [
            .init(
                "draining",
                complaint: drain.isDraining ? "on its way out" : nil,
                isRequired: true
            ),
            .init("postgres", complaint: database, isRequired: true),
            .init(
                "clock",
                complaint: skew > Self.skewLimit
                    ? "\(skew.wholeSeconds) s away from the database's" : nil,
                isRequired: true
            ),
            keyCheck(),
            .init(
                "redis",
                complaint: redis.isAvailable
                    ? nil : "not reachable: throttles count on this node alone",
                isRequired: false
            ),
        ]
        if !settings.authority.members.isEmpty { checks.append(authorityCheck()) }
        return Readiness(checks)
    }

    /// What the question before has shown of the members: PostgreSQL answers where they do not, so
    /// the node serves without them.
    private func authorityCheck() -> Readiness.Check {
        let isAdopted = readIndex.authority?.state == .redis
        let complaint: String? =
            if !isAdopted {
                "PostgreSQL is asked instead of the members"
            } else if !readIndex.isAnsweredByMembers {
                "the members do not answer: PostgreSQL is asked instead"
            } else {
                nil
            }
        return .init("authority", complaint: complaint, isRequired: false)
    }

    /// Without the key that signs, this node signs nothing and soon knows no token.
    private func keyCheck() -> Readiness.Check {
        let canSign = keys.canSign
        let complaint = keys.flaw.map { _ in "a key does not open with the configured master key" }
        return .init(
            "keys",
            complaint: complaint ?? (canSign ? nil : "there is no key that signs"),
            isRequired: !canSign
        )
    }
}

// Everything that a campaign tests: two PostgreSQL servers, Redis, the members of the authority,
// three nodes of the built binary, the fault proxy between each node and each store, and an nginx
// before each node.
import ChaosKit
import Glibc
import Primitives
import TestKit

/// How somebody signs in.
struct Credentials: Sendable {
    let login: String
    let password: String
}

/// The servers of a campaign.
final class Rig: Sendable {
    static let nodeCount = 3
    let database: Database
    let redis: RedisServer
    let members: Members
    let clocks: WallClocks
    let proxy: FaultProxy
    let nodes: [Node]
    /// nginx before each node; nil where nobody asks through it.
    let gateways: Gateways?
    /// The administrator's.
    let root: Credentials
    private let folder: String
    private let janitor: Int32

    /// The routes of a node to its stores: the first PostgreSQL, the second, Redis.
    static func routes(of node: Int) -> Range<Int> { node * 3..<node * 3 + 3 }

    /// The route of a node to a member.
    static func route(of node: Int, toMember member: Int) -> Int {
        nodeCount * 3 + member * nodeCount + node
    }

    /// Starts all of it and waits until the nodes are ready.
    init(_ plan: CampaignPlan) async throws {
        folder = try PrivateFolder.make("ww-chaos")
        janitor = try PrivateFolder.removeAtExit(folder)
        let free = try FreePorts.take(2 + Self.nodeCount * 4)
        let isSynchronous = !plan.mayLose
        database = try await Blocking.run {
            try Database(isSynchronous: isSynchronous, ports: Array(free[..<2]))
        }
        var options = RedisServer.Options()
        options.tcp = true
        options.lines = ["repl-diskless-sync-delay 0"]
        redis = try await RedisServer.start(options)
        members = try await Members(plan.topology.members)
        let upstream = database.ports + [redis.port]
        let owners = Owners(Self.nodeCount)
        proxy = try FaultProxy(
            upstream: (0..<Self.nodeCount).flatMap { _ in upstream },
            shared: members.ports,
            clients: Self.nodeCount,
            client: { owners.owner(of: $0) }
        )
        let common = Self.variables(plan, proxy)
        let direct = common.merging(Self.stores([free[0]], redis: redis.port)) { $1 }
        root = try await Self.prepare(direct, plan.binary, "\(folder)/migrate.log")
        let (proxy, folder) = (proxy, folder)
        let clocks = try WallClocks(Self.nodeCount, in: folder)
        self.clocks = clocks
        nodes = (0..<Self.nodeCount).map { index in
            let ports = Self.routes(of: index).map { proxy.ports[$0] }
            return Node(
                binary: plan.binary,
                variables: common.merging(Self.stores(Array(ports[..<2]), redis: ports[2])) { $1 }
                    .merging(clocks.variables(of: index)) { $1 }
                    // As in production: one node whose loops wake and wait for each other.
                    .merging(index == 1 ? ["WATCHWORD_HTTP_EVENT_LOOPS": "2"] : [:]) { $1 },
                ports: (free[2 + index * 2], free[3 + index * 2]),
                log: "\(folder)/node\(index).log",
                onStart: { owners.set($0, at: index) }
            )
        }
        let further = Array(free[(2 + Self.nodeCount * 2)...])
        gateways = try await Self.openGateways(plan, nodes.map(\.port), further, folder)
        for node in nodes { try node.start() }
        try await waitUntilReady(plan)
    }

    private func waitUntilReady(_ plan: CampaignPlan) async throws {
        let deadline = Deadline.after(.seconds(120))
        for node in nodes {
            while !node.isReady || (members.count > 0 && !node.asksMembers) {
                guard node.isRunning, !deadline.hasPassed else {
                    throw ChaosError("a node is not ready: \(node.lastWords)")
                }
                try await Task.sleep(for: .milliseconds(50))
            }
        }
        try await gateways?.waitUntilGuarding(deadline)
    }

    /// - Parameter free: two ports for each node.
    private static func openGateways(
        _ plan: CampaignPlan,
        _ nodes: [Int],
        _ free: [Int],
        _ folder: String
    ) async throws -> Gateways? {
        guard plan.through != .nodes else { return nil }
        return try await Blocking.run {
            try Gateways(
                before: nodes,
                ports: Array(free[..<nodes.count]),
                applications: Array(free[nodes.count...]),
                in: folder
            )
        }
    }

    deinit { stop() }

    /// Whether the members are the authority, as far as any node knows.
    var isAdopted: Bool { nodes.contains { $0.asksMembers } }

    /// Ends the gateways, the nodes and the proxy; the stores end with their watchdogs.
    func stop() {
        gateways?.stop()
        for node in nodes { node.kill() }
        proxy.stop()
        close(janitor)
    }

    /// Makes the tables and the first administrator.
    private static func prepare(
        _ variables: [String: String],
        _ binary: String,
        _ log: String
    ) async throws -> Credentials {
        let login = "root@example.test"
        for words in [["migrate"], ["admin", "create", "--login", login, "--json"]] {
            let all = command(variables, [binary] + words)
            let status = try await Blocking.run { try ChildProcess.launch(all, log: log).wait() }
            guard status == 0 else {
                throw ChaosError("\(words[0]): \(PrivateFolder.read(log))")
            }
        }
        let made = Reply(status: 200, body: PrivateFolder.read(log)).text("password")
        guard let made else { throw ChaosError("no administrator: \(PrivateFolder.read(log))") }
        return Credentials(login: login, password: made)
    }

    private static func command(
        _ variables: [String: String],
        _ words: [String]
    ) -> [String] {
        ["env", "-i"] + variables.map { "\($0.key)=\($0.value)" } + words
    }

    private static func stores(_ postgres: [Int], redis: Int) -> [String: String] {
        let hosts = postgres.map { "127.0.0.1:\($0)" }.joined(separator: ",")
        return [
            "WATCHWORD_DATABASE_URL": "postgresql://postgres@\(hosts)/postgres",
            "WATCHWORD_REDIS_URL": "redis://127.0.0.1:\(redis)",
        ]
    }

    private static func variables(_ plan: CampaignPlan, _ proxy: FaultProxy) -> [String: String] {
        var variables = [
            "PATH": "/usr/bin:/bin",
            "WATCHWORD_PUBLIC_URL": "https://auth.example.test",
            "WATCHWORD_KEYS_MASTER": Base64URL.encode(Entropy.system.bytes(32)),
            "WATCHWORD_ACCOUNTS_CONFIRMATION": "off",
            "WATCHWORD_LOG_LEVEL": "warning",
            "WATCHWORD_HTTP_EVENT_LOOPS": "1",
            "WATCHWORD_HTTP_TRUSTED_PROXIES": "127.0.0.1",
            "WATCHWORD_VERIFY_ORIGINAL_REQUEST": "x-original",
            "WATCHWORD_PASSWORDS_MEMORY": "8MiB",
            "WATCHWORD_PASSWORDS_PASSES": "1",
            "WATCHWORD_SESSIONS_ACCESS_LIFETIME": "2h",
            // An administrator signs in once for all of a campaign.
            "WATCHWORD_ADMINISTRATION_RECENT_SIGN_IN": "0s",
            "WATCHWORD_THROTTLE_SIGN_IN_PER_ADDRESS": "1000000",
            "WATCHWORD_THROTTLE_SIGN_IN_PER_ACCOUNT": "100",
            "WATCHWORD_THROTTLE_REGISTRATIONS_PER_ADDRESS": "1000000",
        ]
        if let bound = plan.bound {
            variables["WATCHWORD_VERIFY_MODE"] = "bounded"
            variables["WATCHWORD_VERIFY_STALENESS_LIMIT"] = "\(bound)ms"
        }
        let urls = (0..<plan.topology.members).map { member in
            "redis://127.0.0.1:\(proxy.ports[route(of: 0, toMember: member)])"
        }
        if !urls.isEmpty {
            variables["WATCHWORD_AUTHORITY_MEMBERS"] = urls.joined(separator: ",")
            variables["WATCHWORD_AUTHORITY_USER"] = Members.user
            variables["WATCHWORD_AUTHORITY_PASSWORD"] = Members.password
            variables["WATCHWORD_AUTHORITY_LEASE"] = "\(plan.lease)ms"
            variables["WATCHWORD_AUTHORITY_ADOPT_AFTER"] = "300ms"
            // A busy machine is not to look like a lost member all the time.
            variables["WATCHWORD_AUTHORITY_POLL_LIMIT"] = "200ms"
            variables["WATCHWORD_AUTHORITY_PUBLISH_LIMIT"] = "500ms"
        }
        if let mutant = plan.mutant { variables["WATCHWORD_MUTANT"] = mutant }
        return variables
    }
}

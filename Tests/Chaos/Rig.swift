// Everything that a campaign tests: two PostgreSQL servers, Redis, three nodes of the built binary,
// and the fault proxy between each node and each store.
import ChaosKit
import Glibc
import Primitives
import TestKit

/// Which authority the nodes ask.
///
/// Each is a configuration of the same rig.
enum Topology: String, CaseIterable, Sendable {
    /// PostgreSQL alone, the default.
    case pg
}

/// The servers of a campaign.
final class Rig: Sendable {
    static let nodeCount = 3
    let database: Database
    let redis: RedisServer
    let proxy: FaultProxy
    let nodes: [Node]
    private let folder: String
    private let janitor: Int32

    /// The routes of a node: to the first PostgreSQL, to the second, to Redis.
    static func routes(of node: Int) -> Range<Int> { node * 3..<node * 3 + 3 }

    /// Starts all of it and waits until the nodes are ready.
    init(_ plan: CampaignPlan) async throws {
        folder = try PrivateFolder.make("ww-chaos")
        janitor = try PrivateFolder.removeAtExit(folder)
        let free = try FreePorts.take(2 + Self.nodeCount * 2)
        let isSynchronous = !plan.mayLose
        database = try await Blocking.run {
            try Database(isSynchronous: isSynchronous, ports: Array(free[..<2]))
        }
        var options = RedisServer.Options()
        options.tcp = true
        redis = try await RedisServer.start(options)
        let upstream = database.ports + [redis.port]
        proxy = try FaultProxy(upstream: (0..<Self.nodeCount).flatMap { _ in upstream })
        let binary = plan.binary
        let key = Base64URL.encode(Entropy.system.bytes(32))
        let common = Self.variables(plan, key)
        let migrate = common.merging([
            "WATCHWORD_DATABASE_URL": "postgresql://postgres@127.0.0.1:\(free[0])/postgres",
            "WATCHWORD_REDIS_URL": "redis://127.0.0.1:\(redis.port)",
        ]) { $1 }
        let log = "\(folder)/migrate.log"
        let words = ["env", "-i"] + migrate.map { "\($0.key)=\($0.value)" } + [binary, "migrate"]
        let status = try await Blocking.run { try ChildProcess.launch(words, log: log).wait() }
        guard status == 0 else { throw ChaosError("migrate: \(PrivateFolder.read(log))") }
        let (proxy, folder) = (proxy, folder)
        nodes = (0..<Self.nodeCount).map { index in
            let ports = Self.routes(of: index).map { proxy.ports[$0] }
            let hosts = "127.0.0.1:\(ports[0]),127.0.0.1:\(ports[1])"
            return Node(
                binary: binary,
                variables: common.merging([
                    "WATCHWORD_DATABASE_URL": "postgresql://postgres@\(hosts)/postgres",
                    "WATCHWORD_REDIS_URL": "redis://127.0.0.1:\(ports[2])",
                ]) { $1 },
                port: free[2 + index * 2],
                managementPort: free[3 + index * 2],
                log: "\(folder)/node\(index).log"
            )
        }
        for node in nodes { try node.start() }
        let deadline = Deadline.after(.seconds(120))
        for node in nodes {
            while !node.isReady {
                guard node.isRunning, !deadline.hasPassed else {
                    throw ChaosError("a node is not ready: \(node.lastWords)")
                }
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    deinit { stop() }

    /// Ends the nodes and the proxy; the stores end with their watchdogs.
    func stop() {
        for node in nodes { node.kill() }
        proxy.stop()
        close(janitor)
    }

    private static func variables(_ plan: CampaignPlan, _ key: String) -> [String: String] {
        var variables = [
            "PATH": "/usr/bin:/bin",
            "WATCHWORD_PUBLIC_URL": "https://auth.example.test",
            "WATCHWORD_KEYS_MASTER": key,
            "WATCHWORD_ACCOUNTS_CONFIRMATION": "off",
            "WATCHWORD_LOG_LEVEL": "warning",
            "WATCHWORD_HTTP_EVENT_LOOPS": "1",
            "WATCHWORD_HTTP_TRUSTED_PROXIES": "127.0.0.1",
            "WATCHWORD_VERIFY_ORIGINAL_REQUEST": "x-original",
            "WATCHWORD_PASSWORDS_MEMORY": "8MiB",
            "WATCHWORD_PASSWORDS_PASSES": "1",
            "WATCHWORD_SESSIONS_ACCESS_LIFETIME": "2h",
            "WATCHWORD_THROTTLE_SIGN_IN_PER_ADDRESS": "1000000",
            "WATCHWORD_THROTTLE_SIGN_IN_PER_ACCOUNT": "100",
            "WATCHWORD_THROTTLE_REGISTRATIONS_PER_ADDRESS": "1000000",
        ]
        if let mutant = plan.mutant { variables["WATCHWORD_MUTANT"] = mutant }
        return variables
    }
}

/// Ports that nobody uses at the moment.
enum FreePorts {
    /// `count` different ports of 127.0.0.1.
    static func take(_ count: Int) throws -> [Int] {
        var held: [Int32] = []
        defer { for descriptor in held { close(descriptor) } }
        return try (0..<count).map { _ in
            let (descriptor, port) = try Sockets.listen()
            held.append(descriptor)
            return port
        }
    }
}

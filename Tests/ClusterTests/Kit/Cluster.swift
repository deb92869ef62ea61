// The cluster that the tests speak to: PostgreSQL, Redis, nodes of the built binary and nginx, all
// of them real. Started once and shared, except by tests that break something.
import Glibc
import Primitives
import TestKit
import Tokens

/// A running cluster.
final class Cluster: Sendable {
    /// What a cluster is started with.
    struct Plan: Sendable {
        /// How many nodes.
        var nodes = 3
        /// The URL that people use.
        var publicURL = "https://auth.example.test"
        /// Whether nginx is in front.
        var hasGateway = false
        /// Its configuration, one of those that we ship.
        var gatewaySample = Gateway.sample
        /// Whether a machine that stands still for seconds is to change no answer; not where a
        /// test takes a store away.
        var isPatient = true
        /// Further variables, for every node.
        var variables: [String: String] = [:]
        /// Further variables of single nodes.
        var perNode: [[String: String]] = []
    }

    let plan: Plan
    let postgres: PostgresServer
    let redis: RedisServer
    let masterKey: String
    let nodes: [NodeProcess]
    let secrets: KnownSecrets
    let folder: String
    /// The environment that all nodes share.
    let variables: [String: String]
    /// The first administrator, made by `watchword admin create`.
    let administrator: Person
    private let gatewayIfAny: Gateway?
    private let janitor: Int32

    /// The first node.
    var node: HTTPClient { nodes[0].client }
    /// nginx.
    var gateway: HTTPClient {
        get throws {
            guard let gatewayIfAny else { throw ClusterError("this cluster has no gateway") }
            return gatewayIfAny.client
        }
    }

    /// Everything that nginx wrote.
    var gatewayLogs: String {
        get throws {
            guard let gatewayIfAny else { throw ClusterError("this cluster has no gateway") }
            return gatewayIfAny.logs
        }
    }

    /// What nginx complains about; for the messages of failures.
    var complaints: String {
        let crashes = nodes.map { node in
            let lines = PrivateFolder.read(node.logFile).split(separator: "\n")
            return "running: \(node.process.isRunning)\n"
                + lines.filter { !$0.hasPrefix("{") }.suffix(3).joined(separator: "\n")
        }
        return "\(crashes) \(gatewayIfAny?.complaints.prefix(1500) ?? "")"
    }

    /// What the nodes' logs say of a request that failed; for the messages of failures.
    func faults(of answer: HTTPAnswer) -> String {
        guard let id = answer.text("instance")?.split(separator: ":").last else { return "" }
        let lines = nodes.flatMap { PrivateFolder.read($0.logFile).split(separator: "\n") }
        return lines.filter { $0.contains("\"error\"") && $0.contains(id) }.joined(separator: "\n")
    }

    /// Three nodes behind nginx; never broken.
    static func shared() async throws -> Cluster { try await sharedOne.get() }
    private static let sharedOne = SharedCluster()

    private static let patience = [
        "WATCHWORD_DATABASE_WAIT_LIMIT": "20s",
        "WATCHWORD_DATABASE_STATEMENT_LIMIT": "20s",
        "WATCHWORD_DATABASE_LOCK_LIMIT": "8s",
        "WATCHWORD_REDIS_COMMAND_LIMIT": "5s",
        "WATCHWORD_HTTP_REQUEST_TIME": "30s",
    ]

    private init(_ plan: Plan) async throws {
        self.plan = plan
        let secrets = KnownSecrets()
        self.secrets = secrets
        folder = try PrivateFolder.make("ww-cluster")
        janitor = try PrivateFolder.removeAtExit(folder)
        postgres = try await PostgresServer.start()
        redis = try await RedisServer.start()
        masterKey = try await Shell.run([NodeProcess.binary, "keys", "generate"])
            .split(separator: "\n").joined()
        var variables = [
            "PATH": "/usr/bin:/bin",
            "WATCHWORD_PUBLIC_URL": plan.publicURL,
            "WATCHWORD_DATABASE_URL": "postgresql://postgres@/postgres?host=\(postgres.folder)",
            "WATCHWORD_REDIS_URL": "unix://\(redis.socket)",
            "WATCHWORD_KEYS_MASTER": masterKey,
            "WATCHWORD_ACCOUNTS_CONFIRMATION": "off",
            "WATCHWORD_LOG_LEVEL": "trace",
            "WATCHWORD_PASSWORDS_MEMORY": "8MiB",
            "WATCHWORD_PASSWORDS_PASSES": "1",
            "WATCHWORD_HTTP_TRUSTED_PROXIES": "127.0.0.1",
            "WATCHWORD_VERIFY_ORIGINAL_REQUEST": "x-original",
            "WATCHWORD_VERIFY_READ_LIMIT": "5s",
            "WATCHWORD_SESSIONS_REFRESH_GRACE": "60s",
            "WATCHWORD_THROTTLE_SIGN_IN_PER_ADDRESS": "1000000",
            "WATCHWORD_THROTTLE_SIGN_IN_PER_ACCOUNT": "100",
            "WATCHWORD_THROTTLE_REGISTRATIONS_PER_ADDRESS": "1000000",
        ]
        if plan.isPatient { variables.merge(Self.patience) { _, new in new } }
        variables.merge(plan.variables) { _, new in new }
        let common = variables
        self.variables = common
        let environment = ["env", "-i"] + common.map { "\($0.key)=\($0.value)" }
        let binary = try NodeProcess.binary
        try await Shell.run(environment + [binary, "migrate"])
        administrator = try Self.administrator(
            await Shell.run(
                environment + [binary, "admin", "create", "--login", "root@example.test", "--json"]
            ),
            secrets
        )
        let folder = folder
        nodes = try await withThrowingTaskGroup(of: (Int, NodeProcess).self) { group in
            for index in 0..<plan.nodes {
                group.addTask {
                    var mine = common
                    if plan.perNode.indices.contains(index) {
                        mine.merge(plan.perNode[index]) { _, new in new }
                    }
                    let log = "\(folder)/node\(index).log"
                    return (index, try await NodeProcess.start(mine, log: log, secrets: secrets))
                }
            }
            var found: [(Int, NodeProcess)] = []
            for try await pair in group { found.append(pair) }
            return found.sorted { $0.0 < $1.0 }.map(\.1)
        }
        gatewayIfAny =
            plan.hasGateway
            ? try await Gateway.start(nodes, plan.gatewaySample, secrets: secrets) : nil
    }

    deinit {
        for node in nodes { node.process.kill() }
        close(janitor)
    }

    /// Starts a cluster of one's own.
    static func start(_ plan: Plan = Plan()) async throws -> Cluster { try await Cluster(plan) }

    /// What `watchword admin create --json` printed.
    private static func administrator(_ text: String, _ secrets: KnownSecrets) throws -> Person {
        let line = text.split(separator: "\n").last { $0.hasPrefix("{") } ?? ""
        let answer = HTTPAnswer(status: 200, fields: [], body: String(line))
        guard let login = answer.text("login"), let password = answer.text("password") else {
            throw ClusterError("no administrator: \(text)")
        }
        secrets.add(password, "password")
        return Person(email: login, username: "", password: password, id: "")
    }

    // MARK: - Looking into the stores

    /// Runs SQL; the rows as psql writes them, without decoration.
    @discardableResult func sql(_ text: String) async throws -> String {
        let output = try await Shell.run([
            "psql", "-h", postgres.folder, "-U", "postgres", "-d", "postgres", "-XAtq", "-v",
            "ON_ERROR_STOP=1", "-c", text,
        ])
        return output.hasSuffix("\n") ? String(output.dropLast()) : output
    }

    /// All that PostgreSQL holds, as text.
    func dump() async throws -> String {
        try await Shell.run([
            "pg_dump", "-h", postgres.folder, "-U", "postgres", "--inserts", "postgres",
        ])
    }

    /// How many rows each table of people and sessions has.
    func rowCounts() async throws -> String {
        try await sql(
            """
            SELECT (SELECT count(*) FROM accounts) || ' accounts, '
                || (SELECT count(*) FROM sessions) || ' sessions, '
                || (SELECT count(*) FROM account_roles) || ' roles'
            """
        )
    }

    /// All that administration can change, and whatever is recorded of it, as one number.
    func digest() async throws -> String {
        let tables = [
            "accounts", "account_passwords", "account_profiles", "account_signatures",
            "account_roles", "roles", "role_permissions", "permissions", "organisations",
            "organisation_members", "keys", "api_keys", "route_rules", "sessions",
            "audit_events", "outbox", "revocation_log", "idempotency_keys", "approvals",
            "second_factors",
        ]
        let rows = tables.map {
            "COALESCE((SELECT string_agg(t::text, ';' ORDER BY t::text) FROM \($0) t), '')"
        }
        return try await sql("SELECT md5(\(rows.joined(separator: " || ")))")
    }

    /// A role with permissions, given to an account.
    func grant(_ role: String, _ permissions: [String], to person: Person) async throws {
        let id = "gen_random_uuid()"
        var text = """
            WITH made AS (
                INSERT INTO roles (id, name, description, built_in, created_at)
                VALUES (\(id), '\(role)', '', false, now()) RETURNING id
            ), held AS (
                INSERT INTO account_roles SELECT '\(person.id)', id, now() FROM made
            )
            """
        if permissions.isEmpty {
            text += " SELECT 1"
        } else {
            let list = permissions.map { "'\($0)'" }.joined(separator: ",")
            text += """
                 INSERT INTO role_permissions (role_id, permission)
                SELECT id, unnest(ARRAY[\(list)]) FROM made
                """
        }
        try await sql(text)
    }
}

/// Starts the one cluster at the first wish; all who wish meanwhile wait for it.
private actor SharedCluster {
    private var starting: Task<Cluster, any Error>?

    func get() async throws -> Cluster {
        if let starting { return try await starting.value }
        var plan = Cluster.Plan()
        plan.hasGateway = true
        let chosen = plan
        let task = Task { try await Cluster.start(chosen) }
        starting = task
        return try await task.value
    }
}

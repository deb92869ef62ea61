// How a node ends, and how it ends TLS itself.
import Glibc
import Primitives
import Synchronization
import TestKit
import Testing

@testable import Web

@Suite(.serialized) struct DrainTests {
    /// What a load has seen.
    private final class Tally: Sendable {
        let isOver = Atomic<Bool>(false)
        let statuses = Mutex<[String: Int]>([:])

        func add(_ what: String) { statuses.withLock { $0[what, default: 0] += 1 } }
        var total: Int { statuses.withLock { $0.values.reduce(0, +) } }
    }

    /// One client that asks again and again over one connection.
    private static func load(_ port: Int, _ request: [UInt8], _ tally: Tally) throws {
        var connection = try Connection(port: port)
        defer { connection.close() }
        while !tally.isOver.load(ordering: .relaxed) {
            do {
                try connection.write(request)
                let answer = try connection.readAnswer()
                tally.add("\(answer.status)")
                guard answer["Connection"] == "close" else { continue }
            } catch let error as ClusterError {
                tally.add(error.description)
            }
            connection.close()
            connection = try Connection(port: port)
        }
    }

    @Test
    func `a node that is asked to end loses no request behind a gateway (S0-25, S3-17)`()
        async throws
    {
        var plan = Cluster.Plan()
        plan.hasGateway = true
        let cluster = try await Cluster.start(plan)
        let tokens = try await cluster.signIn(cluster.person())
        let tally = Tally()
        let port = try cluster.gateway.port
        try await withThrowingTaskGroup(of: Void.self) { group in
            for target in ["/app/page", "/v1/me", "/app/other", "/v1/me/sessions"] {
                let request = HTTPClient.head("GET", target, tokens.bearer, nil, closes: false)
                group.addTask {
                    try await Blocking.run { try Self.load(port, request, tally) }
                }
            }
            try await eventually("load") { tally.total > 100 }
            for node in cluster.nodes.dropLast() {
                let before = tally.total
                let status = try await node.end()
                #expect(status == 0)
                try await eventually("more load") { tally.total > before + 100 }
                #expect(PrivateFolder.read(node.logFile).contains("request"))
            }
            tally.isOver.store(true, ordering: .relaxed)
            try await group.waitForAll()
        }
        let statuses = tally.statuses.withLock { $0 }
        #expect(Set(statuses.keys) == ["200"], "\(statuses) \(cluster.complaints)")
        try await cluster.expectNoSecrets()
    }

    @Test
    func `a node that ends TLS itself is known by its certificate (rows 278, 282)`() async throws {
        let folder = try PrivateFolder.make("ww-tls")
        let janitor = try PrivateFolder.removeAtExit(folder)
        defer { PrivateFolder.release(janitor) }
        try await Blocking.run { try RedisServer.makeCertificates(in: folder) }
        var plan = Cluster.Plan()
        plan.nodes = 1
        plan.variables["WATCHWORD_HTTP_TLS_CERTIFICATE"] = "\(folder)/server.pem"
        plan.variables["WATCHWORD_HTTP_TLS_KEY"] = "\(folder)/server.key"
        let cluster = try await Cluster.start(plan)
        let url = "https://localhost:\(cluster.node.port)"
        let curl = ["curl", "-sS", "--max-time", "60", "--cacert", "\(folder)/ca.pem"]
        let keys = try await Shell.run(curl + ["\(url)/.well-known/jwks.json"])
        #expect(keys.hasPrefix("{\"keys\":["))
        let status = try await Shell.run(
            curl + ["-o", "/dev/null", "-w", "%{http_code}", "\(url)/verify"]
        )
        #expect(status == "401")
        let body = #"{"email":"tls@example.test","password":"a pass phrase over TLS"}"#
        let made = try await Shell.run(
            curl + ["-H", "Content-Type: application/json", "-d", body, "\(url)/v1/auth/register"]
        )
        #expect(made.contains("\"account\""))
        for refused in [
            ["curl", "-sS", "--max-time", "60", "\(url)/verify"],
            curl + ["--tls-max", "1.1", "\(url)/verify"],
            curl + ["http://localhost:\(cluster.node.port)/verify"],
        ] {
            await #expect(throws: ClusterError.self) { try await Shell.run(refused) }
        }
        try await cluster.expectNoSecrets()
    }

    @Test
    func
        `a node refuses a sample, short or missing key and plain HTTP (S3-T6, S0-T12, row 283)`()
        async throws
    {
        // S0-16: a key of fewer than 32 bytes is refused.
        let binary = try NodeProcess.binary
        let good = [
            "WATCHWORD_PUBLIC_URL": "https://auth.example.test",
            "WATCHWORD_DATABASE_URL": "postgresql:///x?host=/nowhere",
            "WATCHWORD_REDIS_URL": "unix:///nowhere", "WATCHWORD_ACCOUNTS_CONFIRMATION": "off",
            "WATCHWORD_KEYS_MASTER": "1:\(Base64URL.encode(Entropy.system.bytes(32)))",
        ]
        for (name, value) in [
            ("WATCHWORD_KEYS_MASTER", ""), ("WATCHWORD_KEYS_MASTER", "changeme"),
            ("WATCHWORD_KEYS_MASTER", "1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
            ("WATCHWORD_KEYS_MASTER", "1:\(Base64URL.encode(Entropy.system.bytes(16)))"),
            ("WATCHWORD_PUBLIC_URL", "http://auth.example.test"), ("WATCHWORD_PUBLIC_URL", ""),
            ("WATCHWORD_ACCOUNTS_CONFIRMATION", "required"), ("WATCHWORD_KEY_MASTER", "x"),
        ] {
            let all = good.merging([name: value]) { _, new in new }
            let words = ["env", "-i"] + all.map { "\($0.key)=\($0.value)" } + [binary, "serve"]
            do {
                try await Shell.run(words)
                Issue.record("started with \(name)=\(value)")
            } catch let error as ClusterError {
                // One sentence that names the setting, and not the secret.
                let setting = name.dropFirst(10).replacing("_", with: ".", maxReplacements: 1)
                let isNamed =
                    error.description.contains(name)
                    || error.description.contains(setting.lowercased())
                #expect(isNamed, "\(error)")
                if value.count > 20 { #expect(!error.description.contains(value)) }
            }
        }
    }
}

// Looks for every secret that the tests have used or got, in all places where none may be: the logs
// of nodes and of nginx, PostgreSQL and Redis (W7). Done at the end of suites that use the shared
// cluster, and at the end of tests that have one of their own.
import Glibc
import TestKit
import Testing

extension Cluster {
    /// Starts a cluster, lends it to `body`, and looks for secrets in what it leaves behind.
    static func run(_ plan: Plan = Plan(), _ body: (Cluster) async throws -> Void) async throws {
        let cluster = try await start(plan)
        try await body(cluster)
        try await cluster.expectNoSecrets()
    }

    /// Expects no usable secret anywhere; PostgreSQL and Redis must be there to be asked.
    func expectNoSecrets(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        // Those of this moment: what comes later is for a later scan.
        let secrets = self.secrets.all
        let logs = nodes.map { PrivateFolder.read($0.logFile) }.joined()
        let database = try await dump()
        let redis = try await redisDump()
        #expect(logs.contains("request_id"), sourceLocation: sourceLocation)
        #expect(database.contains("INSERT INTO public.accounts"), sourceLocation: sourceLocation)
        #expect(!redis.contains("UNREAD"), sourceLocation: sourceLocation)
        let master = masterKey.split(separator: ":").last.map(String.init) ?? ""
        var places = [("logs", logs), ("PostgreSQL", database), ("Redis", redis)]
        if plan.hasGateway { places.append(("nginx", try gatewayLogs)) }
        let searched = places
        // Megabytes: on a thread of the pool the search would hold up the tests beside this one.
        let found = try await Blocking.run {
            var found: [String] = []
            for (place, text) in searched {
                let bytes = text.utf8.map { $0 == 0 ? 1 : CChar(bitPattern: $0) } + [0]
                func look(for secret: String, _ what: String) {
                    if Self.holds(bytes, secret) { found.append("a \(what) is in \(place)") }
                }
                look(for: master, "master key")
                for (secret, what) in secrets {
                    look(for: secret, what)
                    // Nor any part that would do: the signature of a token.
                    guard what == "access_token" || what.hasSuffix("ww_access") else { continue }
                    if let last = secret.split(separator: ".").last, last.utf8.count > 80 {
                        look(for: String(last), "signature")
                    }
                }
            }
            return found
        }
        #expect(found.isEmpty, sourceLocation: sourceLocation)
    }

    /// Everything that Redis holds, as text.
    private func redisDump() async throws -> String {
        let script = """
            local out = {}
            for _, key in ipairs(redis.call('KEYS', '*')) do
                out[#out + 1] = key
                local kind = redis.call('TYPE', key).ok
                if kind == 'string' then out[#out + 1] = redis.call('GET', key)
                elseif kind == 'hash' then
                    for _, v in ipairs(redis.call('HGETALL', key)) do out[#out + 1] = v end
                elseif kind == 'zset' then
                    for _, v in ipairs(redis.call('ZRANGE', key, 0, -1)) do out[#out + 1] = v end
                else out[#out + 1] = 'UNREAD ' .. kind end
            end
            return out
            """
        return try await Shell.run(["redis-cli", "-s", redis.socket, "EVAL", script, "0"])
    }

    /// Megabytes of logs and thousands of secrets: not a search to be done by letters.
    private static func holds(_ bytes: [CChar], _ secret: String) -> Bool {
        guard !secret.isEmpty else { return false }
        return strstr(bytes, secret) != nil
    }
}

/// A suite whose end is a moment to look for secrets in the shared cluster.
struct LeavesNoSecrets: SuiteTrait, TestScoping {
    func provideScope(
        for test: Test,
        testCase: Test.Case?,
        performing function: @Sendable @concurrent () async throws -> Void
    ) async throws {
        try await function()
        try await Cluster.shared().expectNoSecrets()
    }
}

extension Trait where Self == LeavesNoSecrets {
    /// No secret is left in the shared cluster when the suite has ended.
    static var leavesNoSecrets: Self { Self() }
}

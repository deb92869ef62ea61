// `watchword authority` as an operator runs it, in words and in JSON, and the ACL line of
// docs/operations/authority.md on real members: what it permits is enough, and no more.
import ClusterKit
import Glibc
import Primitives
import Revocation
import Sessions
import TestKit
import Testing

@Suite(.serialized) struct AuthorityCommandTests {
    /// Runs the built command with the settings of a cluster; its status and all it wrote.
    private func run(
        _ cluster: Cluster,
        _ members: [RedisServer],
        _ words: String...
    ) async throws -> (status: Int32, text: String) {
        let database = cluster.database
        let url = "postgresql://postgres@localhost/\(database.name)?host=\(database.hosts)"
        let log = members[0].folder + "/command-\(Hex.encode(Entropy.system.bytes(4))).log"
        let command = [
            "env", "-i", "PATH=/usr/bin:/bin", "WATCHWORD_MODE=development",
            "WATCHWORD_DATABASE_URL=\(url)", "WATCHWORD_AUTHORITY_LEASE=700ms",
            "WATCHWORD_AUTHORITY_MEMBERS=\(members.map(Self.url).joined(separator: ","))",
            "WATCHWORD_AUTHORITY_PUBLISH_LIMIT=5s", try Self.binary(), "authority",
        ]
        return try await Blocking.run {
            let status = try ChildProcess.launch(command + words, log: log).wait()
            // As wait(2) tells it: the exit code is the second byte.
            return (status >> 8, PrivateFolder.read(log))
        }
    }

    private static func url(_ member: RedisServer) -> String { "unix://\(member.socket)?db=0" }

    /// The built executable, beside the bundle of tests.
    private static func binary() throws -> String {
        let real = try #require(realpath("/proc/self/exe", nil))
        defer { free(real) }
        for candidate in [String(cString: real)] + CommandLine.arguments {
            let folder = candidate.split(separator: "/", omittingEmptySubsequences: false)
            let path = folder.dropLast().joined(separator: "/") + "/watchword"
            if access(path, X_OK) == 0 { return path }
        }
        return Repository.root + "/.build/debug/watchword"
    }

    @Test func `An operator reads, adopts and closes in words`() async throws {
        var members: [RedisServer] = []
        for _ in 0..<3 { members.append(try await RedisServer.start()) }
        try await Cluster.run { cluster in
            let urls = members.map(Self.url)
            func lines(_ head: String, _ state: String) -> String {
                ([head] + urls.map { "\($0)  \(state)  fit" }).joined(separator: "\n") + "\n"
            }
            let first = try await run(cluster, members, "show")
            #expect(first.status == 0)
            #expect(first.text == lines("epoch 1  pg  lease 5s", "not a member"))
            let adopted = try await run(cluster, members, "adopt")
            #expect(adopted.status == 0)
            #expect(adopted.text == lines("epoch 2  redis  lease 700ms", "member"))
            let again = try await run(cluster, members, "adopt")
            #expect(again.status == 1)
            #expect(again.text.contains("Nothing was adopted"))
            #expect(again.text.contains("already, epoch 2"))
            try await members[2].kill()
            let shown = try await run(cluster, members, "show").text
            #expect(shown.contains("\(urls[2])  not a member  it does not answer"))
            #expect(shown.contains("\(urls[0])  member  fit"))
            let closed = try await run(cluster, members, "close")
            #expect(closed.status == 0)
            #expect(closed.text.hasPrefix("epoch 3  pg  lease 700ms\n"))
            #expect(try await cluster.text("SELECT state FROM revocation_authority") == "pg")
        }
    }

    @Test func `Scripts read the same in JSON, complaints included`() async throws {
        var options = RedisServer.Options()
        options.lines = ["maxmemory-policy allkeys-lru"]
        let (fit, unfit) = (try await RedisServer.start(), try await RedisServer.start(options))
        try await Cluster.run { cluster in
            func json(
                _ state: String,
                _ member: RedisServer,
                _ holds: Bool,
                _ why: String
            ) -> String {
                "{\(state),\"members\":[{\"endpoint\":\"\(Self.url(member))\","
                    + "\"holds_token\":\(holds),\"complaint\":\(why)}]}\n"
            }
            let before = "\"epoch\":1,\"state\":\"pg\",\"lease_ms\":5000"
            #expect(
                try await run(cluster, [fit], "show", "--json").text
                    == json(before, fit, false, "null")
            )
            let policy = "\"its maxmemory-policy is allkeys-lru (maxmemory-policy noeviction)\""
            #expect(
                try await run(cluster, [unfit], "show", "--json").text
                    == json(before, unfit, false, policy)
            )
            let refused = try await run(cluster, [unfit], "adopt", "--json")
            #expect(refused.status == 1)
            #expect(refused.text.contains("allkeys-lru"))
            #expect(
                try await run(cluster, [fit], "adopt", "--json").text
                    == json("\"epoch\":2,\"state\":\"redis\",\"lease_ms\":700", fit, true, "null")
            )
            #expect(
                try await run(cluster, [fit], "close", "--json").text
                    == json("\"epoch\":3,\"state\":\"pg\",\"lease_ms\":700", fit, false, "null")
            )
        }
    }

    /// The lines of redis.conf in the manual that do not name a machine.
    private static func manual(password: String) throws -> [String] {
        let page = Repository.text("docs/operations/authority.md")
        let start = try #require(page.firstRange(of: "```\nsave \"\"\n"))
        let rest = page[page.index(start.lowerBound, offsetBy: 4)...]
        let block = try #require(rest.firstRange(of: "\n```").map { rest[..<$0.lowerBound] })
        let lines = block.split(separator: "\n").map(String.init)
        #expect(lines.count { $0.hasPrefix("user ") } == 2)
        return lines.filter { !$0.hasPrefix("bind ") && !$0.hasPrefix("port ") }
            .map { $0.replacing("A-LONG-PASSWORD", with: password) }
    }

    @Test func `The lines of the manual are enough for a member, and for nothing else (A4)`()
        async throws
    {
        let password = Hex.encode(Entropy.system.bytes(16))
        var options = RedisServer.Options()
        options.lines = try Self.manual(password: password)
        var members: [RedisServer] = []
        for _ in 0..<3 { members.append(try await RedisServer.start(options)) }
        let settings = [
            "authority.members": members.map(Self.url).joined(separator: ","),
            "authority.user": "watchword", "authority.password": password,
            "authority.lease": "60s", "authority.poll_limit": "5s",
            "authority.publish_limit": "5s",
        ]
        try await Cluster.run(2, set: settings) { cluster in
            _ = try await cluster.signUp()
            for _ in 0..<2 {
                #expect(try await cluster.authority(.adopt).members == 3)
                try await until("the members answer") {
                    try await cluster.nodes[1].readIndex.renew()
                    let polls = cluster.nodes[1].histogramCount("watchword_revocation_poll_seconds")
                    try await cluster.nodes[1].readIndex.confirm()
                    let now = cluster.nodes[1].histogramCount("watchword_revocation_poll_seconds")
                    return now > polls
                }
                let pair = try await cluster.signIn()
                #expect(try await cluster.isGoodEverywhere(pair.accessToken))
                try await cluster.logOut(pair)
                #expect(try await cluster.isRevokedEverywhere(pair.accessToken))
                #expect(try await cluster.text("SELECT state FROM revocation_authority") == "redis")
                // Fenced, not waited for: a lease is a minute.
                let begun = MonotonicInstant.now
                #expect(try await cluster.authority(.close).state == "pg")
                #expect(MonotonicInstant.now - begun < .seconds(60))
            }
        }
        let forbidden = [
            "FLUSHALL", "REPLICAOF NO ONE", "CONFIG SET save 1", "GET other",
            "SHUTDOWN", "KEYS *",
        ]
        for line in forbidden {
            let words = line.split(separator: " ").map(String.init)
            let said = try await say(members[0], password, words)
            #expect(said.contains("NOPERM"), "\(line): \(said)")
        }
        #expect(try await say(members[0], password, ["PING"]).contains("PONG"))
    }

    private func say(
        _ server: RedisServer,
        _ password: String,
        _ words: [String]
    ) async throws -> String {
        let log = "\(server.folder)/cli-\(Hex.encode(Entropy.system.bytes(4))).log"
        let command = [
            "redis-cli", "-s", server.socket, "--user", "watchword", "--pass", password,
            "--no-auth-warning",
        ]
        return try await Blocking.run {
            _ = try ChildProcess.launch(command + words, log: log).wait()
            return PrivateFolder.read(log)
        }
    }
}

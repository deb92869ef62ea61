// The name of a member leads to another process from some moment on, for those who connect anew;
// others are connected to the one that was adopted, and ask it. The other may hold what that one
// held, token included, as one does that has started from a snapshot. What it says proves nothing.
import ClusterKit
import Glibc
import Primitives
import Revocation
import Sessions
import TestKit
import Testing

extension AuthorityTests {
    /// Longer than a test takes from the renewal to its check.
    private static let lease = Duration.seconds(3)

    /// Runs two nodes whose one member is `one`, by a name of `link`; `other` is in nobody's mind.
    private func withNamedMember(
        only: [Int: [String: String]] = [:],
        _ body: (Cluster, _ one: RedisServer, _ other: RedisServer, _ link: String) async throws ->
            Void
    ) async throws {
        let (one, other) = (try await RedisServer.start(), try await RedisServer.start())
        let link = one.folder + "/member.sock"
        try #require(symlink(one.socket, link) == 0)
        let settings = [
            "authority.members": "unix://\(link)", "authority.lease": "3s",
            "authority.poll_limit": "5s", "authority.publish_limit": "5s",
        ]
        try await Cluster.run(2, set: settings, only: only) { cluster in
            _ = try await cluster.signUp()
            try await cluster.adopt()
            try await body(cluster, one, other, link)
        }
    }

    /// Has the name lead to `other`, which gets the head of `one` where it `isCopy`.
    private func replace(
        _ one: RedisServer,
        by other: RedisServer,
        isCopy: Bool,
        _ link: String
    ) async throws {
        if isCopy {
            let head = try await shell(one, "get rv:head")
            try #require(head.contains(":"))
            try await tell(other, "SET", "rv:head", head)
        }
        unlink(link)
        try #require(symlink(other.socket, link) == 0)
    }

    /// What a Redis says to its operator, or to a script of his, without the last line's end.
    private func shell(_ server: RedisServer, _ words: String) async throws -> String {
        let outcome = try await Program.shell("redis-cli -s \(server.socket) \(words)")
        try #require(outcome.status == 0, "\(outcome.text)")
        return outcome.text.split(separator: "\n").last.map(String.init) ?? ""
    }

    /// The operator closes the epoch from where the name leads elsewhere.
    @Test(arguments: [false, true])
    func `A fence on another server of the same name fences nobody (F2, H2, H4, A4)`(
        _ isCopy: Bool
    ) async throws {
        let cut = ["authority.members": "unix:///nowhere/redis.sock"]
        try await withNamedMember(only: [1: cut]) { cluster, one, other, link in
            let pair = try await cluster.signIn()
            #expect(try await cluster.isGoodEverywhere(pair.accessToken))
            try await replace(one, by: other, isCopy: isCopy, link)
            try await settle(cluster.nodes[0])
            try await cluster.nodes[0].readIndex.renew()
            let begun = MonotonicInstant.now
            #expect(try await cluster.authority(.close).state == "pg")
            // The second node acknowledges at once: PostgreSQL is the authority.
            try await cluster.logOut(pair, on: 1)
            #expect(try await cluster.isRevokedEverywhere(pair.accessToken))
            #expect(MonotonicInstant.now - begun >= Self.lease)
            #expect(try await shell(other, "exists rv:head") == "0")
        }
    }

    /// Who revokes is connected anew, and those who check are not.
    @Test
    func `A publication at another server of the same name and token reaches nobody (H4, W1)`()
        async throws
    {
        try await withNamedMember { cluster, one, other, link in
            for node in 0...1 { try await revokeOne(cluster, on: node) }
            let pair = try await cluster.signIn()
            for node in cluster.nodes { try await settle(node) }
            try await replace(one, by: other, isCopy: true, link)
            let before = try await shell(one, "get rv:head")
            // The connections whose last command was a publication.
            let publishers = "client list | grep cmd=evalsha | cut -d' ' -f1 | cut -d= -f2"
            let kill = "xargs -rn1 redis-cli -s \(one.socket) client kill id"
            #expect(try await shell(one, "\(publishers) | \(kill)") == "1")
            // A publication on a connection that is gone would fail for that alone.
            try await until("who publishes is connected to the other") {
                try await shell(other, "client list | grep -v cmd=client | wc -l") == "2"
            }
            for node in cluster.nodes { try await node.readIndex.renew() }
            #expect(try await cluster.isGoodEverywhere(pair.accessToken))
            let begun = MonotonicInstant.now
            try await cluster.logOut(pair)
            #expect(try await cluster.isRevokedEverywhere(pair.accessToken))
            #expect(MonotonicInstant.now - begun >= Self.lease)
            #expect(try await shell(one, "get rv:head") == before)
            #expect(try await shell(other, "exists rv:log") == "0")
            #expect(try await cluster.text("SELECT state FROM revocation_authority") == "pg")
        }
    }

    /// No keeper looks: whoever publishes finds it out.
    @Test func `A publication at a member with another history closes the epoch (H5, W1)`()
        async throws
    {
        try await withMembers(1) { cluster, members in
            try await revokeOne(cluster)
            for node in cluster.nodes { try await settle(node) }
            try await tell(members[0], "REPLICAOF", "127.0.0.1", "1")
            try await tell(members[0], "REPLICAOF", "NO", "ONE")
            try await revokeOne(cluster)
            #expect(try await cluster.number("SELECT epoch FROM revocation_authority") > 2)
            try await revokeOne(cluster, on: 1)
        }
    }
}

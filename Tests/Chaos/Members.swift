// The members of the authority: Redis servers of their own, set up as docs/operations/authority.md
// demands, and what may befall them. A member that comes back is empty, or is refused because it is
// another process with another history; what it must never do is forget and keep its token (A4).
import ChaosKit
import Glibc
import TestKit

/// The Redis servers of an authority; none with the topology `pg`.
final class Members: Sendable {
    /// The servers, which hold nothing but the log of revocations.
    let servers: [RedisServer]
    /// The user and the password of the nodes.
    static let (user, password) = ("watchword", "members-of-the-campaign")

    /// How many there are.
    var count: Int { servers.count }

    /// Starts so many.
    init(_ count: Int) async throws {
        var servers: [RedisServer] = []
        for _ in 0..<count {
            var options = RedisServer.Options()
            options.tcp = true
            options.lines = [
                "maxmemory-policy noeviction", "maxmemory 1gb", "stream-node-max-entries 16",
                "repl-diskless-sync-delay 0",
                // The default user stays, for the one who breaks things.
                "user \(Self.user) on >\(Self.password) ~rv:* +get +echo +xrange +xadd +set +del"
                    + " +multi +exec +evalsha +script|load +ping +info +config|get",
            ]
            servers.append(try await RedisServer.start(options))
        }
        self.servers = servers
    }

    /// Runs a command on a member.
    func command(_ member: Int, _ words: String...) throws {
        let status = try ChildProcess.launch(
            ["timeout", "5", "redis-cli", "-s", servers[member].socket] + words,
            log: "/dev/null"
        ).wait()
        guard status == 0 else { throw ChaosError("redis-cli \(words.joined(separator: " "))") }
    }

    /// Makes it write what it holds to a file, from which it will start the next time.
    func save(_ member: Int) throws { try command(member, "SAVE") }

    /// Removes that file.
    func forgetSaved(_ member: Int) { unlink("\(servers[member].folder)/dump.rdb") }
}

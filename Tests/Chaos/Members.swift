// The members of the authority: Redis servers of their own, set up as docs/operations/authority.md
// demands, and what may befall them. A member that comes back is empty, or is refused because it is
// another process with another history; what it must never do is forget and keep its token (A4).
//
// Each has a second server, to which its name may lead from some moment on, as that of a machine
// that was replaced.
import ChaosKit
import Glibc
import Synchronization
import TestKit

/// The Redis servers of an authority; none with the topology `pg`.
final class Members: Sendable {
    /// How many there are.
    let count: Int
    /// The servers, which hold nothing but the log of revocations: the first of each member, then
    /// the second of each.
    private let servers: [RedisServer]
    /// Where the name of each leads.
    private let places: Mutex<[Int]>
    /// The user and the password of the nodes.
    static let (user, password) = ("watchword", "members-of-the-campaign")

    /// Starts so many.
    init(_ count: Int) async throws {
        var servers: [RedisServer] = []
        for _ in 0..<count * 2 {
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
        self.count = count
        self.servers = servers
        places = Mutex(Array(0..<count))
    }

    /// The ports that the names lead to.
    var ports: [Int] { (0..<count).map { server($0).port } }

    /// The server that the name of a member leads to.
    func server(_ member: Int) -> RedisServer { servers[places.withLock { $0[member] }] }

    /// Gives the name of a member to its other server, which has nothing, or what it had when the
    /// name last led to it, or what the member had when it was copied there.
    func move(_ member: Int) -> RedisServer {
        places.withLock { $0[member] = ($0[member] + count) % (count * 2) }
        return server(member)
    }

    /// The other server of a member, to which its name does not lead.
    func other(_ member: Int) -> RedisServer {
        servers[places.withLock { ($0[member] + count) % (count * 2) }]
    }

    /// Runs a command on a member.
    func command(_ member: Int, _ words: String...) throws {
        let status = try ChildProcess.launch(
            ["timeout", "5", "redis-cli", "-s", server(member).socket] + words,
            log: "/dev/null"
        ).wait()
        guard status == 0 else { throw ChaosError("redis-cli \(words.joined(separator: " "))") }
    }

    /// Makes it write what it holds to a file, from which it will start the next time.
    func save(_ member: Int) throws { try command(member, "SAVE") }

    /// Makes the other server of a member start from that file, or empty where there is none.
    func prepare(_ member: Int) async throws {
        let (from, other) = (server(member), other(member))
        try await other.kill()
        rename("\(from.folder)/dump.rdb", "\(other.folder)/dump.rdb")
        try await other.restart()
        unlink("\(other.folder)/dump.rdb")
    }

    /// Removes that file.
    func forgetSaved(_ member: Int) { unlink("\(server(member).folder)/dump.rdb") }
}

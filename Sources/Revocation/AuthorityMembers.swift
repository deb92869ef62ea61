// The ways to the members: for each a connection per event loop that carries read-indexes and
// nothing else, and one for publishing, fencing and looking. It sends and reads; what an answer is
// worth is decided by `AuthorityCore` and `RevokerCore`. A member this node has no URL for does not
// answer, which is the same as being away.
package import Logging
package import NIOPosix
package import Primitives
import Redis

/// Connections to the members named in the settings.
package final class AuthorityMembers: Sendable {
    private struct Way: Sendable {
        let polls: RedisPool
        let writes: RedisPool
    }

    /// What a look at a named Redis brought.
    package struct Look: Sendable {
        /// Whether it may be a member.
        package let finding: MemberFinding
        /// The token in its head.
        package let head: MemberToken?
    }

    /// The most entries one answer holds.
    static let chunk = 1000

    /// The endpoints of the members, in the order of the settings.
    package let endpoints: [String]
    private let ways: [String: Way]
    private let publishLimit: Duration
    private let pollLimit: Duration
    private let silences: Counter

    /// Ways that are not connected yet.
    package init(
        _ settings: AuthoritySettings,
        group: MultiThreadedEventLoopGroup,
        logger: Logger,
        metrics: MetricsRegistry
    ) throws {
        publishLimit = settings.publishLimit
        pollLimit = settings.pollLimit
        endpoints = settings.members.map(\.description)
        silences = metrics.counter(
            "watchword_authority_silences_total",
            help: "Questions to members that were not answered in time."
        )
        var ways: [String: Way] = [:]
        for (index, member) in settings.members.enumerated() {
            func pool(_ use: String, limit: Int, deadline: Duration) throws -> RedisPool {
                var configuration = member
                configuration.name = "authority_\(index + 1)_\(use)"
                configuration.connectionLimit = limit
                configuration.commandDeadline = deadline
                configuration.reconnectMaximum = .seconds(1)
                return try RedisPool(
                    configuration: configuration,
                    eventLoopGroup: group,
                    scripts: use == "polls" ? [] : AuthorityScripts.all,
                    logger: logger,
                    metrics: metrics
                )
            }
            ways[member.description] = Way(
                polls: try pool("polls", limit: .max, deadline: pollLimit),
                writes: try pool("writes", limit: 1, deadline: publishLimit)
            )
        }
        self.ways = ways
    }

    /// Tries to connect, once; after that the connections heal by themselves.
    package func start() async {
        await withTaskGroup { group in
            for way in ways.values {
                group.addTask { await way.polls.start() }
                group.addTask { await way.writes.start() }
            }
        }
    }

    /// Closes the connections.
    package func close() async {
        for way in ways.values {
            await way.polls.close()
            await way.writes.close()
        }
    }

    // MARK: Reading

    /// Carries out an order for a batch, in one write; calls back on some event loop, once.
    func poll(
        _ batch: AuthorityCore.Batch,
        _ order: AuthorityCore.Order,
        _ completion: @escaping @Sendable (AuthorityCore.Event) -> Void
    ) {
        let token = order.member.token
        guard let way = ways[order.member.endpoint] else {
            return completion(.silent(batch, token))
        }
        way.polls.exchange(deadline: .after(pollLimit)) { connection in
            let checks = order.checked.contains(connection) ? [] : Self.questions
            var commands =
                checks + [
                    RedisCommand("ECHO", .text("b\(batch)")),
                    RedisCommand("GET", .text(AuthorityScripts.head)),
                ]
            if let after = order.after {
                commands.append(
                    RedisCommand(
                        "XRANGE",
                        .text(AuthorityScripts.log),
                        "(\(String(after))-0",
                        "+",
                        "COUNT",
                        .number(Self.chunk)
                    )
                )
                // The same head behind the log: else what stands between may be another log's.
                commands.append(RedisCommand("GET", .text(AuthorityScripts.head)))
            }
            return commands
        } completion: { [silences] result in
            if case .success(let exchange) = result,
                let reply = MemberReply.read(exchange, for: order)
            {
                completion(.replied(batch, token, reply))
            } else {
                silences.increment()
                completion(.silent(batch, token))
            }
        }
    }

    /// Gives up the connection of a member that is out of step.
    func drop(_ connection: AuthorityCore.Connection, at endpoint: String) {
        ways[endpoint]?.polls.drop(connection: connection)
    }

    // MARK: Writing

    /// Publishes entries to the process that was adopted; false where it failed or nobody knows.
    func publish(_ member: AuthorityMember, _ entries: [RevocationEntry]) async -> Bool {
        guard let identity = member.identity else { return false }
        return await script(
            AuthorityScripts.publish,
            keys: [AuthorityScripts.head, AuthorityScripts.log],
            member,
            [.text(identity.runID), .text(identity.replicationID)]
                + entries.map { .bytes($0.packed) }
        )
    }

    /// Takes the token from a member; false unless it is certain that it is gone.
    func fence(_ member: AuthorityMember) async -> Bool {
        // Nobody asks a member that was away when it was adopted.
        guard let identity = member.identity else { return true }
        return await script(
            AuthorityScripts.fence,
            keys: [AuthorityScripts.head],
            member,
            [.text(identity.runID)]
        )
    }

    private func script(
        _ script: RedisScript,
        keys: [String],
        _ member: AuthorityMember,
        _ arguments: [RedisArgument]
    ) async -> Bool {
        guard let way = ways[member.endpoint] else { return false }
        do {
            _ = try await way.writes.run(
                script,
                keys: keys,
                arguments: [.text(member.token.text)] + arguments,
                deadline: .after(publishLimit)
            )
            return true
        } catch {
            // Whatever it was, the member has not said yes; `RevokerCore` goes on from there.
            return false
        }
    }

    /// Empties the member and gives it a token; false where it failed or nobody knows.
    func adopt(_ endpoint: String, _ token: MemberToken) async -> Bool {
        let commands = [
            RedisCommand("MULTI"), RedisCommand("DEL", .text(AuthorityScripts.log)),
            RedisCommand("SET", .text(AuthorityScripts.head), .text("\(token):0")),
            RedisCommand("EXEC"),
        ]
        guard let replies = await exchange(endpoint, commands)?.replies else { return false }
        guard case .success(.array(let done)) = replies.last else { return false }
        return done.count == 2
    }

    /// Looks at a Redis of the settings; nil where it does not answer.
    package func look(at endpoint: String) async -> Look? {
        let head = RedisCommand("GET", .text(AuthorityScripts.head))
        guard let exchange = await exchange(endpoint, Self.questions + [head]),
            case .success(let value) = exchange.replies.last
        else { return nil }
        return Look(
            finding: MemberReply.finding(exchange.replies),
            head: MemberReply.head(value)?.token
        )
    }

    private func exchange(_ endpoint: String, _ commands: [RedisCommand]) async -> RedisExchange? {
        guard let way = ways[endpoint] else { return nil }
        return await withCheckedContinuation { continuation in
            way.writes.exchange(deadline: .after(publishLimit)) { _ in
                commands
            } completion: { result in
                if case .success(let exchange) = result {
                    continuation.resume(returning: exchange)
                } else {
                    continuation.resume(returning: nil)
                }
            }
        }
    }

    /// What is asked to know whether a Redis may be a member.
    private static let questions = [
        RedisCommand("INFO"), RedisCommand("CONFIG", "GET", "save"),
        RedisCommand("CONFIG", "GET", "appendonly"),
        RedisCommand("CONFIG", "GET", "maxmemory-policy"),
    ]
}

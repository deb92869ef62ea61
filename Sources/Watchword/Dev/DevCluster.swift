// Brings up a whole cluster on this machine: Redis, PostgreSQL, migrations, the first
// administrator, nodes. Cancelling its task ends all of it in order: nodes drain, then Redis, then
// PostgreSQL. When any process ends by itself, everything is ended and the reason is told: half a
// cluster that looks alive is worse than none.
import Glibc
import Primitives
import Synchronization

/// What the cluster asks the service to do.
struct DevSeams: Sendable {
    /// Brings the database up to date.
    var migrate: @Sendable (_ databaseURL: String) async throws -> Void
    /// Makes the first administrator; nil where there is one already.
    var createFirstAdministrator:
        @Sendable (_ databaseURL: String, _ login: String, _ password: Secret) async throws ->
            FirstAdministrator?
}

/// A development cluster.
final class DevCluster: Sendable {
    private static let drainPatience = Duration.seconds(30)
    private let plan: DevPlan
    private let seams: DevSeams
    private let say: @Sendable (String) -> Void
    private let note: @Sendable (String) -> Void
    private let begin = MonotonicInstant.now
    private struct Running {
        var redis: LocalRedis?
        var postgres: LocalPostgres?
        var nodes: [ChildProcess] = []
    }
    private let running = Mutex(Running())

    /// A cluster that tells its progress to `say` and passes log lines to `note`.
    init(
        _ plan: DevPlan,
        seams: DevSeams,
        say: @escaping @Sendable (String) -> Void = { Output.line($0) },
        note: @escaping @Sendable (String) -> Void = { Output.note($0) }
    ) {
        self.plan = plan
        self.seams = seams
        self.say = say
        self.note = note
    }

    /// Runs the cluster until its task is cancelled, which is an orderly end.
    ///
    /// - Throws: `LocalServerError` where something could not be started or ended by itself.
    func run() async throws {
        let programs = ServerPrograms(environment: plan.environment)
        _ = try programs.redis()
        _ = try programs.postgres()
        let user = try LocalUser.forServers()
        let folder =
            if let path = plan.dataDirectory {
                try LocalFolder(keeping: path, serverUser: user)
            } else { try LocalFolder(ephemeralFor: user) }
        do {
            let taken = plan.takenPorts()
            guard taken.isEmpty else { throw LocalServerError(taken.joined(separator: "\n")) }
            try await bringUp(programs, folder)
            try await watch()
        } catch {
            await stop()
            folder.remove()
            if error is CancellationError { return }
            throw error
        }
    }

    // MARK: - Starting

    private func bringUp(_ programs: ServerPrograms, _ folder: LocalFolder) async throws {
        for sentence in folder.notes { progress(sentence) }
        let chosen = try LocalPostgres.choose(programs, in: folder)
        progress("Starting Redis …")
        let redis = try await LocalRedis.start(try programs.redis(), in: folder)
        running.withLock { $0.redis = redis }
        let isFresh = !FileIO.exists(folder.dataPath + "/postgres")
        progress(
            "Starting PostgreSQL \(chosen.major) …"
                + (isFresh ? " (a fresh database in \(folder.dataPath)/postgres)" : "")
        )
        let postgres = try await LocalPostgres.start(
            chosen,
            in: folder,
            durability: plan.dataDirectory == nil ? .throwaway : .kept
        )
        running.withLock { $0.postgres = postgres }
        progress("Bringing the database up to date …")
        try await seams.migrate(postgres.url)
        try Task.checkCancellation()
        let secrets = DevSecrets(in: folder.path)
        let keyFile = try secrets.masterKeyFile()
        let administrator = try await administrator(secrets, postgres.url)
        guard plan.nodes > 0 else {
            say("PostgreSQL is ready on \(postgres.url)")
            say("Redis is ready on \(redis.url)")
            return
        }
        progress("Starting \(plan.nodes == 1 ? "one node" : "\(plan.nodes) nodes") …")
        for number in 1...plan.nodes {
            let node = try startNode(number, postgres.url, redis.url, keyFile)
            running.withLock { $0.nodes.append(node) }
        }
        try await waitUntilReady()
        announce(administrator, secrets)
    }

    private func administrator(
        _ secrets: DevSecrets,
        _ databaseURL: String
    ) async throws -> FirstAdministrator? {
        let kept = try secrets.keptAdministrator()
        let wanted = try kept ?? secrets.makeAdministrator()
        progress("Looking for an administrator …")
        let made = try await seams.createFirstAdministrator(
            databaseURL,
            wanted.login,
            Secret(wanted.password)
        )
        if made == nil && kept == nil {
            secrets.removeAdministrator()
            return nil
        }
        return wanted
    }

    private func startNode(
        _ number: Int,
        _ databaseURL: String,
        _ redisURL: String,
        _ keyFile: String
    ) throws -> ChildProcess {
        var command = ChildCommand(program: plan.nodeProgram, arguments: plan.nodeArguments)
        if plan.nodeProgram == "/proc/self/exe" { command.shownAs = "watchword" }
        command.environment = plan.environment(
            ofNode: number,
            databaseURL: databaseURL,
            redisURL: redisURL,
            masterKeyFile: keyFile
        )
        let note = note
        return try ChildProcess("node \(number)", command) { line in
            note("node \(number) | \(JSONText.plain(line))")
        }
    }

    private func waitUntilReady() async throws {
        let deadline = Deadline.after(plan.nodePatience)
        for (index, node) in running.withLock({ $0.nodes }).enumerated() {
            let port = plan.ports(ofNode: index + 1).management
            while await !isReady(port) {
                try Task.checkCancellation()
                try await refuseEnded()
                guard !deadline.hasPassed else {
                    throw LocalServerError(
                        "\(node.name) was not ready within \(plan.nodePatience.wholeSeconds) "
                            + "seconds: its log above says why."
                    )
                }
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    private func isReady(_ port: Int) async -> Bool {
        let answer = await OwnThread.run("readiness") {
            LocalSocket.exchange(
                "GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nConnection: close\r\n\r\n",
                with: .port(port),
                patience: .seconds(5)
            )
        }
        let words = (answer ?? "").split(separator: " ", maxSplits: 2)
        return words.count == 3 && words[0].hasPrefix("HTTP/1.") && words[1] == "200"
    }

    private func announce(_ administrator: FirstAdministrator?, _ secrets: DevSecrets) {
        say("Watchword is ready on http://127.0.0.1:\(plan.port)")
        if plan.nodes > 1 {
            let others = (2...plan.nodes).map { "http://127.0.0.1:\(plan.ports(ofNode: $0).open)" }
            say("Further nodes: \(others.joined(separator: " "))")
        }
        if let administrator {
            say(
                "Sign in as \(administrator.login) with the password \(administrator.password) "
                    + "(kept in \(secrets.administratorFile))."
            )
        } else {
            say("Sign in as the administrator you made; its password is not kept here.")
        }
        say("Ctrl-C ends it.")
    }

    // MARK: - Running and stopping

    private var children: [ChildProcess] {
        running.withLock { state in
            [state.redis?.process, state.postgres?.process].compactMap(\.self) + state.nodes
        }
    }

    private func watch() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for child in children {
                group.addTask {
                    guard let status = await child.ended() else { throw CancellationError() }
                    await child.settle()
                    throw Self.unexpectedEnd(child, status)
                }
            }
            try await group.next()
        }
    }

    private func refuseEnded() async throws {
        for child in children {
            guard let status = child.exitStatus else { continue }
            // Its last words may still be on their way.
            await child.settle()
            throw Self.unexpectedEnd(child, status)
        }
    }

    private static func unexpectedEnd(
        _ child: ChildProcess,
        _ status: ChildStatus
    ) -> LocalServerError {
        let last = child.lastLines.last { !$0.isEmpty }
        return LocalServerError(
            "\(child.name) \(status), so everything was stopped"
                + (last.map { ": \(JSONText.plain($0))" } ?? ".")
        )
    }

    private func stop() async {
        let state = running.withLock { $0 }
        if !state.nodes.isEmpty {
            progress("Stopping the nodes …")
            await withTaskGroup(of: Void.self) { group in
                for node in state.nodes {
                    group.addTask { await node.stop(SIGTERM, patience: Self.drainPatience) }
                }
            }
        }
        if let redis = state.redis {
            progress("Stopping Redis …")
            await redis.stop()
        }
        if let postgres = state.postgres {
            progress("Stopping PostgreSQL …")
            await postgres.stop()
        }
    }

    private func progress(_ sentence: String) {
        let tenths = (MonotonicInstant.now - begin).wholeMicroseconds / 100_000
        say("[\(tenths / 10).\(tenths % 10) s] \(sentence)")
    }
}

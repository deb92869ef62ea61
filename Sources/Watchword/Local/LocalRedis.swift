// A private Redis on a Unix socket. It keeps nothing on disk: PostgreSQL is the truth, and an empty
// Redis is a state that every node must cope with anyway. Tests use it as `watchword dev` does.
import Glibc
import Primitives

/// A running private Redis.
final class LocalRedis: Sendable {
    /// How long a start may take.
    static let startPatience = Duration.seconds(20)

    /// The server's process.
    let process: ChildProcess
    /// The socket's path.
    let socket: String
    /// `unix://` and the socket's path.
    var url: String { "unix://" + socket }

    private init(process: ChildProcess, socket: String) {
        self.process = process
        self.socket = socket
    }

    /// Starts Redis in `folder` and waits until it answers.
    ///
    /// Cancelling ends the server. - Throws: `LocalServerError`, or `CancellationError`.
    static func start(
        _ program: String,
        in folder: LocalFolder,
        name: String = "redis",
        settings: [String: String] = [:]
    ) async throws -> LocalRedis {
        let data = "\(folder.dataPath)/\(name)"
        try LocalFolder.makeFolder(data, mode: 0o700, owner: folder.serverUser)
        let socket = "\(folder.runPath)/\(name).sock"
        var options = [
            "port": "0", "unixsocket": socket, "unixsocketperm": "700", "save": "",
            "appendonly": "no", "dir": data, "daemonize": "no", "loglevel": "warning",
        ]
        options.merge(settings) { _, new in new }
        var command = ChildCommand(
            program: program,
            arguments: options.sorted { $0.key < $1.key }.flatMap { ["--\($0.key)", $0.value] }
        )
        command.environment = ["LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"]
        command.folder = "/"
        command.user = folder.serverUser
        let process = try ChildProcess(name, command)
        do {
            try await waitUntilReady(process, socket)
        } catch {
            await process.stop(SIGTERM, patience: .seconds(3))
            throw error
        }
        return LocalRedis(process: process, socket: socket)
    }

    /// Ends it.
    func stop() async { await process.stop(SIGTERM, patience: .seconds(5)) }

    private static func waitUntilReady(_ process: ChildProcess, _ socket: String) async throws {
        let deadline = Deadline.after(startPatience)
        while true {
            try Task.checkCancellation()
            if let status = process.exitStatus {
                await process.settle()
                let why = process.lastLines.last { !$0.isEmpty } ?? status.description
                throw LocalServerError("Redis could not be started: \(why)")
            }
            let answer = await OwnThread.run("redis ping") {
                LocalSocket.exchange("PING\r\n", with: .file(socket), patience: .seconds(2))
            }
            if answer?.hasPrefix("+PONG") == true { return }
            guard !deadline.hasPassed else {
                throw LocalServerError(
                    "Redis did not start within \(startPatience.wholeSeconds) seconds: "
                        + (process.lastLines.last ?? "it wrote nothing") + "."
                )
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }
}

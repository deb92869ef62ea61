// A private PostgreSQL on a Unix socket: nothing listens on the network, and only the users who may
// pass its 0700 folder can connect. The data folder appears whole or not at all: it is made under
// another name, with the database in it, and renamed. Tests use it as `watchword dev` does.
import Glibc
import Primitives

/// A running private PostgreSQL.
final class LocalPostgres: Sendable {
    /// The one database and its owner.
    static let database = "watchword"
    /// How long a start may take; recovery after a crash is part of it.
    static let startPatience = Duration.seconds(60)

    /// The server's process.
    let process: ChildProcess
    /// `postgresql://…` of the database, for libpq.
    let url: String
    /// The server's major version.
    let major: Int

    private init(process: ChildProcess, url: String, major: Int) {
        self.process = process
        self.url = url
        self.major = major
    }

    /// Whether writes reach the disk before they are acknowledged.
    enum Durability: Sendable {
        /// They do.
        case kept
        /// They need not: the data is thrown away in the end.
        case throwaway
    }

    /// The PostgreSQL that will run in `folder`: the newest, or the one its data was made by.
    static func choose(
        _ programs: ServerPrograms,
        in folder: LocalFolder
    ) throws -> PostgresPrograms {
        let installed = try programs.postgres()
        let data = folder.dataPath + "/postgres"
        guard FileIO.exists(data) else { return installed[0] }
        guard let text = FileIO.text(data + "/PG_VERSION"),
            let major = Int(text.prefix { $0.isNumber }),
            FileIO.exists(data + "/global/pg_control")
        else { throw damaged(data, nil) }
        guard let match = installed.first(where: { $0.major == major }) else {
            throw LocalServerError(
                "\(data) was made by PostgreSQL \(major), and PostgreSQL \(installed[0].major) is "
                    + "installed: move that folder away, or name another one with --data-dir."
            )
        }
        return match
    }

    /// Starts PostgreSQL in `folder`, with a fresh database where there is none, and waits until
    /// it takes connections.
    ///
    /// Cancelling ends the server. - Throws: `LocalServerError`, or `CancellationError`.
    static func start(
        _ programs: PostgresPrograms,
        in folder: LocalFolder,
        durability: Durability,
        settings: [String: String] = [:]
    ) async throws -> LocalPostgres {
        let data = folder.dataPath + "/postgres"
        if !FileIO.exists(data) { try await create(data, programs, folder) }
        try await endPredecessor(data)
        var options = [
            "listen_addresses": "", "unix_socket_directories": folder.runPath,
            "unix_socket_permissions": "0700", "max_connections": "200",
            "logging_collector": "off", "log_destination": "stderr", "TimeZone": "UTC",
            "log_timezone": "UTC", "cluster_name": "watchword",
        ]
        if durability == .throwaway {
            for name in ["fsync", "synchronous_commit", "full_page_writes"] {
                options[name] = "off"
            }
        }
        options.merge(settings) { _, new in new }
        var command = ChildCommand(
            program: programs.folder + "/postgres",
            arguments: ["-D", data]
                + options.sorted { $0.key < $1.key }.flatMap { ["-c", "\($0.key)=\($0.value)"] }
        )
        command.environment = environment
        command.folder = "/"
        command.user = folder.serverUser
        command.deathSignal = SIGINT  // A fast and clean shutdown.
        let process = try ChildProcess("postgres", command)
        do {
            try await waitUntilReady(process, data)
        } catch {
            await process.stop(SIGINT, patience: .seconds(10))
            throw error
        }
        return LocalPostgres(
            process: process,
            url: "postgresql:///\(database)?host=\(percentEncoded(folder.runPath))"
                + "&user=\(database)",
            major: programs.major
        )
    }

    /// Ends it: fast shutdown, then immediate, then SIGKILL.
    func stop() async {
        process.send(SIGINT)
        if await process.waitForExit(until: .after(.seconds(20))) != nil { return }
        await process.stop(SIGQUIT, patience: .seconds(5))
    }

    // MARK: - Making the data folder

    private static var environment: [String: String] {
        ["LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"]
    }

    private static func create(
        _ data: String,
        _ programs: PostgresPrograms,
        _ folder: LocalFolder
    ) async throws {
        let draft = data + ".new"
        FileIO.removeTree(draft)
        try LocalFolder.makeFolder(draft, mode: 0o700, owner: folder.serverUser)
        var command = ChildCommand(
            program: programs.folder + "/initdb",
            arguments: [
                "-D", draft, "-U", database, "-A", "trust", "-E", "UTF8", "--locale=C",
                "--no-sync", "--no-instructions",
            ]
        )
        command.environment = environment
        command.folder = "/"
        command.user = folder.serverUser
        try await finish("initdb", command, "The database folder \(data) could not be made")
        command.program = programs.folder + "/postgres"
        command.arguments = ["--single", "-D", draft, "postgres"]
        command.input = "CREATE DATABASE \(database)\n"
        try await finish("postgres --single", command, "The database could not be made")
        guard rename(draft, data) == 0 else {
            throw LocalServerError("\(data) cannot be made: \(FileIO.reason).")
        }
    }

    private static func finish(
        _ name: String,
        _ command: ChildCommand,
        _ complaint: String
    ) async throws {
        let process = try ChildProcess(name, command)
        let status = await withTaskCancellationHandler {
            await process.exit()
        } onCancel: {
            process.send(SIGTERM)
        }
        try Task.checkCancellation()
        await process.settle()
        // `--single` exits with 0 after a failed statement too; its words tell.
        let errors = process.lastLines.filter { $0.contains("ERROR") || $0.contains("FATAL") }
        guard status == .code(0), errors.isEmpty else {
            let why = errors.last ?? process.lastLines.last ?? status.description
            throw LocalServerError("\(complaint): \(why)")
        }
    }

    // MARK: - Starting

    /// A parent that was killed may have left a server that is just shutting down, and always
    /// leaves `postmaster.pid`.
    ///
    /// We hold the folder's lock, so whatever is left may be ended.
    private static func endPredecessor(_ data: String) async throws {
        let file = data + "/postmaster.pid"
        guard let text = FileIO.text(file) else { return }
        if let line = text.split(separator: "\n").first, let left = ForeignProcess(Int32(line)),
            left.workingFolder == data
        {
            left.send(SIGINT)
            if await !left.waitForExit(.seconds(15)) {
                left.send(SIGQUIT)
                _ = await left.waitForExit(.seconds(5))
            }
        }
        // Gone already after an orderly end; else it names a process that is not ours.
        unlink(file)
    }

    private static func waitUntilReady(_ process: ChildProcess, _ data: String) async throws {
        let deadline = Deadline.after(startPatience)
        while true {
            try Task.checkCancellation()
            if let status = process.exitStatus {
                await process.settle()
                throw failure(process, status, data)
            }
            // Line 1 is the process, line 8 its state, as pg_ctl reads them.
            let lines = (FileIO.text(data + "/postmaster.pid") ?? "").split(
                separator: "\n",
                omittingEmptySubsequences: false
            )
            if lines.count >= 8, lines[0] == "\(process.processID)",
                lines[7].hasPrefix("ready")
            {
                return
            }
            guard !deadline.hasPassed else {
                throw LocalServerError(
                    "PostgreSQL did not start within \(startPatience.wholeSeconds) seconds: "
                        + (process.lastLines.last ?? "it wrote nothing") + "."
                )
            }
            try await Task.sleep(for: .milliseconds(10))
        }
    }

    private static func failure(
        _ process: ChildProcess,
        _ status: ChildStatus,
        _ data: String
    ) -> LocalServerError {
        let lines = process.lastLines
        let fatal = lines.last { $0.contains("FATAL:") || $0.contains("PANIC:") } ?? lines.last
        guard let fatal else {
            return LocalServerError("PostgreSQL \(status) before it was ready.")
        }
        let why = fatal.split(separator: ":  ", maxSplits: 1).last.map(String.init) ?? fatal
        return damaged(data, why)
    }

    private static func damaged(_ data: String, _ why: String?) -> LocalServerError {
        LocalServerError(
            "PostgreSQL cannot use \(data)\(why.map { " (\($0))" } ?? ", which is damaged"): move "
                + "that folder away (mv \(data) \(data).old), or name another one with --data-dir."
        )
    }

    private static func percentEncoded(_ path: String) -> String {
        path.utf8.map { byte in
            let character = Character(UnicodeScalar(byte))
            let isPlain =
                character.isASCII && (character.isLetter || character.isNumber)
                || "-_.".contains(character)
            let digits = String(byte, radix: 16, uppercase: true)
            return isPlain
                ? String(character) : "%" + (digits.count == 1 ? "0" : "") + digits
        }.joined()
    }
}

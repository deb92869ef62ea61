// Finds the installed PostgreSQL and Redis programs, where Debian, other distributions and people
// put them. Nothing is ever downloaded.
import Glibc

/// One installed PostgreSQL.
struct PostgresPrograms: Sendable, Equatable {
    /// The folder of `postgres` and `initdb`.
    let folder: String
    /// The major version: 15.
    let major: Int
}

/// Looks for server programs.
struct ServerPrograms: Sendable {
    /// The folders of Debian's PostgreSQL packages, each with `<major>/bin` in it.
    var debianFolder = "/usr/lib/postgresql"
    /// The folders where other programs are looked for.
    var searchPath: [String]

    /// Looks where `PATH` says and, for servers, in the folders that ordinary users often lack.
    init(environment: [String: String]) {
        let path = environment["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"
        searchPath = path.split(separator: ":").map(String.init)
        for folder in ["/usr/local/bin", "/usr/bin", "/usr/local/sbin", "/usr/sbin"]
        where !searchPath.contains(folder) { searchPath.append(folder) }
    }

    /// Every installed PostgreSQL with `postgres` and `initdb`, newest first.
    func installedPostgres() -> [PostgresPrograms] {
        var folders = FileIO.names(in: debianFolder).sorted().map { "\(debianFolder)/\($0)/bin" }
        folders += searchPath
        var found: [PostgresPrograms] = []
        for folder in folders
        where isProgram("\(folder)/postgres") && isProgram("\(folder)/initdb") {
            guard let real = Self.realFolder(of: "\(folder)/postgres"),
                isProgram("\(real)/initdb"), !found.contains(where: { $0.folder == real }),
                let major = Self.major(of: "\(real)/postgres")
            else { continue }
            found.append(PostgresPrograms(folder: real, major: major))
        }
        return found.sorted { $0.major > $1.major }
    }

    /// The newest PostgreSQL, or the one of major version `major` where a data folder wants it.
    func postgres() throws -> [PostgresPrograms] {
        let found = installedPostgres()
        guard !found.isEmpty else { throw Self.missing("PostgreSQL") }
        return found
    }

    /// The path of `redis-server`.
    func redis() throws -> String {
        for folder in searchPath where isProgram("\(folder)/redis-server") {
            return "\(folder)/redis-server"
        }
        throw Self.missing("Redis")
    }

    private static func missing(_ server: String) -> LocalServerError {
        LocalServerError(
            "\(server) is not installed: `sudo apt-get install postgresql redis-server` "
                + "brings both servers (they need not be running)."
        )
    }

    private func isProgram(_ path: String) -> Bool { access(path, X_OK) == 0 }

    private static func realFolder(of path: String) -> String? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        let text = String(cString: real)
        return text.lastIndex(of: "/").map { String(text[..<$0]) }
    }

    /// Reads `postgres (PostgreSQL) 15.20 (…)`; nil where the program does not answer so.
    private static func major(of program: String) -> Int? {
        // A quote would end the shell's quoting; no server is installed under such a path.
        guard !program.contains("'") else { return nil }
        guard let pipe = popen("'\(program)' --version 2>/dev/null", "r") else { return nil }
        defer { pclose(pipe) }
        var buffer = [CChar](repeating: 0, count: 200)
        guard fgets(&buffer, Int32(buffer.count), pipe) != nil else { return nil }
        let bytes = buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        let line = String(decoding: bytes, as: UTF8.self)
        let digits = line.drop { !$0.isNumber }.prefix { $0.isNumber }
        return Int(digits)
    }
}

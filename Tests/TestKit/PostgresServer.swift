// A private PostgreSQL for tests: the installed server program on a Unix socket in a folder of its
// own. A watchdog shell holds it and reads a pipe from the test process; when the pipe ends, for
// whatever reason, kill -9 included, it stops the server and removes the folder.
import Glibc
import Logging
import NIOPosix
import Postgres
import Primitives
import Synchronization

/// A running server that ends with the process.
package final class PostgresServer: Sendable {
    /// The folder of its socket, data and log.
    package let folder: String
    /// The process id of the postmaster; another one after `restart`.
    package var processID: Int32 { process.load(ordering: .sequentiallyConsistent) }
    private let process: Atomic<Int32>
    /// The port, of its Unix socket and of TCP if it listens there.
    package let port: Int
    private let pipe: Int32
    private let databases = Atomic<Int>(0)
    private let admin: PostgresPool

    /// The server all tests of this process share, unless they break theirs; without fsync.
    package static func shared() async throws -> PostgresServer {
        try await sharedOnes.get()
    }
    private static let sharedOnes = SharedServer()

    /// What a server begins as.
    private enum Origin {
        /// An empty one.
        case new
        /// An empty one that also listens on 127.0.0.1, with TLS and nothing else.
        case encrypted(port: Int)
        /// A copy of the server in a folder, which follows it.
        case standby(of: String)

        /// The first two arguments of the script.
        var words: [String] {
            switch self {
            case .new: ["new", "5432"]
            case .encrypted(let port): ["encrypted", "\(port)"]
            case .standby(let folder): [folder, "5432"]
            }
        }
    }

    /// Starts a server of one's own.
    ///
    /// - Parameters:
    ///   - fsync: whether it writes through to the disk.
    ///   - settings: more settings, `name=value`.
    /// - Returns: the server, ready for connections.
    /// - Throws: `TestServerError` with the last line of its log.
    package static func start(
        fsync: Bool = false,
        settings: [String] = []
    ) async throws -> PostgresServer {
        let fsync = "fsync=\(fsync ? "on" : "off")"
        return try await start(.new, [fsync] + settings)
    }

    /// Starts a server that also listens on `port` of 127.0.0.1, where it wants TLS.
    ///
    /// Its folder holds `ca.pem`, which signed its certificate for `localhost`, and `other.pem`,
    /// which signed nothing.
    package static func startEncrypted() async throws -> PostgresServer {
        // Another process may take a port between our finding it free and the server's listening.
        for _ in 0..<3 {
            let port = try FreePorts.take(1)[0]
            do {
                return try await start(.encrypted(port: port), ["fsync=off"])
            } catch let error as TestServerError {
                guard error.description.contains("already in use") else { throw error }
            }
        }
        throw TestServerError("no free port in three attempts")
    }

    /// Copies the server and starts the copy as its standby, by streaming replication.
    package func standby() async throws -> PostgresServer {
        try await Self.start(.standby(of: folder), ["fsync=off"])
    }

    private static func start(_ origin: Origin, _ settings: [String]) async throws -> PostgresServer
    {
        try await NIOThreadPool.singleton.runIfActive {
            try PostgresServer(origin, ["full_page_writes=off"] + settings)
        }
    }

    private init(_ origin: Origin, _ settings: [String]) throws {
        let started = try Watchdog.start(
            script: Self.script,
            arguments: origin.words + [try UnusedPostgres.folder()]
                + settings.flatMap { ["-c", $0] }
        )
        port = Int(origin.words[1]) ?? 0
        pipe = started.pipe
        let words = started.line.split(separator: " ")
        guard words.count == 3, words[0] == "ready", let process = Int32(words[1]) else {
            throw TestServerError("PostgreSQL did not start: \(started.line)")
        }
        self.process = Atomic(process)
        folder = String(words[2])
        var configuration = PostgresConfiguration(
            "host=\(folder) port=\(port) user=postgres dbname=postgres target_session_attrs=any"
        )
        configuration.statementDeadline = .seconds(180)
        configuration.waitLimit = .seconds(180)
        admin = PostgresPool(
            configuration: configuration,
            eventLoopGroup: .singleton,
            threadPool: .singleton,
            logger: Logger(label: "tests.postgres") { _ in SwiftLogNoOpLogHandler() },
            metrics: MetricsRegistry()
        )
    }

    deinit { close(pipe) }

    /// Stops the server now, without waiting for it.
    package func stop() async {
        await admin.close()
        shutdown()
    }

    /// Ends the server as a power cut would; its files and its watchdog stay.
    package func crash() async throws { try await control("stop") }

    /// Starts the server again after `crash`, with the same settings; it recovers from its log.
    package func restart() async throws {
        try await control("restart")
        let lines = readFile("\(folder)/data/postmaster.pid").split(separator: "\n")
        guard let started = lines.first.flatMap({ Int32($0) }) else {
            throw TestServerError("a server without a process")
        }
        process.store(started, ordering: .sequentiallyConsistent)
    }

    /// Makes a standby the primary.
    package func promote() async throws { try await control("promote") }

    private func control(_ verb: String) async throws {
        let script = """
            for d in /usr/lib/postgresql/15/bin /usr/lib/postgresql/*/bin; do
                if [ -x "$d/pg_ctl" ]; then PATH="$d:$PATH"; break; fi
            done
            cd /
            set -- "$1" "$2" -D "$2/data" -w -t 60
            if [ "$1" != promote ]; then set -- "$@" -m immediate -l "$2/log"; fi
            verb=$1; shift 2
            exec pg_ctl "$verb" "$@"
            """
        let user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        let words = (getuid() == 0 ? user : []) + ["sh", "-c", script, "sh", verb, folder]
        let status = try await Blocking.run {
            try ChildProcess.launch(words, log: "/dev/null").wait()
        }
        guard status == 0 else { throw TestServerError("pg_ctl \(verb) failed") }
    }

    private func shutdown() {
        // Any byte ends the watchdog's wait as the end of the pipe does.
        var byte: UInt8 = 10
        _ = write(pipe, &byte, 1)
    }

    /// A database of its own for one test.
    ///
    /// - Parameter template: an existing database to clone, to which nobody may be connected.
    /// - Returns: the database.
    /// - Throws: `PostgresError`.
    package func database(template: String = "template1") async throws -> TestDatabase {
        let number = databases.wrappingAdd(1, ordering: .relaxed).newValue
        let name = "test_\(number)"
        try await admin.script("CREATE DATABASE \(name) TEMPLATE \(template)")
        return TestDatabase(server: self, name: name)
    }

    /// Runs SQL as the superuser in the database `postgres`.
    package func script(_ sql: String) async throws { try await admin.script(sql) }

    /// Sends a signal to the postmaster and all its children.
    package func signalAll(_ signal: Int32) {
        kill(processID, signal)
        for child in children { kill(child, signal) }
    }

    /// The processes of the server besides the postmaster.
    package var children: [Int32] {
        readFile("/proc/\(processID)/task/\(processID)/children").split(separator: " ")
            .compactMap { Int32($0) }
    }

    /// Two authorities, and a certificate that the first of them signed.
    private static let certificates = """
        ( cd "$dir"
            for ca in ca other; do
                openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \\
                    -subj "/CN=$ca of the tests" -keyout $ca.key -out $ca.pem
            done
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \\
                -subj /CN=localhost -keyout server.key -out server.csr
            echo subjectAltName=DNS:localhost >server.ext
            openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \\
                -extfile server.ext -out server.pem
            chmod 600 server.key ) >>"$dir/log" 2>&1 || failed
        """

    private static let script = """
        set -eu
        \(UnusedPostgres.findPrograms)
        dir=$(mktemp -d "${TMPDIR:-/tmp}/watchword-pg.XXXXXX")
        pid=
        finish() {
            set +e
            # Another one than was started here, where a test has restarted it.
            now=$(head -n 1 "$dir/data/postmaster.pid" 2>/dev/null)
            pid=${now:-$pid}
            if [ -n "$pid" ] && kill -0 "$pid"; then
                children=$(cat "/proc/$pid/task/$pid/children")
                kill -CONT "$pid" $children
                pg_ctl stop -D "$dir/data" -m immediate -t 10 || kill -KILL "$pid" $children
                wait "$pid"
            fi
            rm -rf "$dir"
        }
        trap finish EXIT
        # Ignored, because the test process may be gone before it reads the line.
        trap '' PIPE
        failed() { echo "failed: $(tail -4 "$dir/log" | tr "\n" " ")"; exit 1; }
        origin=$1; port=$2; unused=$3; shift 3
        case $origin in
        /*) pg_basebackup -h "$origin" -U postgres -D "$dir/data" -R -X stream -c fast --no-sync \\
                >"$dir/log" 2>&1 || failed ;;
        *)  cp -a "$unused" "$dir/data" >"$dir/log" 2>&1 || failed ;;
        esac
        if [ "$origin" = encrypted ]; then
            \(PostgresServer.certificates)
            printf 'local all all trust\nhostssl all all 127.0.0.1/32 trust\n' \\
                >"$dir/data/pg_hba.conf"
            set -- "$@" -c ssl=on -c ssl_cert_file="$dir/server.pem" \\
                -c ssl_key_file="$dir/server.key" -c listen_addresses=127.0.0.1
        else
            set -- "$@" -c listen_addresses=
        fi
        postgres -D "$dir/data" -k "$dir" -p "$port" -c max_connections=250 \\
            -c shared_buffers=32MB -c autovacuum=off "$@" >>"$dir/log" 2>&1 </dev/null &
        pid=$!
        until pg_isready -q -h "$dir" -p "$port"; do
            kill -0 $pid 2>/dev/null || failed
            sleep 0.02
        done
        echo "ready $pid $dir" || true
        exec >/dev/null 2>&1
        read -r line || true
        """
}

/// A database made for one test.
package struct TestDatabase: Sendable {
    /// The server that has it.
    package let server: PostgresServer
    /// Its name.
    package let name: String
    /// The standby of the server, which may take over.
    package var standby: PostgresServer?

    /// The hosts, as libpq takes them.
    package var hosts: String {
        ([server] + (standby.map { [$0] } ?? [])).map(\.folder).joined(separator: ",")
    }

    /// The connection string.
    package var connection: String {
        "host=\(hosts) port=\(server.port) user=postgres dbname=\(name)"
    }

    /// Drops it, whoever is connected; otherwise it goes with the server.
    package func drop() async throws {
        try await server.script("DROP DATABASE \(name) WITH (FORCE)")
    }
}

/// A server that could not be started.
package struct TestServerError: Error, CustomStringConvertible {
    package let description: String
    /// An error with this text.
    package init(_ description: String) { self.description = description }
}

/// Starts the one server at the first wish; all who wish meanwhile wait for it.
private actor SharedServer {
    private var starting: Task<PostgresServer, any Error>?

    func get() async throws -> PostgresServer {
        if let starting { return try await starting.value }
        let task = Task { try await PostgresServer.start() }
        starting = task
        return try await task.value
    }
}

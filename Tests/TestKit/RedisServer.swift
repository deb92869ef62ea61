// A real redis-server of a test's own: in a private folder, on a Unix socket and, if wanted, TCP
// or TLS. It cannot outlive the test process, not even one that was killed: the kernel kills it
// with its parent thread, and a janitor at the other end of a socket then removes the folder.
internal import Primitives
import Synchronization

#if canImport(Glibc)
import Glibc
#else
import Musl
#endif

/// One redis-server, started by `start` and stopped by `stop` or the end of the process.
package final class RedisServer: Sendable {
    /// What a server is to offer besides its Unix socket.
    package struct Options: Sendable {
        /// Listen on a TCP port of 127.0.0.1.
        package var tcp = false
        /// Listen with TLS on a port of 127.0.0.1, with a certificate for `localhost`.
        package var tls = false
        /// The password of the default user.
        package var password: String?
        /// Further lines of the configuration file: `user alice on >secret ~* +@all`.
        package var lines: [String] = []

        /// Only a Unix socket, no password.
        package init() {}
    }

    /// What went wrong, in a sentence.
    package struct Failure: Error, CustomStringConvertible {
        package let description: String
    }

    /// The private folder.
    package let folder: String
    /// The TCP port; 0 when there is none.
    package let port: Int
    /// The TLS port; 0 when there is none.
    package let tlsPort: Int
    private let janitor: Int32
    private let process = Mutex<ChildProcess?>(nil)
    private let hasRun = Atomic<Bool>(false)

    /// The Unix socket.
    package var socket: String { "\(folder)/redis.sock" }
    /// The certificate of the authority that signed the server's.
    package var authorityFile: String { "\(folder)/ca.pem" }

    private init(_ options: Options) throws {
        folder = try PrivateFolder.make("ww-redis")
        janitor = try PrivateFolder.removeAtExit(folder)
        let ports = try FreePorts.take(2)
        port = options.tcp ? ports[0] : 0
        tlsPort = options.tls ? ports[1] : 0
        var lines = [
            "unixsocket \(folder)/redis.sock", "port \(port)", "dir \(folder)", "save \"\"",
            "appendonly no", "bind 127.0.0.1", "daemonize no", "databases 16",
        ]
        if options.tls {
            try Self.makeCertificates(in: folder)
            lines += [
                "tls-port \(tlsPort)", "tls-cert-file \(folder)/server.pem",
                "tls-key-file \(folder)/server.key", "tls-ca-cert-file \(folder)/ca.pem",
                "tls-auth-clients no",
            ]
        }
        if let password = options.password { lines.append("requirepass \(password)") }
        lines += options.lines
        try PrivateFolder.write(lines.joined(separator: "\n") + "\n", to: "\(folder)/redis.conf")
    }

    deinit {
        process.withLock { $0?.kill() }
        close(janitor)
    }

    /// Starts a server and waits until it answers on its socket.
    package static func start(_ options: Options = Options()) async throws -> RedisServer {
        // Another process may take a port between our finding it free and Redis' listening.
        for _ in 0..<3 {
            let server = try await Blocking.run { try RedisServer(options) }
            do {
                try await server.restart()
                return server
            } catch let failure as Failure {
                guard failure.description.contains("Address already in use") else { throw failure }
            }
        }
        throw Failure(description: "no free port in three attempts")
    }

    /// Starts the server again after `kill`, on the same socket and ports, empty.
    ///
    /// Somebody may have its port for a moment: an outgoing connection, say.
    package func restart() async throws {
        try await Blocking.run { [self] in
            let deadline = Deadline.after(.seconds(60))
            while !(try launch(deadline)) { usleep(100_000) }
        }
    }

    /// Launches it; false where it may be tried again.
    private func launch(_ deadline: Deadline) throws -> Bool {
        unlink(socket)
        let before = log.utf8.count
        let child = try ChildProcess.launch(
            ["redis-server", "\(folder)/redis.conf"],
            log: "\(folder)/redis.log"
        )
        process.withLock { $0 = child }
        while !Self.accepts(socket) {
            guard child.isRunning, !deadline.hasPassed else {
                let said = String(decoding: log.utf8.dropFirst(before), as: UTF8.self)
                if said.contains("Address already in use"), isKnown, !deadline.hasPassed {
                    return false
                }
                throw Failure(description: "redis-server did not start: \(log)")
            }
            usleep(5000)
        }
        hasRun.store(true, ordering: .relaxed)
        return true
    }

    /// Whether its ports have been its own before; at the first start others are tried.
    private var isKnown: Bool { hasRun.load(ordering: .relaxed) }

    /// What the server has logged.
    package var log: String { PrivateFolder.read("\(folder)/redis.log") }

    /// Kills the server as `kill -9` does and waits until it is gone.
    package func kill() async throws {
        let child = process.withLock { $0 }
        try await Blocking.run { child?.kill() }
    }

    /// Freezes the server: it keeps its connections and answers nothing.
    package func freeze() { process.withLock { $0?.signal(SIGSTOP) } }

    /// Lets a frozen server go on.
    package func thaw() { process.withLock { $0?.signal(SIGCONT) } }

    /// Makes a certificate authority and a certificate for `localhost` and 127.0.0.1.
    package static func makeCertificates(in folder: String) throws {
        let script = """
            set -e; cd "$1"
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
                -subj /CN=TestAuthority -keyout ca.key -out ca.pem
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
                -subj /CN=localhost -keyout server.key -out server.csr
            printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\\n' > server.ext
            openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
                -extfile server.ext -out server.pem
            """
        let child = try ChildProcess.launch(
            ["sh", "-c", script, "sh", folder],
            log: "\(folder)/openssl.log"
        )
        guard child.wait() == 0 else {
            throw Failure(
                description: "openssl failed: \(PrivateFolder.read("\(folder)/openssl.log"))"
            )
        }
    }

    private static func accepts(_ path: String) -> Bool {
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
    }
}

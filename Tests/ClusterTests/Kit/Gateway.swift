// nginx, HAProxy or Caddy with the configuration that we ship, in front of the nodes of a test, and
// an application behind it that answers with the very head it got.
import Glibc
import Synchronization
import TestKit

/// A running gateway.
final class Gateway: Sendable {
    /// Speaks to it.
    let client: HTTPClient
    private let process: ChildProcess
    private let application: EchoServer
    private let folder: String
    private let janitor: Int32

    /// Everything that it wrote.
    var logs: String {
        ["error.log", "access.log", "output.log"].map { PrivateFolder.read("\(folder)/\($0)") }
            .joined()
    }

    /// What it complains about.
    var complaints: String { PrivateFolder.read("\(folder)/error.log") }

    private init(
        client: HTTPClient,
        process: ChildProcess,
        application: EchoServer,
        folder: String,
        janitor: Int32
    ) {
        self.client = client
        self.process = process
        self.application = application
        self.folder = folder
        self.janitor = janitor
    }

    deinit {
        process.kill()
        close(janitor)
    }

    /// The sample, as it is shipped.
    static var sample: String {
        Repository.text("docs/gateways/nginx/cluster.conf")
    }

    /// The sample for gateways whose routes are rules, as it is shipped.
    static var routesSample: String {
        Repository.text("docs/gateways/nginx/routes.conf")
    }

    /// Starts nginx before `nodes`.
    static func start(
        _ nodes: [NodeProcess],
        _ sample: String = sample,
        secrets: KnownSecrets?
    ) async throws -> Gateway {
        let folder = try PrivateFolder.make("ww-nginx")
        let janitor = try PrivateFolder.removeAtExit(folder)
        let application = try EchoServer()
        let ports = try FreePorts.take(2)
        // The sample keeps no log of requests. Here there is one, to see what would be in it.
        var text = sample.replacing("access_log off;", with: "access_log @FOLDER@/access.log;")
        text = text.replacing("@FOLDER@", with: folder)
        text = text.replacing(
            "proxy_pass http://127.0.0.1:8001",
            with: "proxy_pass \(application.url)"
        )
        text = text.replacing("127.0.0.1:8000", with: "127.0.0.1:\(ports[0])")
        text = text.replacing("127.0.0.1:8001", with: "127.0.0.1:\(ports[1])")
        for (index, node) in nodes.enumerated() {
            text = text.replacing("127.0.0.1:808\(index);", with: "127.0.0.1:\(node.client.port);")
        }
        for index in nodes.count..<3 {
            text = text.replacing("server 127.0.0.1:808\(index);", with: "")
        }
        try PrivateFolder.write(text, to: "\(folder)/nginx.conf")
        // One process: a worker would outlive a master that is killed.
        let words = [
            "nginx", "-p", folder, "-c", "\(folder)/nginx.conf", "-e", "\(folder)/error.log", "-g",
            "daemon off; master_process off;",
        ]
        let client = HTTPClient(port: ports[0], secrets: secrets)
        return try await launch(words, client, application, folder, janitor)
    }

    /// Starts HAProxy or Caddy before a node, with the sample that we ship.
    static func start(
        _ kind: Kind,
        before node: NodeProcess,
        secrets: KnownSecrets?
    ) async throws -> Gateway {
        let folder = try PrivateFolder.make("ww-\(kind.rawValue)")
        let janitor = try PrivateFolder.removeAtExit(folder)
        let application = try EchoServer()
        let port = try FreePorts.take(1)[0]
        for file in kind.files {
            var text = Repository.text("docs/gateways/\(kind.rawValue)/\(file)")
            text = text.replacing("@FOLDER@", with: folder)
            text = text.replacing("@NODE@", with: "127.0.0.1:\(node.client.port)")
            text = text.replacing("@APPLICATION@", with: application.address)
            // A busy machine is not to look like a lost node.
            text = text.replacing("timeout = 2000", with: "timeout = 60000")
            // Caddy is called by the name of its site, which for the tests' client is this one.
            text = text.replacing(
                "http://127.0.0.1:8000 {",
                with: "http://auth.example.test:\(port) {\n\tbind 127.0.0.1"
            )
            text = text.replacing("127.0.0.1:8000", with: "127.0.0.1:\(port)")
            try PrivateFolder.write(text, to: "\(folder)/\(file)")
        }
        let client = HTTPClient(port: port, secrets: secrets)
        return try await launch(kind.words(folder), client, application, folder, janitor)
    }

    /// Runs a gateway whose files are in `folder`, and waits until it listens.
    private static func launch(
        _ words: [String],
        _ client: HTTPClient,
        _ application: EchoServer,
        _ folder: String,
        _ janitor: Int32
    ) async throws -> Gateway {
        let log = "\(folder)/output.log"
        let gateway = Gateway(
            client: client,
            process: try await Blocking.run { try ChildProcess.launch(words, log: log) },
            application: application,
            folder: folder,
            janitor: janitor
        )
        try await eventually("the gateway listens") {
            guard gateway.process.isRunning else {
                throw ClusterError(
                    PrivateFolder.read(log) + PrivateFolder.read("\(folder)/error.log")
                )
            }
            do {
                let connection = try Connection(port: client.port)
                connection.close()
                return true
            } catch is ClusterError {
                return false
            }
        }
        return gateway
    }
}

extension Gateway {
    /// A gateway besides nginx that Debian has and we ship a sample for.
    enum Kind: String, CaseIterable, Sendable {
        case haproxy
        case caddy

        /// The files of its sample.
        var files: [String] {
            switch self {
            case .haproxy: ["haproxy.cfg", "verify.lua"]
            case .caddy: ["Caddyfile"]
            }
        }

        /// What its page asks of the nodes.
        var variables: [String: String] {
            switch self {
            case .haproxy: ["WATCHWORD_VERIFY_ORIGINAL_REQUEST": "x-original"]
            case .caddy:
                [
                    "WATCHWORD_VERIFY_ORIGINAL_REQUEST": "x-forwarded",
                    "WATCHWORD_VERIFY_QUERY_REQUIREMENTS": "false",
                ]
            }
        }

        /// How it is run, in one process that stays in the foreground.
        func words(_ folder: String) -> [String] {
            switch self {
            case .haproxy: ["haproxy", "-db", "-f", "\(folder)/haproxy.cfg"]
            case .caddy:
                // It keeps a state of its own, which must not be anybody's.
                [
                    "env", "HOME=\(folder)", "XDG_DATA_HOME=\(folder)",
                    "XDG_CONFIG_HOME=\(folder)", "caddy", "run", "--config",
                    "\(folder)/Caddyfile", "--adapter", "caddyfile",
                ]
            }
        }
    }
}

/// An application that answers each request with its head as the body.
final class EchoServer: Sendable {
    private let descriptor: Int32
    private let port: Int

    /// Where it listens.
    var url: String { "http://\(address)" }
    /// The same, without the scheme.
    var address: String { "127.0.0.1:\(port)" }

    init() throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = descriptor
        let isListening = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && listen(descriptor, 100) == 0
                    && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard isListening else { throw ClusterError("the application has no port") }
        port = Int(UInt16(bigEndian: address.sin_port))
        Blocking.detach { Self.serve(descriptor) }
    }

    deinit {
        shutdown(descriptor, Int32(SHUT_RDWR))
        close(descriptor)
    }

    private static func serve(_ listener: Int32) {
        while true {
            let connection = accept(listener, nil, nil)
            guard connection >= 0 else { return }
            var head: [UInt8] = []
            while head.firstRange(of: Array("\r\n\r\n".utf8)) == nil {
                var buffer = [UInt8](repeating: 0, count: 16_384)
                let count = recv(connection, &buffer, buffer.count, 0)
                guard count > 0 else { break }
                head += buffer[..<count]
            }
            let lines =
                "HTTP/1.1 200 OK\r\nContent-Length: \(head.count)\r\nConnection: close\r\n\r\n"
            let answer = Array(lines.utf8) + head
            _ = send(connection, answer, answer.count, Int32(MSG_NOSIGNAL))
            close(connection)
        }
    }
}

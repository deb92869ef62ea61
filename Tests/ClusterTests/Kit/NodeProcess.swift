// One node: the built `watchword serve`, as a supervisor would run it.
import Glibc
import TestKit

/// A running node.
final class NodeProcess: Sendable {
    /// Speaks to its public listener.
    let client: HTTPClient
    /// Speaks to its management listener.
    let management: HTTPClient
    /// The process.
    let process: ChildProcess
    /// The file that it logs to.
    let logFile: String

    private init(
        client: HTTPClient,
        management: HTTPClient,
        process: ChildProcess,
        logFile: String
    ) {
        self.client = client
        self.management = management
        self.process = process
        self.logFile = logFile
    }

    deinit { process.signal(SIGKILL) }

    /// The built executable, beside the bundle of tests.
    static var binary: String {
        get throws {
            guard let real = realpath("/proc/self/exe", nil) else { throw ClusterError("no /proc") }
            defer { free(real) }
            // The runner is the bundle itself, or a tool that was given the bundle's path.
            for candidate in [String(cString: real)] + CommandLine.arguments
            where candidate.hasPrefix("/") {
                let folder = candidate.split(separator: "/").dropLast().joined(separator: "/")
                if access("/\(folder)/watchword", X_OK) == 0 { return "/\(folder)/watchword" }
            }
            throw ClusterError("the built watchword was not found")
        }
    }

    /// Starts a node and waits until it is ready.
    ///
    /// A port that was free a moment ago may be taken by another process; then others are tried.
    static func start(
        _ variables: [String: String],
        log: String,
        secrets: KnownSecrets?
    ) async throws -> NodeProcess {
        for _ in 0..<5 {
            let node = try await launch(variables, log: log, secrets: secrets)
            if try await node.becomesReady() { return node }
            guard PrivateFolder.read(log).contains("cannot be listened on") else {
                throw ClusterError("a node ended: \(PrivateFolder.read(log).suffix(2000))")
            }
        }
        throw ClusterError("no free ports in five attempts")
    }

    /// Starts a node and waits for nothing: it may end at once, or never be ready.
    static func launch(
        _ variables: [String: String],
        log: String,
        secrets: KnownSecrets?
    ) async throws -> NodeProcess {
        let ports = try FreePorts.take(2)
        var all = variables
        all["WATCHWORD_HTTP_PORT"] = "\(ports[0])"
        all["WATCHWORD_MANAGEMENT_PORT"] = "\(ports[1])"
        // So that a rule which is broken on purpose can be tried against these tests too.
        if let mutant = getenv("WATCHWORD_MUTANT") {
            all["WATCHWORD_MUTANT"] = String(cString: mutant)
        }
        let words = try ["env", "-i"] + all.map { "\($0.key)=\($0.value)" } + [binary, "serve"]
        return NodeProcess(
            client: HTTPClient(port: ports[0], secrets: secrets),
            management: HTTPClient(port: ports[1], secrets: nil),
            process: try await Blocking.run { try ChildProcess.launch(words, log: log) },
            logFile: log
        )
    }

    /// The value of a metric without labels; -1 where there is none of this name.
    func metric(_ name: String) async throws -> Int {
        let text = try await management.send("GET", "/metrics").body
        let line = text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
        return line.flatMap { Int($0.dropFirst(name.count + 1)) } ?? -1
    }

    /// How often it has answered `/verify`, fast and in general.
    func verifyCounts() async throws -> (fast: Int, general: Int) {
        (
            try await metric("watchword_verify_fast_total"),
            try await metric("watchword_verify_general_total")
        )
    }

    private func becomesReady() async throws -> Bool {
        var isReady = false
        try await eventually("a node is ready", patience: .seconds(120)) {
            guard process.isRunning else { return true }
            do {
                isReady = try await management.send("GET", "/readyz").status == 200
            } catch is ClusterError {
                isReady = false
            }
            return isReady
        }
        return isReady
    }

    /// Asks it to end and waits until it has; its exit status as `waitpid` tells it.
    func end() async throws -> Int32 {
        process.signal(SIGTERM)
        let process = process
        return try await Blocking.run { process.wait() }
    }
}

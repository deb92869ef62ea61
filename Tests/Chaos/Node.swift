// One node: `watchword serve` as a child, with ports of its own that it keeps when it is started
// again after a kill.
import Glibc
import Synchronization
import TestKit

/// A node that can be frozen, killed and started again.
final class Node: Sendable {
    /// The port of its public listener.
    let port: Int
    private let managementPort: Int
    private let words: [String]
    private let log: String
    /// Told the process each time.
    private let onStart: @Sendable (Int32) -> Void
    private let process = Mutex<ChildProcess?>(nil)

    /// A node that is not started yet.
    init(
        binary: String,
        variables: [String: String],
        ports: (public: Int, management: Int),
        log: String,
        onStart: @escaping @Sendable (Int32) -> Void
    ) {
        port = ports.public
        managementPort = ports.management
        self.log = log
        self.onStart = onStart
        var all = variables
        all["WATCHWORD_HTTP_PORT"] = "\(ports.public)"
        all["WATCHWORD_MANAGEMENT_PORT"] = "\(ports.management)"
        words = ["env", "-i"] + all.map { "\($0.key)=\($0.value)" } + [binary, "serve"]
    }

    /// Starts it; does not wait until it is ready.
    func start() throws {
        let child = try ChildProcess.launch(words, log: log)
        onStart(child.processID)
        process.withLock { $0 = child }
    }

    /// Whether it says that it is ready.
    var isReady: Bool { Web.send(managementPort, "GET", "/readyz", limit: 2)?.status == 200 }

    /// Whether it runs.
    var isRunning: Bool { process.withLock { $0?.isRunning ?? false } }

    /// Sends it a signal.
    func signal(_ number: Int32) { process.withLock { $0?.signal(number) } }

    /// Kills it as `kill -9` does.
    func kill() { process.withLock { $0 }?.kill() }

    /// A figure of its metrics.
    func metric(_ name: String, limit: Int = 5) -> Double {
        let text = Web.send(managementPort, "GET", "/metrics", limit: limit)?.body ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
        return line.flatMap { Double($0.dropFirst(name.count + 1)) } ?? 0
    }

    /// Whether it asks the members of the authority.
    var asksMembers: Bool {
        metric("watchword_authority_state{state=\"redis\"}", limit: 1) == 1
    }

    /// The end of its log.
    var lastWords: String { String(PrivateFolder.read(log).suffix(1500)) }
}

// nginx as we ship it (docs/gateways/nginx/cluster.conf), one before each node, on the side of
// whoever asks: no fault hits the way from it to its node, only the node itself. Nothing is cached,
// and there is one node for each, so that what it answers is what that node said. A second place
// asks for the permission that the request names, as a gateway with a rule for each path would.
import Glibc
import Primitives
import TestKit

/// How much of the load goes through gateways.
enum Through: String, CaseIterable, Sendable {
    /// None of it: nginx is not needed.
    case nodes
    /// A third of the connections to each node.
    case both
    /// All of it.
    case gateways

    /// How many of a node's connections lead through its gateway.
    func share(of connections: Int) -> Int {
        switch self {
        case .nodes: 0
        case .both: (connections + 1) / 3
        case .gateways: connections
        }
    }
}

/// One nginx before each node.
final class Gateways: Sendable {
    /// The port of each, in the order of the nodes.
    let ports: [Int]
    private let processes: [ChildProcess]
    private let folders: [String]

    /// Starts one before each of `nodes`, ports of 127.0.0.1, listening on `ports`; `applications`
    /// are ports for what is guarded.
    ///
    /// - Throws: `ChaosError` where there is no nginx, or where the sample has changed so that it
    ///   cannot be fitted.
    init(before nodes: [Int], ports: [Int], applications: [Int], in folder: String) throws {
        let log = "\(folder)/nginx.log"
        guard try ChildProcess.launch(Self.words(["-v"]), log: log).wait() == 0 else {
            throw ChaosError(
                "nginx is not there, and the campaign asks through it: `make packages`, or "
                    + "through=nodes to go without. \(PrivateFolder.read(log))"
            )
        }
        self.ports = ports
        folders = nodes.indices.map { "\(folder)/gateway\($0)" }
        var processes: [ChildProcess] = []
        for (index, node) in nodes.enumerated() {
            let folder = folders[index]
            guard mkdir(folder, 0o700) == 0 else { throw ChaosError("mkdir \(folder)") }
            let text = try Self.configuration(
                node: node,
                port: ports[index],
                application: applications[index],
                folder
            )
            try PrivateFolder.write(text, to: "\(folder)/nginx.conf")
            // One process: a worker would outlive a master that was killed.
            let words = [
                "-p", folder, "-c", "\(folder)/nginx.conf", "-e", "\(folder)/error.log", "-g",
                "daemon off; master_process off;",
            ]
            processes.append(
                try ChildProcess.launch(Self.words(words), log: "\(folder)/output.log")
            )
        }
        self.processes = processes
    }

    /// Where a permission is asked for.
    static func path(of permission: String?) -> String {
        permission.map { "/right/order?permission=\($0)" } ?? "/app/order"
    }

    /// Waits until each of them guards both places; the nodes must be ready.
    func waitUntilGuarding(_ deadline: Deadline) async throws {
        for (index, port) in ports.enumerated() {
            for path in [Self.path(of: nil), Self.path(of: "nobody:has")] {
                while try await Blocking.run({ Web.send(port, "GET", path)?.status }) != 401 {
                    guard processes[index].isRunning, !deadline.hasPassed else {
                        throw ChaosError("nginx does not guard \(path): \(lastWords(index))")
                    }
                    try await Task.sleep(for: .milliseconds(50))
                }
            }
        }
    }

    /// Ends them.
    func stop() { for process in processes { process.kill() } }

    private func lastWords(_ index: Int) -> String {
        ["output.log", "error.log"].map { PrivateFolder.read("\(folders[index])/\($0)") }
            .joined().suffix(1500).description
    }

    /// Debian has it where the `PATH` of an ordinary user does not lead.
    private static func words(_ arguments: [String]) -> [String] {
        ["sh", "-c", #"PATH="$PATH:/usr/sbin" exec nginx "$@""#, "sh"] + arguments
    }

    /// The sample, with one node, and once more what guards, for a permission.
    private static func configuration(
        node: Int,
        port: Int,
        application: Int,
        _ folder: String
    ) throws -> String {
        let sample = "docs/gateways/nginx/cluster.conf"
        var text = Repository.text(sample)
        guard let begin = text.firstRange(of: "        location = /_verify {"),
            let end = text.firstRange(of: "    }\n\n    # The application")
        else { throw ChaosError("\(sample) is not as it was") }
        let asking = try fit(
            String(text[begin.lowerBound..<end.lowerBound]),
            [
                ("location = /_verify {", "location = /_right {"),
                ("auth_request /_verify;", "set $right $arg_permission; auth_request /_right;"),
                ("watchword/verify;", "watchword/verify?permission=$right;"),
                ("location /app/ {", "location /right/ {"),
            ]
        )
        text.insert(contentsOf: asking, at: end.lowerBound)
        return try fit(
            text,
            [
                ("@FOLDER@", folder), ("127.0.0.1:8000", "127.0.0.1:\(port)"),
                ("127.0.0.1:8001", "127.0.0.1:\(application)"),
                ("server 127.0.0.1:8081;", ""), ("server 127.0.0.1:8082;", ""),
                ("server 127.0.0.1:8080;", "server 127.0.0.1:\(node);"),
            ]
        )
    }

    private static func fit(
        _ text: String,
        _ changes: [(from: String, to: String)]
    ) throws
        -> String
    {
        try changes.reduce(text) { text, change in
            guard text.contains(change.from) else {
                throw ChaosError("the sample of nginx has no \(change.from)")
            }
            return text.replacing(change.from, with: change.to)
        }
    }
}

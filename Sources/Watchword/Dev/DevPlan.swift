// What `watchword dev` is asked to bring up, checked before anything is started.
import Primitives

/// One development cluster.
struct DevPlan: Sendable {
    /// The first node's public port; the others follow.
    var port = 8080
    /// The first node's management port; the others follow.
    var managementPort = 9080
    /// How many nodes.
    var nodes = 1
    /// Where data is kept; nil for a temporary folder that is removed in the end.
    var dataDirectory: String? = ".watchword"
    /// The variables the nodes inherit, under those set for them.
    var environment: [String: String] = [:]
    /// The program of a node.
    var nodeProgram = "/proc/self/exe"
    /// The arguments of a node; its settings come as variables.
    var nodeArguments = ["serve"]
    /// How long a node may take to be ready.
    var nodePatience = Duration.seconds(60)

    /// The most nodes that one machine is asked to run.
    static let mostNodes = 64

    /// A node's ports, counted from 1.
    func ports(ofNode number: Int) -> (open: Int, management: Int) {
        (port + number - 1, managementPort + number - 1)
    }

    /// What makes no sense about the ports and numbers; nil where all is well.
    var usageComplaint: String? {
        guard (0...Self.mostNodes).contains(nodes) else {
            return "--nodes must be within 1 and \(Self.mostNodes)."
        }
        let open = port..<(port + max(1, nodes))
        let management = managementPort..<(managementPort + max(1, nodes))
        guard port > 0, managementPort > 0, open.upperBound <= 65_536,
            management.upperBound <= 65_536
        else { return "--port and --management-port must stay within 1 and 65535 on every node." }
        guard !open.overlaps(management) else {
            return "--port and --management-port need \(nodes) ports each that do not overlap."
        }
        return nil
    }

    /// The ports that other programs have, each with its flag and reason.
    ///
    /// Blocks for an instant.
    func takenPorts() -> [String] {
        (1...max(1, nodes)).flatMap { number in
            let ports = ports(ofNode: number)
            return [("--port", ports.open), ("--management-port", ports.management)]
        }.prefix(nodes * 2).compactMap { flag, port in
            LocalSocket.reasonPortIsTaken(port).map { reason in
                "Port \(port) cannot be used (\(reason)): stop the program that has it, or choose "
                    + "another one with \(flag)."
            }
        }
    }

    /// The variables of a node.
    func environment(
        ofNode number: Int,
        databaseURL: String,
        redisURL: String,
        masterKeyFile: String
    ) -> [String: String] {
        let ports = ports(ofNode: number)
        var variables = environment
        // Both forms of one setting at once would be refused; ours is the one that counts.
        for name in ["DATABASE_URL_FILE", "REDIS_URL_FILE", "KEYS_MASTER", "PUBLIC_URL_FILE"] {
            variables["WATCHWORD_" + name] = nil
        }
        variables.merge([
            "WATCHWORD_MODE": OperatingMode.development.rawValue,
            "WATCHWORD_PUBLIC_URL": "http://127.0.0.1:\(port)",
            "WATCHWORD_HTTP_HOST": "127.0.0.1",
            "WATCHWORD_HTTP_PORT": "\(ports.open)",
            "WATCHWORD_MANAGEMENT_HOST": "127.0.0.1",
            "WATCHWORD_MANAGEMENT_PORT": "\(ports.management)",
            "WATCHWORD_DATABASE_URL": databaseURL,
            "WATCHWORD_REDIS_URL": redisURL,
            "WATCHWORD_KEYS_MASTER_FILE": masterKeyFile,
        ]) { _, ours in ours }
        if variables["WATCHWORD_LOG_FORMAT"] == nil {
            variables["WATCHWORD_LOG_FORMAT"] = LogFormat.text.rawValue
        }
        return variables
    }
}

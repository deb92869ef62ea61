// What a connection may hold: not what is answered, and nothing after its last request (W8). Nodes
// are processes of their own, so that their memory is theirs alone.
import Glibc
import TestKit
import Testing

@Suite(.serialized) struct ConnectionMemoryTests {
    private static func head(_ fields: [(String, String)], method: String = "GET") -> [UInt8] {
        HTTPClient.head(method, "/verify", fields, nil, closes: false)
    }

    /// One cluster with a fast path and without.
    private static func start() async throws -> Cluster {
        var plan = Cluster.Plan()
        plan.nodes = 2
        plan.perNode = [
            ["WATCHWORD_VERIFY_FAST_PATH": "true"], ["WATCHWORD_VERIFY_FAST_PATH": "false"],
        ]
        return try await Cluster.start(plan)
    }

    /// The resident memory of a process, in KiB.
    private static func memory(_ node: NodeProcess) throws -> Int {
        let text = PrivateFolder.read("/proc/\(node.process.processID)/status")
        let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("VmRSS:") })
        return try #require(Int(line.split(whereSeparator: { !$0.isNumber })[0]))
    }

    @Test
    func `what is answered is not kept, however the bytes are cut (W8)`() async throws {
        let cluster = try await Self.start()
        let padding = String(repeating: "a", count: 14_000)
        let request = Self.head([("Authorization", "Bearer x"), ("X-Padding", padding)])
        let half = request.count / 2
        let (first, second) = (Array(request[..<half]), Array(request[half...]))
        for node in cluster.nodes {
            let port = node.client.port
            /// Sends so many, each write ending in the middle of the next head.
            func ask(_ count: Int) async throws {
                try await Blocking.run {
                    let connection = try Connection(port: port)
                    defer { connection.close() }
                    try connection.write(first)
                    for _ in 0..<count {
                        try connection.write(second + first)
                        let answer = try connection.readAnswer()
                        guard answer.status == 401 else {
                            throw ClusterError("\(answer.status) instead of 401")
                        }
                    }
                }
            }
            // What a node needs for the work itself it has by then.
            try await ask(300)
            let before = try Self.memory(node)
            try await ask(2500)
            let after = try Self.memory(node)
            // They are 35 MB.
            #expect(after - before < 20_000, "\(before) KiB, then \(after)")
        }
    }

    @Test
    func `nothing is read behind a last request that was answered before its body came (W8)`()
        async throws
    {
        let cluster = try await Self.start()
        for node in cluster.nodes {
            let port = node.client.port
            let fields = [("Connection", "Close"), ("Content-Length", "1")]
            let (status, rest) = try await Blocking.run {
                let connection = try Connection(port: port)
                defer { connection.close() }
                try connection.write(Self.head(fields, method: "POST"))
                let answer = try connection.readAnswer()
                // The body, and what nobody has asked for.
                try connection.write(Array("xGET".utf8))
                return (answer.status, connection.readToEnd())
            }
            #expect(status == 401)
            #expect(rest.isEmpty, "\(rest)")
        }
    }

    @Test
    func `Proxy-Connection ends a connection as Connection does, for the parser reads it so`()
        async throws
    {
        let cluster = try await Self.start()
        for node in cluster.nodes {
            let port = node.client.port
            let (answer, rest) = try await Blocking.run {
                let connection = try Connection(port: port)
                defer { connection.close() }
                let one = Self.head([("Proxy-Connection", "close")])
                try connection.write(one + Self.head([]))
                return (try connection.readAnswer(), connection.readToEnd())
            }
            #expect(answer.status == 401)
            #expect(answer["Connection"] == "close")
            #expect(rest.isEmpty, "\(rest)")
        }
    }

    @Test
    func `a method that the parser renames is not one we know`() async throws {
        let cluster = try await Self.start()
        for node in cluster.nodes {
            #expect(try await node.client.send("M-SEARCH", "/verify").status == 405)
        }
    }
}

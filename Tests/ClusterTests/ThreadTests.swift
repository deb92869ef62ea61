// A request stays on the event loop that its connection belongs to, from first byte to last, the
// reading of the database included: the threads of the default pool have nothing to do. Counted in
// the voluntary context switches that the kernel keeps for each thread of a node under load.
import Glibc
import Primitives
import TestKit
import Testing

@testable import Web

@Suite(.serialized) struct ThreadTests {
    /// The voluntary context switches of a process, by the names of its threads, without the event
    /// loops' and the hashing threads'.
    private func wakes(of process: Int32) -> [String: Int] {
        var found: [String: Int] = [:]
        guard let folder = opendir("/proc/\(process)/task") else { return found }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let thread = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard Int32(thread) != nil else { continue }
            let path = "/proc/\(process)/task/\(thread)"
            let name = PrivateFolder.read("\(path)/comm").split(separator: "\n").joined()
            for line in PrivateFolder.read("\(path)/status").split(separator: "\n")
            where line.hasPrefix("voluntary_ctxt_switches:") {
                let count = Int(line.split(separator: "\t").last ?? "") ?? 0
                found["\(name) \(thread)", default: 0] += count
            }
        }
        return found
    }

    /// Sends so many requests over each of eight connections; all must be answered 200.
    private func ask(
        _ port: Int,
        _ target: String,
        _ fields: [(String, String)],
        _ count: Int
    )
        async throws
    {
        let request = HTTPClient.head("GET", target, fields, nil, closes: false)
        try await withThrowingTaskGroup { group in
            for _ in 0..<8 {
                group.addTask {
                    try await Blocking.run {
                        let connection = try Connection(port: port)
                        defer { connection.close() }
                        for _ in 0..<count {
                            try connection.write(request)
                            let status = try connection.readAnswer().status
                            guard status == 200 else { throw ClusterError("status \(status)") }
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    @Test(arguments: ["/verify", "/v1/me"])
    func `thousands of requests wake no thread but their event loop's (W8)`(
        _ target: String
    ) async throws {
        var plan = Cluster.Plan()
        plan.nodes = 1
        // Lines are written by a thread of their own.
        plan.variables["WATCHWORD_LOG_LEVEL"] = "error"
        plan.variables["WATCHWORD_HTTP_EVENT_LOOPS"] = "2"
        let cluster = try await Cluster.start(plan)
        let tokens = try await cluster.signIn(cluster.person())
        let process = cluster.nodes[0].process.processID
        let port = cluster.node.port
        try await ask(port, target, tokens.bearer, 20)
        let before = wakes(of: process)
        let begun = MonotonicInstant.now
        try await ask(port, target, tokens.bearer, 500)
        let after = wakes(of: process)
        var byThread: [String: Int] = [:]
        for (name, count) in after where count > before[name] ?? 0 {
            byThread[name] = count - (before[name] ?? 0)
        }
        let others = byThread.filter { !$0.key.hasPrefix("NIO-ELT") }
        let total = others.values.reduce(0, +)
        // 4000 requests; a hop would be a wake for each. What remains are timers of the node, which
        // wake a few threads some times a second, however many requests there are.
        let seconds = Int((MonotonicInstant.now - begun).inSeconds)
        #expect(
            total < min(400 + 15 * seconds, 2000),
            "\(total) wakes in \(seconds) s: \(byThread)"
        )
        // The same count does see threads that are woken: the hashing threads of a sign-in.
        let calm = wakes(of: process)
        let person = try await cluster.person()
        for _ in 0..<10 { _ = try await cluster.signIn(person) }
        var hashing = 0
        for (name, count) in wakes(of: process) where !name.hasPrefix("NIO-ELT") {
            hashing += count - (calm[name] ?? 0)
        }
        #expect(hashing >= 10, "\(hashing) wakes for ten sign-ins")
    }
}

// `watchword dev` as a whole: what it starts ends with it, however it ends.
import Glibc
import Primitives
import Synchronization
import Testing

@testable import Watchword

@Suite struct DevTests {
    private func startServers(_ path: String) async throws -> BuiltBinary {
        let dev = try BuiltBinary(["dev", "--servers-only", "--data-dir", path])
        #expect(try await dev.waitFor("Redis is ready"), "\(dev.text)")
        return dev
    }

    @Test(arguments: [SIGINT, SIGTERM, SIGHUP])
    func `one signal ends everything in order and keeps the data`(signal: Int32) async throws {
        let scratch = try ScratchFolder()
        let path = scratch.path + "/data"
        let dev = try await startServers(path)
        #expect(processes(using: path).count > 3)
        dev.process.send(signal)
        #expect(await dev.exit() == .code(0))
        #expect(processes(using: path).isEmpty)
        let lines = dev.text.split(separator: "\n")
        let redis = try #require(lines.firstIndex { $0.contains("Stopping Redis") })
        let postgres = try #require(lines.firstIndex { $0.contains("Stopping PostgreSQL") })
        #expect(redis < postgres)
        #expect(FileIO.exists(path + "/postgres/PG_VERSION"))
        #expect(!FileIO.exists(path + "/run"))
    }

    @Test func `kill -9 leaves no orphan, and the next start works`() async throws {
        let scratch = try ScratchFolder()
        let path = scratch.path + "/data"
        for _ in 1...2 {
            let dev = try await startServers(path)
            dev.process.send(SIGKILL)
            #expect(await dev.exit() == .signal(SIGKILL))
            try await eventually { processes(using: path).isEmpty }
        }
        // At once, without waiting for the servers of the killed one.
        let killed = try await startServers(path)
        killed.process.send(SIGKILL)
        let next = try await startServers(path)
        next.process.send(SIGINT)
        #expect(await next.exit() == .code(0))
        try await eventually { processes(using: path).isEmpty }
    }

    @Test func `a signal while the database is being made ends everything too`() async throws {
        let scratch = try ScratchFolder()
        let path = scratch.path + "/data"
        let dev = try BuiltBinary(["dev", "--servers-only", "--data-dir", path])
        #expect(try await dev.waitFor("Starting PostgreSQL"))
        dev.process.send(SIGINT)
        #expect(await dev.exit() == .code(0), "\(dev.text)")
        try await eventually { processes(using: path).isEmpty }
        let next = try await startServers(path)
        next.process.send(SIGINT)
        #expect(await next.exit() == .code(0))
    }

    @Test func `two on the same folder give one clear sentence`() async throws {
        let scratch = try ScratchFolder()
        let path = scratch.path + "/data"
        let first = try await startServers(path)
        let second = try await BuiltBinary.run(["dev", "--servers-only", "--data-dir", path])
        #expect(second.status == .code(1))
        #expect(second.text.contains("in use by another watchword"))
        #expect(second.text.split(separator: "\n").count == 1)
        first.process.send(SIGINT)
        #expect(await first.exit() == .code(0))
    }

    private func startEphemeral() async throws -> (dev: BuiltBinary, folder: String) {
        let dev = try BuiltBinary(["dev", "--servers-only", "--ephemeral"])
        #expect(try await dev.waitFor("Redis is ready on unix://"), "\(dev.text)")
        let line = try #require(dev.text.split(separator: "\n").last { $0.contains("unix://") })
        let socket = try #require(line.split(separator: " ").last).dropFirst("unix://".count)
        let folder = "/" + socket.split(separator: "/").prefix(2).joined(separator: "/")
        #expect(folder.hasPrefix("/tmp/watchword-") && FileIO.exists(folder))
        return (dev, folder)
    }

    @Test func `an ephemeral cluster leaves nothing behind`() async throws {
        let killed = try await startEphemeral()
        killed.dev.process.send(SIGKILL)
        _ = await killed.dev.exit()
        try await eventually { processes(using: killed.folder).isEmpty }
        #expect(FileIO.exists(killed.folder))
        let next = try await startEphemeral()
        #expect(!FileIO.exists(killed.folder))
        next.dev.process.send(SIGINT)
        #expect(await next.dev.exit() == .code(0))
        #expect(!FileIO.exists(next.folder))
    }

    // MARK: - Nodes, played by nginx, which answers on the management port

    private static let node = """
        conf="$FOLDER/$WATCHWORD_MANAGEMENT_PORT.conf"
        echo "daemon off; master_process off; error_log stderr; pid $conf.pid; events {}
        http { access_log off; client_body_temp_path $conf.1; proxy_temp_path $conf.2;
        fastcgi_temp_path $conf.3; uwsgi_temp_path $conf.4; scgi_temp_path $conf.5;
        server { listen 127.0.0.1:$WATCHWORD_MANAGEMENT_PORT;
        location = /readyz { return 200; } } }" > "$conf"
        echo "mode $WATCHWORD_MODE on $WATCHWORD_HTTP_PORT"
        exec nginx -c "$conf"
        """

    private func plan(_ scratch: ScratchFolder, nodes: Int) throws -> DevPlan {
        var plan = DevPlan()
        repeat {
            plan.port = Int.random(in: 20_000...30_000)
            plan.managementPort = plan.port + 100
            plan.nodes = nodes
        } while !plan.takenPorts().isEmpty
        plan.dataDirectory = scratch.path + "/data"
        plan.environment = ["PATH": "/usr/sbin:/usr/bin:/bin", "FOLDER": scratch.path]
        plan.nodeProgram = "/bin/sh"
        plan.nodeArguments = ["-c", Self.node]
        return plan
    }

    private final class Said: Sendable {
        let lines = Mutex<[String]>([])
        var all: [String] { lines.withLock { $0 } }
        func add(_ line: String) { lines.withLock { $0.append(line) } }
    }

    private func cluster(_ plan: DevPlan, _ said: Said, logins: Said) -> DevCluster {
        DevCluster(
            plan,
            seams: DevSeams(
                migrate: { said.add("migrated \($0)") },
                createFirstAdministrator: { _, login, password in
                    let text = String(decoding: password.exposed, as: UTF8.self)
                    logins.add("\(login) \(text)")
                    return FirstAdministrator(login: login, password: text)
                }
            ),
            say: { said.add($0) },
            note: { said.add($0) }
        )
    }

    @Test func `nodes are ready together, sign-in is kept, and all end together`() async throws {
        let scratch = try ScratchFolder()
        let plan = try plan(scratch, nodes: 2)
        let ready = "Watchword is ready on http://127.0.0.1:\(plan.port)"
        let logins = Said()
        for _ in 1...2 {
            let said = Said()
            let cluster = cluster(plan, said, logins: logins)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await cluster.run() }
                try await eventually(.seconds(60)) { said.all.contains(ready) }
                #expect(said.all.contains("node 2 | mode development on \(plan.port + 1)"))
                group.cancelAll()
                try await group.waitForAll()
            }
            #expect(processes(using: scratch.path).isEmpty)
        }
        #expect(logins.all.count == 2 && Set(logins.all).count == 1)
        for name in ["admin.json", "master.key"] {
            var status = stat()
            #expect(stat("\(scratch.path)/data/\(name)", &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600)
        }
        let kept = try DevSecrets(in: scratch.path + "/data").keptAdministrator()
        #expect(logins.all.first == kept.map { "\($0.login) \($0.password)" })
    }

    @Test func `a node that dies stops everything and is named`() async throws {
        let scratch = try ScratchFolder()
        let plan = try plan(scratch, nodes: 2)
        let said = Said()
        let cluster = cluster(plan, said, logins: Said())
        let error = try await #require(throws: LocalServerError.self) {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await cluster.run() }
                try await eventually(.seconds(60)) {
                    said.all.contains { $0.hasPrefix("Watchword is ready") }
                }
                let victim = "\(plan.managementPort + 1).conf"
                for process in processes(using: victim) { kill(process, SIGKILL) }
                try await group.waitForAll()
            }
        }
        #expect(error.description.contains("node 2 was ended by signal 9"))
        #expect(processes(using: scratch.path).isEmpty)
    }

    @Test func `a node that ends at once is told with its last words`() async throws {
        let scratch = try ScratchFolder()
        var plan = try plan(scratch, nodes: 1)
        plan.nodeArguments = ["-c", "echo no such luck; exit 3"]
        let said = Said()
        let cluster = cluster(plan, said, logins: Said())
        let error = try await #require(throws: LocalServerError.self) { try await cluster.run() }
        #expect(error.description.contains("node 1 ended with exit code 3"))
        #expect(error.description.contains("no such luck"))
        #expect(processes(using: scratch.path).isEmpty)
    }
}

// The private servers, real ones: how they start, where they live, and how each failure is told.
import Glibc
import Primitives
import Testing

@testable import Watchword

@Suite struct LocalServerTests {
    private let programs = ServerPrograms(environment: ["PATH": "/usr/bin:/bin"])

    private func start(
        _ folder: LocalFolder
    ) async throws -> (postgres: LocalPostgres, redis: LocalRedis) {
        let redis = try await LocalRedis.start(programs.redis(), in: folder)
        let postgres = try await LocalPostgres.start(
            LocalPostgres.choose(programs, in: folder),
            in: folder,
            durability: .throwaway
        )
        return (postgres, redis)
    }

    private func ask(_ postgres: LocalPostgres, _ query: String) async throws -> [String] {
        let folder = try programs.postgres()[0].folder
        var command = ChildCommand(
            program: folder + "/psql",
            arguments: ["-X", "-A", "-t", "-c", query, postgres.url]
        )
        command.environment = ["LC_ALL": "C"]
        let process = try ChildProcess("psql", command)
        _ = await process.exit()
        await process.settle()
        return process.lastLines
    }

    @Test func `both servers start, as somebody who is not root, and end`() async throws {
        let scratch = try ScratchFolder()
        let user = try LocalUser.forServers()
        let folder = try LocalFolder(keeping: scratch.path + "/data", serverUser: user)
        let (postgres, redis) = try await start(folder)
        #expect(
            try await ask(postgres, "SHOW server_encoding; SHOW listen_addresses")
                == ["UTF8", ""]
        )
        #expect(
            try await ask(postgres, "SELECT current_database(), current_user")
                == ["watchword|watchword"]
        )
        for process in [postgres.process, redis.process] {
            #expect(Processes.user(of: process.processID) == user?.user ?? geteuid())
            #expect(Processes.user(of: process.processID) != 0)
        }
        await redis.stop()
        await postgres.stop()
        #expect(postgres.process.exitStatus == .code(0))
        #expect(redis.process.exitStatus == .code(0))
        folder.remove()
        #expect(!FileIO.exists(folder.runPath))
        #expect(FileIO.exists(folder.dataPath + "/postgres/PG_VERSION"))
    }

    @Test func `a path too long for sockets moves them and says so`() async throws {
        let scratch = try ScratchFolder()
        let path = scratch.path + "/" + String(repeating: "long", count: 25)
        let folder = try LocalFolder(keeping: path, serverUser: LocalUser.forServers())
        #expect(folder.notes.count == 1)
        #expect(folder.dataPath == path)
        let (postgres, redis) = try await start(folder)
        #expect(try await ask(postgres, "SELECT 1") == ["1"])
        await redis.stop()
        await postgres.stop()
        folder.remove()
        #expect(!FileIO.exists(folder.runPath))
    }

    @Test(.enabled(if: geteuid() == 0))
    func `a folder that the servers' user cannot reach moves the data and says so`() async throws {
        let scratch = try ScratchFolder()
        chmod(scratch.path, 0o700)
        let path = scratch.path + "/data"
        let folder = try LocalFolder(keeping: path, serverUser: LocalUser.forServers())
        defer { FileIO.removeTree(folder.dataPath) }
        #expect(folder.notes.count == 1)
        #expect(!folder.dataPath.hasPrefix(scratch.path))
        let (postgres, redis) = try await start(folder)
        #expect(try await ask(postgres, "SELECT 1") == ["1"])
        await redis.stop()
        await postgres.stop()
    }

    @Test func `a damaged data folder is named with a way out`() async throws {
        let scratch = try ScratchFolder()
        let folder = try LocalFolder(keeping: scratch.path, serverUser: LocalUser.forServers())
        let (postgres, redis) = try await start(folder)
        await redis.stop()
        await postgres.stop()
        let control = folder.dataPath + "/postgres/global/pg_control"
        truncate(control, 10)
        let late = try await #require(throws: LocalServerError.self) { try await start(folder) }
        #expect(late.description.contains("--data-dir"))
        #expect(late.description.contains(folder.dataPath + "/postgres"))
        unlink(control)
        let early = try #require(throws: LocalServerError.self) {
            try LocalPostgres.choose(programs, in: folder)
        }
        #expect(early.description.contains("damaged"))
        await eventuallyGone(folder)
    }

    private func eventuallyGone(_ folder: LocalFolder) async {
        for process in processes(using: folder.dataPath) {
            kill(process, SIGKILL)
            _ = await ForeignProcess(process)?.waitForExit(.seconds(5))
        }
    }

    @Test func `data of another PostgreSQL is named with both versions`() throws {
        let scratch = try ScratchFolder()
        let folder = try LocalFolder(keeping: scratch.path, serverUser: nil)
        try LocalFolder.makeFolder(folder.dataPath + "/postgres/global")
        _ = try scratch.write("9\n", to: "postgres/PG_VERSION")
        _ = try scratch.write("x", to: "postgres/global/pg_control")
        let error = try #require(throws: LocalServerError.self) {
            try LocalPostgres.choose(programs, in: folder)
        }
        #expect(error.description.contains("PostgreSQL 9"))
        #expect(error.description.contains("--data-dir"))
    }

    @Test func `a missing program names the package to install`() throws {
        var nothing = programs
        nothing.searchPath = ["/nonexistent"]
        nothing.debianFolder = "/nonexistent"
        for look in [{ _ = try nothing.redis() }, { _ = try nothing.postgres() }] {
            let error = try #require(throws: LocalServerError.self, performing: look)
            #expect(
                error.description.contains("sudo apt-get install postgresql redis-server")
            )
        }
    }

    @Test func `a folder has one owner at a time`() throws {
        let scratch = try ScratchFolder()
        do {
            let first = try LocalFolder(keeping: scratch.path, serverUser: nil)
            let error = try #require(throws: LocalServerError.self) {
                try LocalFolder(keeping: scratch.path, serverUser: nil)
            }
            #expect(error.description.contains("in use"))
            #expect(error.description.contains("\(getpid())"))
            withExtendedLifetime(first) {}
        }
        _ = try LocalFolder(keeping: scratch.path, serverUser: nil)
    }

    @Test func `a folder that cannot be made is named with a way out`() throws {
        let scratch = try ScratchFolder()
        let file = try scratch.write("", to: "file")
        for path in [file, file + "/data", "/proc/nowhere"] {
            let error = try #require(throws: LocalServerError.self) {
                try LocalFolder(keeping: path, serverUser: nil)
            }
            #expect(error.description.contains("--data-dir"))
        }
    }

    @Test func `Redis that cannot start says why`() async throws {
        let scratch = try ScratchFolder()
        let folder = try LocalFolder(keeping: scratch.path, serverUser: LocalUser.forServers())
        let error = try await #require(throws: LocalServerError.self) {
            try await LocalRedis.start(
                programs.redis(),
                in: folder,
                settings: ["nonsense": "yes"]
            )
        }
        #expect(error.description.hasPrefix("Redis could not be started: "))
    }

    @Test func `a stale postmaster.pid that names a living stranger is no obstacle`() async throws {
        let scratch = try ScratchFolder()
        let folder = try LocalFolder(keeping: scratch.path, serverUser: LocalUser.forServers())
        let first = try await start(folder)
        first.postgres.process.send(SIGKILL)
        await first.redis.stop()
        _ = await first.postgres.process.exit()
        // Its own children take a moment to notice; the new server waits for them.
        let file = folder.dataPath + "/postgres/postmaster.pid"
        let text = try #require(FileIO.text(file))
        let rest = text.drop { $0 != "\n" }
        let opened = open(file, O_WRONLY | O_TRUNC)
        FileIO.writeAll(Array("\(getpid())\(rest)".utf8), to: opened)
        close(opened)
        try await eventually { processes(using: folder.dataPath + "/postgres").isEmpty }
        let second = try await start(folder)
        #expect(try await ask(second.postgres, "SELECT 1") == ["1"])
        await second.redis.stop()
        await second.postgres.stop()
    }
}

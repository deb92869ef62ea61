// Folders of the tests: private, and removed when the test process ends, however it ends.
#if canImport(Glibc)
import CLinux
import Glibc
#else
import Musl
#endif

/// Makes, fills and removes folders that only this user can read.
package enum PrivateFolder {
    /// A new folder under `TMPDIR`.
    package static func make(_ prefix: String) throws -> String {
        let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(parent)/\(prefix)-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw RedisServer.Failure(description: "no folder can be made in \(parent)")
        }
        return String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Starts a janitor that removes `folder` once the returned descriptor is closed, be it by
    /// the kernel because the process was killed.
    package static func removeAtExit(_ folder: String) throws -> Int32 {
        var ends: [Int32] = [0, 0]
        // A socket pair is closed on exec from its birth: no other child can inherit an end.
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else {
            throw RedisServer.Failure(description: "no pipe for the janitor")
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[0], 0)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        // A server that is dying may still write a file: hence the second sweep.
        let script = """
            trap '' INT TERM HUP; read -r _; rm -rf -- "$1" || { sleep 1; rm -rf -- "$1"; }
            """
        var pid: pid_t = 0
        let result = Spawn.run(["sh", "-c", script, "sh", folder], &actions, &pid)
        close(ends[0])
        guard result == 0 else { throw RedisServer.Failure(description: "no janitor") }
        let janitor = pid
        Blocking.detach {
            var status: Int32 = 0
            while waitpid(janitor, &status, 0) == -1, errno == EINTR {}
        }
        return ends[1]
    }

    /// Tells a janitor to remove its folder now.
    package static func release(_ janitor: Int32) { close(janitor) }

    /// Writes a small file.
    package static func write(_ text: String, to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
            throw RedisServer.Failure(description: "\(path) cannot be written")
        }
    }

    /// Reads a small file; empty if it cannot be read.
    package static func read(_ path: String) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            guard count > 0 else { break }
            text += buffer[..<count]
        }
        return String(decoding: text, as: UTF8.self)
    }
}

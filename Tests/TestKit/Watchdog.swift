// Starts a shell script that outlives nothing: its standard input is a pipe from this process, so
// that it notices the end of this process and can clean up. Servers refuse to run as root, so the
// script runs as the user `postgres` then.
import CLinux
import Glibc
import Synchronization

/// A running watchdog script.
package enum Watchdog {
    /// Starts `script` under `sh` and waits for its first line of output.
    ///
    /// - Returns: that line, and the pipe, whose closing the script takes for the end.
    package static func start(
        script: String,
        arguments: [String],
        user: String = "postgres"
    ) throws -> (line: String, pipe: Int32) {
        let (output, input) = try oneAtATime.withLock { _ in
            try spawn(script, arguments, user)
        }
        defer { close(output) }
        return (readLine(from: output), input)
    }

    /// Pipes are marked close-on-exec a moment after they are made; no other child may be started
    /// in that moment, for it would keep them open.
    private static let oneAtATime = Mutex(())

    private static func spawn(
        _ script: String,
        _ arguments: [String],
        _ user: String
    ) throws -> (output: Int32, input: Int32) {
        let input = try makePipe()
        let output = try makePipe()
        var words = ["setsid", "sh", "-c", "cd /\n" + script, "sh"] + arguments
        if getuid() == 0 {
            words = ["setpriv", "--reuid=\(user)", "--regid=\(user)", "--clear-groups"] + words
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input.read, 0)
        posix_spawn_file_actions_adddup2(&actions, output.write, 1)
        _ = ww_spawn_closes_from(&actions, 3)
        var process = Int32()
        var list = words.map { strdup($0) } + [nil]
        let status = posix_spawnp(&process, words[0], &actions, nil, &list, environ)
        for word in list { free(word) }
        close(input.read)
        close(output.write)
        guard status == 0 else { throw TestServerError("cannot run \(words[0])") }
        // Reaped at once: whoever waits for any child, as exit tests do, would find the dead one
        // again and again and never see his own.
        let started = process
        Blocking.detach {
            var ended = Int32()
            while waitpid(started, &ended, 0) == -1, errno == EINTR {}
        }
        return (output.read, input.write)
    }

    private static func makePipe() throws -> (read: Int32, write: Int32) {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw TestServerError("no pipe") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    private static func readLine(from descriptor: Int32) -> String {
        var bytes: [UInt8] = []
        var byte: UInt8 = 0
        while read(descriptor, &byte, 1) == 1, byte != 10 { bytes.append(byte) }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// The text of a file, or an empty string.
package func readFile(_ path: String) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "" }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
        let count = read(descriptor, &buffer, buffer.count)
        guard count > 0 else { break }
        bytes.append(contentsOf: buffer[0..<count])
    }
    return String(decoding: bytes, as: UTF8.self)
}

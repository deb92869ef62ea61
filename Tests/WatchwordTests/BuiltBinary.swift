// Runs the built `watchword` itself, as a person or a supervisor would.
import Glibc
import Primitives
import Synchronization
import Testing

@testable import Watchword

/// A running `watchword`, with all it wrote so far.
final class BuiltBinary: Sendable {
    /// The process.
    let process: ChildProcess
    private let written: Written

    private final class Written: Sendable {
        let lines = Mutex<[String]>([])
    }

    /// The built executable, beside the bundle of tests.
    static var path: String {
        get throws {
            let real = try #require(realpath("/proc/self/exe", nil))
            defer { free(real) }
            // The runner is the bundle itself, or a tool that was given the bundle's path.
            var candidates = [String(cString: real)] + CommandLine.arguments
            candidates.append(FileIO.absolute(".build/debug/watchword"))
            for candidate in candidates {
                let folder = candidate.split(separator: "/").dropLast()
                let path = "/" + folder.joined(separator: "/") + "/watchword"
                if candidate.hasPrefix("/"), access(path, X_OK) == 0 { return path }
            }
            Issue.record("the built watchword was not found")
            return ""
        }
    }

    /// Starts it.
    init(_ arguments: [String], _ variables: [String: String] = [:]) throws {
        var command = ChildCommand(program: try Self.path, arguments: arguments)
        command.environment = ["PATH": "/usr/bin:/bin"].merging(variables) { _, new in new }
        let written = Written()
        self.written = written
        process = try ChildProcess("watchword", command) { line in
            written.lines.withLock { $0.append(line) }
        }
    }

    /// All it wrote so far, on both streams.
    var text: String { written.lines.withLock { $0.joined(separator: "\n") } }

    /// Waits for its end and returns the exit status.
    func exit() async -> ChildStatus {
        let status = await process.exit()
        await process.settle()
        return status
    }

    /// Waits until it has written `words`; false where it ends or takes too long.
    func waitFor(_ words: String, patience: Duration = .seconds(60)) async throws -> Bool {
        try await eventually(patience) {
            self.text.contains(words) || self.process.exitStatus != nil
        }
        return text.contains(words)
    }

    /// Runs it to its end.
    static func run(
        _ arguments: [String],
        _ variables: [String: String] = [:]
    ) async throws -> (status: ChildStatus, text: String) {
        let binary = try BuiltBinary(arguments, variables)
        let status = await binary.exit()
        return (status, binary.text)
    }
}

/// Waits until `condition` holds; records an issue where it does not within `patience`.
func eventually(_ patience: Duration = .seconds(120), _ condition: () -> Bool) async throws {
    let deadline = Deadline.after(patience)
    while !condition() {
        guard !deadline.hasPassed else {
            Issue.record("nothing happened within \(patience)")
            return
        }
        try await Task.sleep(for: .milliseconds(10))
    }
}

/// The processes that run in `folder` or name it in their arguments.
func processes(using folder: String) -> [Int32] {
    (Processes.all()).filter { process in
        guard process != getpid() else { return false }
        let arguments = FileIO.text("/proc/\(process)/cmdline") ?? ""
        if arguments.contains(folder) { return true }
        return ForeignProcess(process)?.workingFolder?.hasPrefix(folder) ?? false
    }
}

/// The process table.
enum Processes {
    /// Every process there is.
    static func all() -> [Int32] {
        FileIO.names(in: "/proc").compactMap { Int32($0) }
    }

    /// Whom a process runs as.
    static func user(of process: Int32) -> UInt32? {
        var status = stat()
        return stat("/proc/\(process)", &status) == 0 ? status.st_uid : nil
    }
}

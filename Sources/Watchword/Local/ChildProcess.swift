// A child process that cannot outlive this one (`ww_spawn`). Its output is read line by line on a
// thread of its own; the last lines are kept, because the reason for an early end stands there.
// Signals go through a pidfd, so that a number used again by the kernel is never hit.
import CLinux
import Glibc
import Primitives
import Synchronization

/// How a process ended.
enum ChildStatus: Sendable, Equatable, CustomStringConvertible {
    /// It returned this code.
    case code(Int32)
    /// This signal ended it.
    case signal(Int32)

    var description: String {
        switch self {
        case .code(let code): "ended with exit code \(code)"
        case .signal(let signal): "was ended by signal \(signal)"
        }
    }
}

/// What to start.
struct ChildCommand: Sendable {
    /// The program's path.
    var program: String
    /// What it is called in the list of processes; the path where nil.
    var shownAs: String?
    /// Its arguments without the program's name.
    var arguments: [String]
    /// Its whole environment.
    var environment: [String: String] = [:]
    /// Its working folder; ours where nil.
    var folder: String?
    /// Whom to run it as; nil for the user we are.
    var user: LocalUser?
    /// Text for its standard input, which then ends; empty for none.
    var input = ""
    /// The signal that the kernel sends it when we die.
    var deathSignal: Int32 = SIGKILL
}

/// A running or ended child.
final class ChildProcess: Sendable {
    /// What it is called in messages.
    let name: String
    /// Its process id, for messages only.
    let processID: Int32

    private static let linesKept = 60
    private static let longestLine = 16_384
    private let pidfd: Int32
    private let ends: AsyncStream<ChildStatus>
    private let status = Mutex<ChildStatus?>(nil)
    private let lines = Mutex<[String]>([])
    private let hasOutputEnded = Mutex(false)

    /// Starts `command`; each line it writes goes to `onLine`, on a thread of its own.
    ///
    /// - Throws: `LocalServerError` with the reason the system gave.
    init(
        _ name: String,
        _ command: ChildCommand,
        onLine: @escaping @Sendable (String) -> Void = { _ in }
    ) throws {
        let output = try Self.pipe()
        defer { close(output.write) }
        let input = try command.input.isEmpty ? nil : Self.pipe()
        defer { if let input { close(input.read) } }
        var child: Int32 = -1
        var descriptor: Int32 = -1
        let error = Self.spawn(command, input?.read ?? -1, output.write, &child, &descriptor)
        guard error == 0 else {
            close(output.read)
            if let input { close(input.write) }
            throw LocalServerError(
                "\(command.program) could not be started: \(String(cString: strerror(error)))."
            )
        }
        self.name = name
        processID = child
        pidfd = descriptor
        let (ends, feed) = AsyncStream.makeStream(of: ChildStatus.self)
        self.ends = ends
        if let input {
            let bytes = Array(command.input.utf8)
            OwnThread.start("\(name) input") {
                FileIO.writeAll(bytes, to: input.write)
                close(input.write)
            }
        }
        // Held until it has ended, so that no child is ever left unreaped.
        OwnThread.start("\(name) end") { [self] in
            while exitStatus == nil { pollOnce(milliseconds: 3_600_000) }
            if let exitStatus { feed.yield(exitStatus) }
            feed.finish()
        }
        OwnThread.start("\(name) output") { [weak self] in
            FileIO.readLines(from: output.read, longest: Self.longestLine) { line in
                self?.keep(line)
                onLine(line)
            }
            self?.hasOutputEnded.withLock { $0 = true }
            close(output.read)
        }
    }

    deinit { close(pidfd) }

    /// The last lines it wrote, oldest first.
    var lastLines: [String] { lines.withLock { $0 } }

    /// How it ended; nil while it runs.
    var exitStatus: ChildStatus? {
        status.withLock { status in
            if let status { return status }
            var raw: Int32 = 0
            guard waitpid(processID, &raw, WNOHANG) == processID else { return nil }
            status = raw & 0x7f == 0 ? .code(raw >> 8 & 0xff) : .signal(raw & 0x7f)
            return status
        }
    }

    /// After its end, waits for the last of its output, which says why it ended; not for long,
    /// because a process it started may hold the pipe open.
    func settle() async {
        let deadline = Deadline.after(.seconds(5))
        while !hasOutputEnded.withLock({ $0 }) && !deadline.hasPassed {
            await OwnThread.run("\(name) settle") { _ = usleep(2000) }
        }
    }

    /// Sends a signal; nothing happens where it has ended already.
    func send(_ signal: Int32) {
        guard exitStatus == nil else { return }
        // It may end in between: then there is nothing left to signal, which is what was wanted.
        _ = ww_pidfd_signal(pidfd, signal)
    }

    /// Waits until it has ended; nil when `deadline` passes first.
    func waitForExit(until deadline: Deadline) async -> ChildStatus? {
        await OwnThread.run("\(self.name) wait") {
            while self.exitStatus == nil {
                let left = deadline.remaining.wholeMicroseconds / 1000
                guard left > 0 else { break }
                self.pollOnce(milliseconds: Int32(min(left + 1, 3_600_000)))
            }
            return self.exitStatus
        }
    }

    /// Waits for its end, for one caller only; nil where the caller's task is cancelled first.
    func ended() async -> ChildStatus? {
        for await status in ends { return status }
        return nil
    }

    private func pollOnce(milliseconds: Int32) {
        var entry = pollfd(fd: pidfd, events: Int16(POLLIN), revents: 0)
        poll(&entry, 1, milliseconds)
    }

    /// Waits for its end, however long that takes.
    func exit() async -> ChildStatus {
        while true {
            if let status = await waitForExit(until: .after(.hours(1))) { return status }
        }
    }

    /// Ends it: `signal`, and SIGKILL when that has not worked within `patience`.
    @discardableResult
    func stop(_ signal: Int32, patience: Duration) async -> ChildStatus {
        send(signal)
        if let status = await waitForExit(until: .after(patience)) { return status }
        send(SIGKILL)
        return await exit()
    }

    private func keep(_ line: String) {
        lines.withLock {
            if $0.count == Self.linesKept { $0.removeFirst() }
            $0.append(line)
        }
    }

    private static func pipe() throws -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        let error = ww_pipe(&ends)
        guard error == 0 else {
            throw LocalServerError("A pipe could not be made: \(String(cString: strerror(error))).")
        }
        return (ends[0], ends[1])
    }

    private static func spawn(
        _ command: ChildCommand,
        _ input: Int32,
        _ output: Int32,
        _ child: inout Int32,
        _ pidfd: inout Int32
    ) -> Int32 {
        let arguments = [command.shownAs ?? command.program] + command.arguments
        let environment = command.environment.sorted { $0.key < $1.key }
            .map { "\($0.key)=\($0.value)" }
        let name = strdup(command.program)
        let folder = command.folder.map { strdup($0) } ?? nil
        var argv: [UnsafePointer<CChar>?] = arguments.map { UnsafePointer(strdup($0)) } + [nil]
        var envp: [UnsafePointer<CChar>?] = environment.map { UnsafePointer(strdup($0)) } + [nil]
        defer {
            for text in argv + envp { free(UnsafeMutablePointer(mutating: text)) }
            free(name)
            free(folder)
        }
        return argv.withUnsafeMutableBufferPointer { argv in
            envp.withUnsafeMutableBufferPointer { envp in
                var request = ww_spawn_request()
                request.program = UnsafePointer(name)
                request.arguments = UnsafePointer(argv.baseAddress)
                request.environment = UnsafePointer(envp.baseAddress)
                request.folder = UnsafePointer(folder)
                request.input = input
                request.output = output
                request.death_signal = command.deathSignal
                request.steps_down = command.user == nil ? 0 : 1
                request.user = command.user?.user ?? 0
                request.group = command.user?.group ?? 0
                return ww_spawn(&request, &child, &pidfd)
            }
        }
    }
}

// Child processes that die with the test process. The kernel's "signal on the parent's death"
// follows the parent *thread*, so every child has a thread of its own that waits for its end.
import Synchronization

#if canImport(Glibc)
import CLinux
import Glibc
#else
import Musl
#endif

/// A running child.
package final class ChildProcess: Sendable {
    private struct Launch: Sendable {
        let words: [String]
        let log: String
        let child: ChildProcess
    }

    private let pid = Atomic<Int32>(0)
    /// -1 while it runs, then the raw status of `waitpid`.
    private let status = Atomic<Int32>(-1)

    private init() {}

    /// Whether it has not ended.
    package var isRunning: Bool { status.load(ordering: .acquiring) == -1 }

    /// Its process id.
    package var processID: Int32 { pid.load(ordering: .acquiring) }

    /// Starts a program found in `PATH`; blocks until it exists.
    ///
    /// Its output goes to `log`.
    package static func launch(_ words: [String], log: String) throws -> ChildProcess {
        let child = ChildProcess()
        let launch = Launch(
            words: ["setpriv", "--pdeathsig", "KILL", "--"] + words,
            log: log,
            child: child
        )
        Blocking.detach { launch.child.live(launch) }
        while child.pid.load(ordering: .acquiring) == 0 { usleep(200) }
        guard child.pid.load(ordering: .acquiring) > 0 else {
            throw RedisServer.Failure(description: "\(words[0]) cannot be started")
        }
        return child
    }

    private func live(_ launch: Launch) {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(
            &actions,
            1,
            launch.log,
            O_WRONLY | O_CREAT | O_APPEND,
            0o600
        )
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var started: pid_t = 0
        let result = Spawn.run(launch.words, &actions, &started)
        pid.store(result == 0 ? started : -1, ordering: .releasing)
        guard result == 0 else { return status.store(0, ordering: .releasing) }
        var ended: Int32 = 0
        while waitpid(started, &ended, 0) == -1, errno == EINTR {}
        status.store(ended, ordering: .releasing)
    }

    /// Sends a signal, unless it has ended.
    package func signal(_ number: Int32) {
        if isRunning { _ = Glibc.kill(pid.load(ordering: .acquiring), number) }
    }

    /// Kills it and blocks until it is gone.
    package func kill() {
        signal(SIGKILL)
        _ = wait()
    }

    /// Blocks until it has ended; the status of `waitpid`, 0 for success.
    package func wait() -> Int32 {
        while isRunning { usleep(500) }
        return status.load(ordering: .acquiring)
    }
}

/// `posix_spawnp` with Swift strings.
enum Spawn {
    static func run(
        _ words: [String],
        _ actions: inout posix_spawn_file_actions_t,
        _ pid: inout pid_t
    ) -> Int32 {
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
        arguments.append(nil)
        defer { for argument in arguments { free(argument) } }
        // A connection that a child kept open would never end for the other side.
        _ = ww_spawn_closes_from(&actions, 3)
        return posix_spawnp(&pid, words[0], &actions, nil, arguments, environ)
    }
}

/// Blocking work on a thread of its own, never on the cooperative pool.
package enum Blocking {
    private final class Job: Sendable {
        let work: @Sendable () -> Void
        init(_ work: @escaping @Sendable () -> Void) { self.work = work }
    }

    /// Runs `work` on a new thread.
    package static func detach(_ work: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        let job = Unmanaged.passRetained(Job(work)).toOpaque()
        let result = pthread_create(
            &thread,
            nil,
            { context in
                guard let context else { return nil }
                Unmanaged<Job>.fromOpaque(context).takeRetainedValue().work()
                return nil
            },
            job
        )
        precondition(result == 0, "no thread for a test server")
        pthread_detach(thread)
    }

    /// Runs `work` on a new thread and waits for its result without blocking the caller's.
    package static func run<Value: Sendable>(
        _ work: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            detach { continuation.resume(with: Result { try work() }) }
        }
    }
}

// Runs work until somebody asks the process to end: Ctrl-C, SIGTERM, or a closed terminal. The
// first signal cancels the work, which then ends in order; a second one ends the process at once,
// and the kernel ends our children with it.
import Glibc
import UnixSignals

/// Runs `work`, cancelled by the first signal.
func untilSignalled(_ work: @escaping @Sendable () async throws -> Void) async throws {
    let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm, .sighup)
    let (asked, feed) = AsyncStream.makeStream(of: Void.self)
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask {
            var count = 0
            for await _ in signals {
                count += 1
                if count > 1 { _exit(1) }
                feed.finish()
            }
        }
        defer { group.cancelAll() }
        try await withThrowingTaskGroup(of: Bool.self) { inner in
            inner.addTask {
                try await work()
                return true
            }
            inner.addTask {
                for await _ in asked {}
                return false
            }
            defer { inner.cancelAll() }
            if try await inner.next() == false {
                inner.cancelAll()
                // The work's own end: an orderly one, or what it failed with.
                _ = try await inner.next()
            }
        }
    }
}

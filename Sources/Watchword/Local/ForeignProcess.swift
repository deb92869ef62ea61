// A process that is not our child: the server that an earlier run left behind.
import CLinux
import Glibc

/// A living process known by its number, held by a pidfd so that the number cannot be used again.
final class ForeignProcess: Sendable {
    private let processID: Int32
    private let pidfd: Int32

    /// The process with this number; nil where there is none.
    init?(_ processID: Int32?) {
        guard let processID, processID > 0 else { return nil }
        pidfd = ww_pidfd_open(processID)
        guard pidfd >= 0 else { return nil }
        self.processID = processID
    }

    deinit { close(pidfd) }

    /// Its working folder; nil where the system does not tell us.
    var workingFolder: String? {
        guard let real = realpath("/proc/\(processID)/cwd", nil) else { return nil }
        defer { free(real) }
        return String(cString: real)
    }

    /// Sends a signal; one that has ended is left alone.
    func send(_ signal: Int32) { _ = ww_pidfd_signal(pidfd, signal) }

    /// Waits for its end; false when `patience` is over first.
    func waitForExit(_ patience: Duration) async -> Bool {
        await OwnThread.run("predecessor") {
            var entry = pollfd(fd: self.pidfd, events: Int16(POLLIN), revents: 0)
            return poll(&entry, 1, Int32(patience.components.seconds * 1000)) > 0
        }
    }
}

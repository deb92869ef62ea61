// Writes log lines without ever holding up the thread that logs: a bounded buffer, and a thread of
// its own that empties it. When standard error is slower than we are, lines are dropped, counted,
// and the count is written as a line of its own as soon as there is room.
import CLinux
import Glibc
import Primitives
import Synchronization

/// The one writer of log lines of a process.
final class LogWriter: Sendable {
    /// What the buffer holds at most.
    static let bufferBytes = 4 << 20

    /// How many lines were dropped because the buffer was full.
    let dropped = Counter()

    private struct Buffer {
        var bytes: [UInt8] = []
        var droppedSince = 0
    }
    private let buffer = Mutex(Buffer())
    private let output: Mutex<Int32>
    private let wakeUp: (read: Int32, write: Int32)
    private let noticeOfLoss: @Sendable (Int) -> String

    /// A writer to `descriptor`; `noticeOfLoss` words the line about dropped ones.
    init(
        to descriptor: Int32 = STDERR_FILENO,
        noticeOfLoss: @escaping @Sendable (Int) -> String
    ) {
        var ends: [Int32] = [-1, -1]
        let error = ww_pipe(&ends)
        precondition(error == 0, "no pipe could be made: errno \(error)")
        wakeUp = (ends[0], ends[1])
        output = Mutex(descriptor)
        self.noticeOfLoss = noticeOfLoss
        let reading = ends[0]
        OwnThread.start("log writer") { [weak self] in
            var byte: UInt8 = 0
            while read(reading, &byte, 1) > 0 { self?.flush() }
            close(reading)
        }
    }

    // Closing our end ends the thread.
    deinit { close(wakeUp.write) }

    /// Takes a line, or drops it where the buffer is full.
    ///
    /// Never waits for the output.
    func write(_ line: String) {
        let wasEmpty = buffer.withLock { buffer in
            guard buffer.bytes.count + line.utf8.count < Self.bufferBytes else {
                buffer.droppedSince += 1
                dropped.increment()
                return false
            }
            let wasEmpty = buffer.bytes.isEmpty
            buffer.bytes.append(contentsOf: line.utf8)
            buffer.bytes.append(UInt8(ascii: "\n"))
            return wasEmpty
        }
        if wasEmpty { FileIO.writeAll([1], to: wakeUp.write) }
    }

    /// Writes what is buffered now.
    ///
    /// Blocks: for the writer's thread and for the end of the process.
    func flush() {
        output.withLock { descriptor in
            let taken = buffer.withLock { buffer in
                let taken = buffer
                buffer = Buffer()
                return taken
            }
            FileIO.writeAll(taken.bytes, to: descriptor)
            guard taken.droppedSince > 0 else { return }
            FileIO.writeAll(Array((noticeOfLoss(taken.droppedSince) + "\n").utf8), to: descriptor)
        }
    }
}

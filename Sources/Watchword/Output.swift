// What commands say to people: answers on standard output, everything else on standard error.
// Written at once and whole, so that a line is there when the next thing happens.
import Glibc

/// The standard streams.
enum Output {
    /// An answer.
    static func line(_ text: String) {
        FileIO.writeAll(Array((text + "\n").utf8), to: STDOUT_FILENO)
    }

    /// Anything that is not the answer: progress, warnings, errors.
    static func note(_ text: String) {
        FileIO.writeAll(Array((text + "\n").utf8), to: STDERR_FILENO)
    }
}

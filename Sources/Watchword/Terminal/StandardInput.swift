// A password from standard input: one line, from a pipe or typed without being shown. Arguments
// would be in the shell's history and in the process table for everybody to read (W7).
import Glibc
import Primitives

/// The standard input.
enum StandardInput {
    /// The longest line, in bytes: the longest password.
    private static let longest = 1024

    /// The first line, without its end.
    ///
    /// - Throws: `CommandFailure` where there is none, or it is too long.
    static func password() throws(CommandFailure) -> Secret {
        let isTyped = isatty(STDIN_FILENO) == 1
        var shown = termios()
        if isTyped {
            Output.note("Password:")
            tcgetattr(STDIN_FILENO, &shown)
            var hidden = shown
            hidden.c_lflag &= ~tcflag_t(ECHO)
            tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden)
        }
        defer { if isTyped { tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown) } }
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while true {
            let count = read(STDIN_FILENO, &byte, 1)
            if count < 0 && errno == EINTR { continue }
            guard count == 1, byte != UInt8(ascii: "\n") else { break }
            line.append(byte)
            guard line.count <= longest else {
                throw CommandFailure(.usage, "The password has more than \(longest) bytes.")
            }
        }
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        guard !line.isEmpty else {
            throw CommandFailure(.usage, "There is no password on standard input.")
        }
        return Secret(line)
    }

    /// A password that nobody has chosen; to be shown once.
    static func generated() -> Secret {
        Secret(Base64URL.encode(Entropy.system.bytes(15)))
    }
}

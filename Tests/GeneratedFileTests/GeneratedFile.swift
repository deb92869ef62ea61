// A file that is written by the program and compared by a test: `make regenerate` sets
// WATCHWORD_REGENERATE=1, which rewrites it; its diff is the review.
import Glibc
import TestKit
import Testing

/// A generated file.
enum GeneratedFile {
    /// Whether files are rewritten rather than compared.
    static let isRewriting = getenv("WATCHWORD_REGENERATE").map { String(cString: $0) } == "1"

    /// Compares the file with `text`, or rewrites it.
    static func check(
        _ path: String,
        _ text: String,
        _ place: SourceLocation = #_sourceLocation
    ) throws {
        let current = Repository.text(path)
        guard current != text else { return }
        if isRewriting { return try Repository.write(text, to: path) }
        let old = current.split(separator: "\n", omittingEmptySubsequences: false)
        let new = text.split(separator: "\n", omittingEmptySubsequences: false)
        let line = zip(old, new).prefix { $0 == $1 }.count
        Issue.record(
            """
            \(path) is not what the sources say: run `make regenerate` and read its diff.
            First difference in line \(line + 1):
              now:    \(line < old.count ? String(old[line]) : "(end)")
              should: \(line < new.count ? String(new[line]) : "(end)")
            """,
            sourceLocation: place
        )
    }
}

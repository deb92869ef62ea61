// What the scans share: the sources as lines, and findings that become one readable issue.
import TestKit
import Testing

/// One Swift file of ours.
struct SourceFile: Sendable {
    /// Its path from the root of the repository.
    let path: String
    /// Its whole text.
    let text: String
    /// Its lines.
    let lines: [Substring]

    /// Reads a file.
    init(_ path: String) {
        self.path = path
        text = Repository.text(path)
        lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    }

    /// The target that the file belongs to.
    var target: String { String(path.split(separator: "/")[1]) }

    /// Whether others wrote it: the schema as Swift is a copy of `sql/migrations`.
    var isGenerated: Bool { path == "Sources/Watchword/EmbeddedMigrations.swift" }

    /// Every Swift file under `Sources`.
    static let sources = Repository.files("Sources", endings: [".swift"]).map(SourceFile.init)
    /// Every Swift file under `Tests`.
    static let tests = Repository.files("Tests", endings: [".swift"]).map(SourceFile.init)
}

/// Records all findings as one issue; nothing where there are none.
func expectNone(_ findings: [String], _ place: SourceLocation = #_sourceLocation) {
    guard !findings.isEmpty else { return }
    let list = findings.map { "  \($0)" }.joined(separator: "\n")
    Issue.record("\(findings.count) to mend:\n\(list)", sourceLocation: place)
}

extension StringProtocol {
    /// The text without spaces at either end.
    var trimmed: String {
        var text = drop { $0.isWhitespace }
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}

// The invariants W1, W2 and so on: each stands in ARCHITECTURE.md, the code that keeps one cites
// its number, and so does the test that proves it.
import TestKit
import Testing

@Suite struct InvariantTests {
    /// Invariants that are not cited on both sides yet, and why.
    ///
    /// This list only shrinks.
    private static let open: [String: String] = [:]

    @Test func `every invariant is cited by the code that keeps it and a test that proves it`() {
        let listed = Self.listed()
        #expect(listed.count >= 12)
        let sources = Self.cited(SourceFile.sources)
        let tests = Self.cited(
            SourceFile.tests.filter { !$0.path.hasSuffix("InvariantTests.swift") }
        )
        var findings = sources.union(tests).subtracting(listed).sorted().map {
            "\($0) is cited but not listed in ARCHITECTURE.md"
        }
        for number in listed.sorted() where Self.open[number] == nil {
            if !sources.contains(number) {
                findings.append("\(number): cite it in the source that keeps it")
            }
            if !tests.contains(number) {
                findings.append("\(number): cite it in the test that proves it")
            }
        }
        findings += Self.open.keys.filter { !listed.contains($0) }
            .map { "\($0) is excused here but not listed in ARCHITECTURE.md" }
        expectNone(findings)
    }

    private static func listed() -> Set<String> {
        let lines = Repository.text("ARCHITECTURE.md").split(separator: "\n")
        return Set(
            lines.compactMap { line in
                guard line.hasPrefix("- **W") else { return nil }
                return String(line.dropFirst(4).prefix { $0.isLetter || $0.isNumber })
            }
        )
    }

    private static func cited(_ files: [SourceFile]) -> Set<String> {
        var found: Set<String> = []
        for file in files where file.text.contains("W") {
            for word in file.text.split(whereSeparator: { !($0.isLetter || $0.isNumber) }) {
                guard word.first == "W", word.count <= 3, Int(word.dropFirst()) != nil else {
                    continue
                }
                found.insert(String(word))
            }
        }
        return found
    }
}

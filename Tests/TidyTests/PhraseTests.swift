// Phrases that do not belong in the sources, each with what to write instead.
import TestKit
import Testing

@Suite struct PhraseTests {
    private struct Rule: Sendable {
        let phrase: String
        let instead: String
        var exempt: [String] = []
    }

    private static let clocks = "hand the time down as `now:`, or wait on Primitives' Deadline"
    private static let clockFile = "Sources/Primitives/Clocks.swift"
    /// The timers of a connection belong to its event loop, which has a clock of its own.
    private static let loopTimers = "Sources/Web/HTTP/ConnectionGuard.swift"

    private static let rules = [
        Rule(phrase: "Task {", instead: "a task group, or a Service in the one list of NodeRun"),
        Rule(phrase: "Task.detached", instead: "a task group, or a Service"),
        Rule(phrase: "Date(", instead: "Timestamp"),
        Rule(phrase: "Date.now", instead: "`now:` of the request"),
        Rule(phrase: "clock_gettime", instead: clocks, exempt: [clockFile]),
        Rule(phrase: "gettimeofday", instead: clocks),
        Rule(phrase: "ContinuousClock", instead: clocks),
        Rule(phrase: "SuspendingClock", instead: clocks),
        Rule(phrase: "DispatchTime", instead: clocks),
        Rule(phrase: "NIODeadline.now()", instead: clocks, exempt: [loopTimers]),
        Rule(
            phrase: "SystemRandomNumberGenerator",
            instead: "an Entropy that is handed in",
            exempt: ["Sources/Primitives/Entropy.swift"]
        ),
        Rule(phrase: ".random(in", instead: "an Entropy that is handed in"),
        Rule(phrase: "print(", instead: "Output.line, Output.note or the logger"),
        Rule(phrase: "SELECT *", instead: "the columns by name"),
        Rule(phrase: "FIX" + "ME", instead: "the mended thing, or an issue"),
        Rule(phrase: "TO" + "DO", instead: "the finished thing, or an issue"),
        Rule(phrase: "nonisolated(unsafe)", instead: "a Mutex or an Atomic"),
    ]

    @Test func `no source holds a banned phrase`() {
        var findings: [String] = []
        for file in SourceFile.sources {
            for rule in Self.rules
            where !rule.exempt.contains(file.path) && file.text.contains(rule.phrase) {
                for (index, line) in file.lines.enumerated()
                where Self.holds(line, rule.phrase) {
                    findings.append(
                        "\(file.path):\(index + 1): \(rule.phrase) → \(rule.instead)"
                    )
                }
            }
        }
        expectNone(findings)
    }

    @Test func `a swallowed error has a sentence that says why`() {
        var findings: [String] = []
        for file in SourceFile.sources {
            for (index, line) in file.lines.enumerated() {
                let isEmptyCatch = line.contains("catch {}") || line.contains("catch { }")
                guard Self.holds(line, "try? ") || isEmptyCatch else { continue }
                let near = file.lines[max(0, index - 3)..<min(file.lines.count, index + 4)]
                guard !near.contains(where: { $0.contains("//") }) else { continue }
                findings.append(
                    "\(file.path):\(index + 1): say within three lines why the error does not "
                        + "matter: \(line.trimmed)"
                )
            }
        }
        expectNone(findings)
    }

    @Test func `SQL gets the time as a parameter`() {
        var findings: [String] = []
        let scripts = Repository.files("sql/migrations", endings: [".sql"]).map(SourceFile.init)
        for file in SourceFile.sources + scripts {
            for (index, line) in file.lines.enumerated() where Self.holds(line, "now()") {
                guard !line.contains(".now()"), !line.contains("func now()") else { continue }
                findings.append(
                    "\(file.path):\(index + 1): now() → a Timestamp parameter; clock_timestamp() "
                        + "only under the locks of minting and revoking"
                )
            }
        }
        expectNone(findings)
    }

    /// Whether `phrase` stands in the line as words of its own, outside comments.
    private static func holds(_ line: Substring, _ phrase: String) -> Bool {
        guard !line.trimmed.hasPrefix("//") else { return false }
        return line.ranges(of: phrase).contains { range in
            guard range.lowerBound > line.startIndex else { return true }
            let before = line[line.index(before: range.lowerBound)]
            guard phrase.first?.isLetter == true else { return true }
            return !(before.isLetter || before.isNumber || before == "_")
        }
    }
}

// Rules that are broken on purpose exist in debug builds only.
import TestKit
import Testing

@Suite struct MutantTests {
    @Test func `every mention of a mutant is under #if DEBUG, so no release has one (W1)`() {
        var findings: [String] = []
        var mentions = 0
        for file in SourceFile.sources {
            var conditions: [Bool] = []
            for (index, line) in file.lines.enumerated() {
                let text = line.trimmed
                if text.hasPrefix("#if ") { conditions.append(text == "#if DEBUG") }
                if text.hasPrefix("#else"), let last = conditions.indices.last {
                    conditions[last] = false
                }
                if text.hasPrefix("#endif"), !conditions.isEmpty { conditions.removeLast() }
                guard !text.hasPrefix("//"), text.contains("Mutant") || text.contains("_MUTANT")
                else { continue }
                mentions += 1
                guard !conditions.contains(true) else { continue }
                findings.append("\(file.path):\(index + 1): put it under #if DEBUG: \(text)")
            }
        }
        #expect(mentions > 5)
        expectNone(findings)
    }
}

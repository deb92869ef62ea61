// The formatter's configuration names every rule: one that is left out is silently off.
import TestKit
import Testing

@Suite struct FormatterTests {
    @Test func `every rule of the formatter is named`() async throws {
        let dump = try await Program.shell("swift format dump-configuration")
        try #require(dump.status == 0, "\(dump.text)")
        let known = Self.rules(dump.text)
        try #require(known.count > 30)
        let named = Self.rules(Repository.text(".swift-format"))
        expectNone(
            known.subtracting(named).sorted().map { ".swift-format: say whether \($0) is on" }
                + named.subtracting(known).sorted().map {
                    ".swift-format: the formatter knows no rule \($0); remove it"
                }
        )
    }

    private static func rules(_ json: String) -> Set<String> {
        guard let start = json.firstRange(of: "\"rules\"") else { return [] }
        let lines = json[start.upperBound...].split(separator: "\n").dropFirst()
        return Set(
            lines.prefix { !$0.contains("}") }.map { line in
                String(line.split(separator: "\"").dropFirst().first ?? "")
            }
        )
    }
}

// docs/operations/holes.md is complete and true to the tests: every hole of the protocol has its
// row, and every test that a row names exists.
import TestKit
import Testing

@Suite struct HoleListTests {
    private static let page = "docs/operations/holes.md"
    private static let count = 34

    @Test func `every hole has one row, and every test it names exists (H1-H34)`() async throws {
        let tests = try await Blocking.run { Self.tests() }
        #expect(tests.count > 400)
        var rows: [String: [String]] = [:]
        for line in Repository.text(Self.page).split(separator: "\n") where line.hasPrefix("| H") {
            let cells = line.split(separator: "|").map { $0.trimmingSpaces }
            rows[cells[0], default: []].append(String(line))
            #expect(cells.count == 4, "\(line)")
            guard cells.count == 4 else { continue }
            let named = Self.quoted(in: cells[3])
            #expect(!named.isEmpty || cells[2].contains("**Yours**"), "\(cells[0]): no proof")
            for name in named where !tests.contains(name) {
                Issue.record("\(cells[0]): there is no test called \(name)")
            }
        }
        for number in 1...Self.count {
            #expect(rows["H\(number)"]?.count == 1, "H\(number)")
        }
        #expect(rows.count == Self.count)
    }

    /// The names of all tests, whatever stands between `func` and them.
    private static func tests() -> Set<String> {
        var names: Set<String> = []
        for path in Repository.files("Tests", endings: [".swift"]) {
            for part in Repository.text(path).split(separator: "func").dropFirst() {
                let rest = part.drop { $0.isWhitespace }
                guard rest.first == "`" else { continue }
                names.insert(String(rest.dropFirst().prefix { $0 != "`" }))
            }
        }
        return names
    }

    private static func quoted(in text: String) -> [String] {
        text.split(separator: "`", omittingEmptySubsequences: false).enumerated()
            .filter { $0.offset % 2 == 1 }.map { String($0.element) }
    }
}

extension Substring {
    fileprivate var trimmingSpaces: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}

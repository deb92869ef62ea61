// docs/requirements.md tells the truth: every id has a row, and every row that names a test names a
// file which is there and cites the id.
import TestKit
import Testing

@Suite struct RequirementTests {
    private struct Row {
        let id: String
        let state: String
        let place: String
    }

    private static func rows() -> [Row] {
        Repository.text("docs/requirements.md").split(separator: "\n").compactMap { line in
            let cells = line.split(separator: "|").map { $0.trimmed }
            guard cells.count == 3, cells[0].hasPrefix("S"), cells[0].contains("-") else {
                return nil
            }
            return Row(id: cells[0], state: cells[1], place: cells[2])
        }
    }

    private static var ids: [String] {
        let families = [
            ("S0", 31, 12), ("S1", 24, 0), ("S2", 10, 0), ("S3", 19, 9), ("S4", 20, 16),
        ]
        return families.flatMap { name, features, traps in
            (0..<features).map { "\(name)-\($0 + 1)" } + (0..<traps).map { "\(name)-T\($0 + 1)" }
        }
    }

    @Test func `every id has exactly one row`() {
        #expect(Self.rows().map(\.id) == Self.ids)
    }

    @Test func `a row that names a test names one that cites its id`() {
        for row in Self.rows() where row.state == "test" {
            let files = row.place.split(separator: "`").filter { $0.hasSuffix(".swift") }
            #expect(!files.isEmpty, "\(row.id) names no file")
            for file in files {
                let isCited = Repository.text(String(file)).cites(row.id)
                #expect(isCited, "\(file) does not cite \(row.id)")
            }
        }
    }

    @Test func `a row is a test or says what it waits for`() {
        for row in Self.rows() {
            #expect(["test", "page", "open"].contains(row.state) && !row.place.isEmpty)
        }
    }
}

extension Substring {
    fileprivate var trimmed: String {
        var part = self
        while part.first == " " { part.removeFirst() }
        while part.last == " " { part.removeLast() }
        return String(part)
    }
}

extension String {
    /// Whether the text has `id`, and not only as the beginning of a longer one.
    fileprivate func cites(_ id: String) -> Bool {
        var rest = self[...]
        while let found = rest.firstRange(of: id) {
            rest = rest[found.upperBound...]
            if !(rest.first?.isNumber ?? false) { return true }
        }
        return false
    }
}

// Tables for people: columns under their headings, as wide as they must be. What comes from outside
// cannot pretend to be something else: its deceptive characters are escaped (checklist row 301).

/// Rows of cells.
enum TextTable {
    /// The lines of a table under `headings`.
    static func text(_ headings: [String], _ rows: [[String]]) -> String {
        let all = [headings] + rows.map { $0.map(JSONText.plain) }
        let widths = headings.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { line($0, widths) }.joined(separator: "\n")
    }

    /// One thing, a line for each of its members.
    static func text(_ members: [(name: String, value: String)]) -> String {
        let width = members.map(\.name.count).max() ?? 0
        return members.map { line([$0.name, JSONText.plain($0.value)], [width, 0]) }
            .joined(separator: "\n")
    }

    private static func line(_ cells: [String], _ widths: [Int]) -> String {
        let padded = zip(cells, widths).map { cell, width in
            cell + String(repeating: " ", count: max(0, width - cell.count))
        }
        let line = padded.joined(separator: "  ")
        return String(line.reversed().drop { $0 == " " }.reversed())
    }
}

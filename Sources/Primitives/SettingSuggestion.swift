// "Did you mean …?": the known name closest to a mistyped one.

/// Finds the name somebody probably meant.
package enum SettingSuggestion {
    /// The known name with the fewest edits to `name`, if that is at most a third of its letters.
    package static func closest(to name: String, among known: [String]) -> String? {
        let ranked = known.map { (name: $0, edits: edits(from: name, to: $0)) }
        guard let best = ranked.min(by: { ($0.edits, $0.name) < ($1.edits, $1.name) }) else {
            return nil
        }
        return best.edits <= max(2, name.count / 3) ? best.name : nil
    }

    /// The Levenshtein distance: insertions, deletions and replacements of one character.
    package static func edits(from left: String, to right: String) -> Int {
        let target = Array(right)
        var row = Array(0...target.count)
        for (i, one) in left.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, other) in target.enumerated() {
                let replaced = diagonal + (one == other ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(replaced, diagonal + 1, row[j] + 1)
            }
        }
        return row[target.count]
    }
}

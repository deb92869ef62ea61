// Numbers that only grow: generations of signatures, versions of rights. One expression for all.

/// SQL of numbers that only grow.
package enum GrowingVersion {
    /// The time as such a number: the first value of a new row.
    package static let now = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

    /// The next value of `column`: greater than any before, also after a restore (W2).
    ///
    /// Under a lock on its row only.
    package static func next(_ column: String) -> String {
        "greatest(\(column) + 1, \(now))"
    }
}

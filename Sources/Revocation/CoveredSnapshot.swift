// What a glance is compared with: the last snapshot all of whose revocations are in the set. Where
// the database shows the same one again there is nothing to be read (decision 14).

/// The snapshot that the set stands for.
struct CoveredSnapshot: Sendable {
    private var reading: Reading?
    /// Whether the last reading found the snapshot of the one before.
    private(set) var isQuiet = false

    /// Whether `other` sees the same transactions, neither more nor fewer.
    func isOf(_ other: Reading) -> Bool {
        guard let reading, let snapshot = other.snapshot else { return false }
        return reading.timeline == other.timeline && reading.snapshot == snapshot
    }

    /// Notes a reading that is in the set; whether it counts.
    ///
    /// From a cursor of another history it need not have brought all that its snapshot shows (H7):
    /// transaction numbers below the cursor may be given out again.
    mutating func note(_ next: Reading, of scope: ReadIndexCore.Scope) -> Bool {
        if case .since(_, let history) = scope, history != next.timeline {
            self = CoveredSnapshot()
            return false
        }
        isQuiet = isOf(next)
        reading = next
        return true
    }
}

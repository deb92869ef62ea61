// The revocations a node knows: a set that only grows until its members have expired (W2). A
// second revocation of one subject raises its version and its expiry, and never lowers either, so
// nothing is ever un-revoked (S4-T1).
package import Primitives

/// The revocations in memory.
package struct RevocationSet: Sendable {
    private struct Mark {
        var version: Int64
        var expiresAt: Timestamp
    }
    private var marks: [RevocationSubject: Mark] = [:]

    /// A set of none.
    package init() {}

    /// How many subjects are revoked.
    package var count: Int { marks.count }

    /// Adds one; of two for a subject the greater version and the later expiry hold.
    package mutating func insert(_ entry: RevocationEntry) {
        if let known = marks[entry.subject] {
            marks[entry.subject] = Mark(
                version: max(known.version, entry.version),
                expiresAt: max(known.expiresAt, entry.expiresAt)
            )
        } else {
            marks[entry.subject] = Mark(version: entry.version, expiresAt: entry.expiresAt)
        }
    }

    /// Whether `subject` itself is revoked, whatever the version.
    package func contains(_ subject: RevocationSubject) -> Bool { marks[subject] != nil }

    /// The lowest version of `subject` that is still good; nil where any is.
    package func lowestVersion(of subject: RevocationSubject) -> Int64? {
        marks[subject]?.version
    }

    /// Forgets what expired before `now`, which is read from the database's clock, less a margin.
    package mutating func prune(before now: Timestamp) {
        marks = marks.filter { $0.value.expiresAt >= now }
    }

    /// All of it, in no order.
    package var entries: [RevocationEntry] {
        marks.map {
            RevocationEntry($0.key, version: $0.value.version, expiresAt: $0.value.expiresAt)
        }
    }
}

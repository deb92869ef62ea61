// How new a check must be to know what a call has changed: the highest version of all that was
// revoked for it. Kept beside the call, as its deadline is, so that no use case has to hand it
// through. It only tells; whether a revocation is in force is the Revoker's business alone (W1).
import Synchronization

/// The highest version that a call has revoked with.
package final class RevokedVersions: Sendable {
    /// Those of the call that is under way; nil where nobody wants to know.
    @TaskLocal package static var current: RevokedVersions?

    private let noted = Atomic<Int64>(0)

    /// Nothing yet.
    package init() {}

    /// The highest so far; zero where nothing was revoked, or nothing that has a version.
    package var highest: Int64 { noted.load(ordering: .acquiring) }

    /// Takes note of what is in force now.
    func note(_ entries: [RevocationEntry]) {
        for entry in entries { noted.max(entry.version, ordering: .acquiringAndReleasing) }
    }
}

// Rules that can be broken on purpose, to see whether the fault campaign notices (`make
// chaos-mutants`). Only debug builds have them: all of this, and every place that asks, is under
// `#if DEBUG`, which a test checks. A mutant must never be reachable in a release.
#if DEBUG
#if canImport(Glibc)
import Glibc
#else
import Musl
#endif

/// One broken rule.
package enum Mutant: String, Sendable, CaseIterable {
    /// A check joins a read that is on the wire already (H17).
    case joinInflight = "join-inflight"
    /// The cursor is the greatest id seen, not the xmin of the snapshot (F1).
    case idCursor = "id-cursor"
    /// Only rows below the snapshot's xmin are read (section 3).
    case upperBound = "upper-bound"
    /// A log-out is acknowledged before its commit.
    case ackEarly = "ack-early"
    /// A cursor is used on another history than the one it comes from (F4).
    case noTimeline = "no-timeline"

    /// The one of this process, from `WATCHWORD_MUTANT`.
    package static let active: Mutant? = getenv("WATCHWORD_MUTANT")
        .flatMap { Mutant(rawValue: String(cString: $0)) }
}
#endif

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

    /// What roles permit is not read again when the log tells of a change (H27).
    case staleRoles = "stale-roles"
    /// A change of what an account holds is not looked at (H28).
    case staleRights = "stale-rights"
    /// A change of an organisation is not looked at by who remembers its members' rights (H23).
    case staleTenants = "stale-tenants"
    /// The rules of gateways are not read again when the log tells of a change.
    case staleRoutes = "stale-routes"

    /// An API key that was taken back goes on with the claims that a node remembers of it.
    case revokedKeys = "revoked-keys"

    /// An answer may be twice as old as the bound.
    case doubleBound = "double-bound"

    // The members' (revocation.md 4.3).

    /// A draining epoch is not waited for (F2).
    case noLeaseWait = "no-lease-wait"
    /// A head under another token, or none, is taken for "nothing new" (F3).
    case noToken = "no-token"
    /// The authority is read before the commit.
    case earlyAuthority = "early-authority"
    /// The lease comes from a later snapshot than the revocations.
    case twoSnapshots = "two-snapshots"
    /// A member is not asked who it is, and a head may go back (H4, H5).
    case staleMember = "stale-member"
    /// A check hears one member.
    case readQuorumOne = "read-quorum-1"
    /// A revocation is on one member.
    case writeQuorumOne = "write-quorum-1"
    /// A token is the epoch's number, and nothing else keeps adopters apart (H20).
    case tokenIsEpoch = "token-is-epoch"
    /// Members are adopted while nodes may still hold leases of the epoch before (F2).
    case adoptDraining = "adopt-draining"
    /// Whoever has a member's name and token may be published to and fenced (H4).
    case strangerMember = "stranger-member"
    /// One fenced member of three is thought enough.
    case fenceOne = "fence-one"

    /// The one of this process, from `WATCHWORD_MUTANT`.
    package static let active: Mutant? = getenv("WATCHWORD_MUTANT")
        .flatMap { Mutant(rawValue: String(cString: $0)) }
}
#endif

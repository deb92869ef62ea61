// The authority: who is asked how far the revocations have got. One row in PostgreSQL names it,
// either PostgreSQL itself or one or three Redis members, each by its endpoint and a random token
// (revocation.md 1.1, 1.2, 1.9). Plain values; reading and changing the row is `AuthorityStore`'s.
package import Primitives

/// The random name of one incarnation of a member: it dies with the member's memory (F3, H20).
package struct MemberToken: Hashable, Sendable, CustomStringConvertible {
    /// 32 hexadecimal digits.
    package let text: String

    /// The token of this text, which is what `rv:head` holds before its colon.
    package init(text: String) { self.text = text }

    /// A fresh one, of 128 random bits.
    package init(entropy: Entropy) { text = Hex.encode(entropy.bytes(16)) }

    /// The text.
    package var description: String { text }
}

/// What makes a process of Redis that very process with that very history.
///
/// `run_id` changes with a restart; `master_replid` with a demotion, also with one that was taken
/// back (revocation.md 1.9).
package struct MemberIdentity: Hashable, Sendable {
    /// INFO's `run_id`.
    package let runID: String
    /// INFO's `master_replid`.
    package let replicationID: String

    /// An identity.
    package init(runID: String, replicationID: String) {
        self.runID = runID
        self.replicationID = replicationID
    }
}

/// A member of the authority, as its row records it.
package struct AuthorityMember: Hashable, Sendable {
    /// Where it is: the URL without user and password.
    package let endpoint: String
    /// Its token.
    package let token: MemberToken
    /// Which process it was when it was adopted; nil for a member that was away then and has no
    /// voice in this epoch.
    package let identity: MemberIdentity?

    /// A member.
    package init(endpoint: String, token: MemberToken, identity: MemberIdentity?) {
        self.endpoint = endpoint
        self.token = token
        self.identity = identity
    }
}

/// Who may be asked.
package enum AuthorityState: String, Sendable, CaseIterable {
    /// The members, under a lease; or PostgreSQL.
    case redis
    /// PostgreSQL; but nodes may still hold leases of the epoch before.
    case draining
    /// PostgreSQL alone.
    case pg
}

/// The row `revocation_authority`.
package struct Authority: Hashable, Sendable {
    /// Grows with every closing and every adoption.
    package let epoch: Int64
    /// Who may be asked.
    package let state: AuthorityState
    /// The members; none unless the state is `redis`.
    package let members: [AuthorityMember]
    /// How long a node may ask the members without asking PostgreSQL.
    package let lease: Duration

    /// An authority.
    package init(
        epoch: Int64,
        state: AuthorityState,
        members: [AuthorityMember] = [],
        lease: Duration
    ) {
        self.epoch = epoch
        self.state = state
        self.members = members
        self.lease = lease
    }

    /// How many members a revocation must be on, and how many a check must have heard.
    package var majority: Int { members.count / 2 + 1 }

    /// With so many members fenced, no majority of them can be heard any more.
    package var fencingMajority: Int { members.count - majority + 1 }
}

/// How long a revoker waits for leases it cannot see (revocation.md 1.3, A3).
package enum LeaseRule {
    /// Clocks of two nodes may go wrong by one part in this many, one against the other.
    static let rateErrorDivisor = 100
    /// What is added for the grain of timers.
    static let margin: Duration = .milliseconds(50)

    /// From one's own observation of `draining` until every lease of the epoch before is over.
    package static func drainTime(_ lease: Duration) -> Duration {
        lease + lease / rateErrorDivisor + margin
    }
}

/// Why an epoch is closed.
package enum Distrust: Hashable, Sendable, CustomStringConvertible {
    /// A member has forgotten what it said before: its head went back.
    case headWentBack(endpoint: String)
    /// A member still has its token, and is another process or has another history.
    case identityChanged(endpoint: String)
    /// A member is set up so that it may forget.
    case unfit(endpoint: String, MemberFlaw)

    /// A sentence for the log.
    package var description: String {
        switch self {
        case .headWentBack(let endpoint): "the head of \(endpoint) went back"
        case .identityChanged(let endpoint):
            "\(endpoint) has its token and is not the process it was"
        case .unfit(let endpoint, let flaw): "\(endpoint): \(flaw)"
        }
    }
}

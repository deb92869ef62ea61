// What an answer is put together of must be true of one moment: what the account holds, what its
// roles permit, where it may act (W11). Each part alone is never older than the question; without
// this an old role and a newer membership would permit together what at no time was permitted.
package import Access
package import Primitives
import Revocation
package import Tokens

extension Verifier {
    /// How often what is judged by may change while it is put together, before nobody is answered.
    package static let turns = 8

    /// What a token is judged by, read one after the other.
    package struct Parts: Sendable {
        /// The version of the account's rights that was used.
        let version: Int64
        /// What the account holds; nil where its token carries it.
        let held: AccountRights?
        /// How many of the news of roles the snapshot has taken in.
        let roles: Int
        /// How many of the news of route rules the table has taken in; nil where none judges.
        let rules: Int?
        /// What PostgreSQL has told of its session.
        let sessions: Resolution

        /// Parts, to be looked at together.
        package init(
            version: Int64,
            held: AccountRights?,
            roles: Int,
            rules: Int?,
            sessions: Resolution
        ) {
            self.version = version
            self.held = held
            self.roles = roles
            self.rules = rules
            self.sessions = sessions
        }
    }

    /// What a look at the revocations says of parts.
    package enum Coherence: Sendable {
        /// All are true of one moment: nothing of them has changed since it was read, as far as
        /// the node has read the log.
        ///
        /// None of them is newer than that, because who reads one reads the log afterwards.
        case oneMoment
        /// The token is over, or has been revoked, since it was judged.
        case ended(CredentialFlaw)
        /// Only PostgreSQL can tell whether its session lives.
        case open(OpenQuestion)
        /// There are other rules for gateways.
        case otherRules
        /// Something else has changed.
        case changed
    }

    /// Looks at parts together; after each of them has been read.
    ///
    /// - Parameter now: the time at which what is held was taken to be held still.
    package func coherence(
        _ claims: AccessClaims,
        _ parts: Parts,
        at now: Timestamp
    ) -> Coherence {
        readIndex.look { set in
            if now >= claims.expiresAt { return .ended(.expired) }
            if Self.isRevoked(claims, set) { return .ended(.revoked) }
            // Whoever acts for another was held against what that one held when he began.
            if claims.actor != nil, Self.rightsVersion(claims, set) > claims.rightsVersion {
                return .ended(.revoked)
            }
            if !claims.isKey, let question = open(claims, set) {
                switch parts.sessions[claims.sessionID]?.settles(question)
                    ?? resolver.known(question)
                {
                case true?: break
                case false?: return .ended(.revoked)
                case nil: return .open(question)
                }
            }
            if let rules = parts.rules, rules < set.routeChanges { return .otherRules }
            let isWhole =
                parts.roles >= set.roleChanges
                && parts.version >= set.lowestVersion(of: .init(.rights, claims.accountID)) ?? .min
                && parts.held?.isCurrent(in: set) ?? true
            return isWhole ? .oneMoment : .changed
        }
    }

    /// The same for an account that is asked about without a token of its own.
    package func isOneMoment(_ account: AccountID, _ held: AccountRights, _ holds: Int) -> Bool {
        readIndex.look { set in
            holds >= set.roleChanges
                && held.version >= set.lowestVersion(of: .init(.rights, account)) ?? .min
                && held.generation >= set.lowestVersion(of: .init(.signature, account)) ?? .min
                && held.generation >= set.lowestVersion(of: .init(.accountState, account)) ?? .min
                && held.isCurrent(in: set)
        }
    }

    /// The version of its account's rights that an answer must have seen.
    package func rightsVersion(of claims: AccessClaims) -> Int64 {
        readIndex.look { Self.rightsVersion(claims, $0) }
    }
}

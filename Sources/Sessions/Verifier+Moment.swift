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

    /// Whether all that was put together to judge a token by is true of one moment: nothing of it
    /// has changed since it was read, as far as the node has read the log.
    ///
    /// None of it is newer than that, because who reads it reads the log afterwards.
    ///
    /// - Parameters:
    ///   - version: the version of the account's rights that was used.
    ///   - held: what the account holds; nil where its token carries it.
    ///   - holds: how many of the news of roles the snapshot has taken in.
    package func isOneMoment(
        _ claims: AccessClaims,
        _ version: Int64,
        _ held: AccountRights?,
        _ holds: Int
    ) -> Bool {
        readIndex.look { set in
            holds >= set.roleChanges
                && !Self.isRevoked(claims, set)
                && version >= set.lowestVersion(of: .init(.rights, claims.accountID)) ?? .min
                && held?.isCurrent(in: set) ?? true
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

    /// Whether a token that was good has been revoked since.
    package func hasEnded(_ claims: AccessClaims) -> Bool {
        readIndex.look { Self.isRevoked(claims, $0) }
    }

    /// The version of its account's rights that an answer must have seen.
    package func rightsVersion(of claims: AccessClaims) -> Int64 {
        readIndex.look { Self.rightsVersion(claims, $0) }
    }
}

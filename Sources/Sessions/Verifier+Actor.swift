// A token in which somebody acts for its owner is held against him as well: it is over when he is
// disabled or deleted, when the session is over in which he began, with any change of what either
// of them is given, and once a role has changed so that the owner may what he may not himself (row
// 177, W1, W11). His tokens' end is in the log and is looked for as the owner's is; what both may
// is resolved in the node, from the roles of one snapshot. Nothing is read for each request.
package import Access
package import Primitives
import Revocation
package import Tokens

extension Verifier {
    /// Whether the tokens of whoever acts are outdated, whatever becomes of whom he acts for.
    static func isOutdated(_ actor: TokenActor, _ set: borrowing RevocationSet) -> Bool {
        isBelow(actor.signatureGeneration, .init(.signature, actor.accountID), set)
            || isBelow(actor.signatureGeneration, .init(.accountState, actor.accountID), set)
            || isBelow(actor.rightsVersion, .init(.rights, actor.accountID), set)
            || set.contains(RevocationSubject(.session, actor.sessionID))
            // Which of his sessions have ended is not in the log any more (H25): he begins anew.
            || set.hasHeld(.sessions)
                && set.lowestVersion(of: .init(.sessions, actor.accountID)) != nil
    }

    /// What would end that somebody acts, for the sampler, as of what was found; nil where he may
    /// not act any more, and nothing where nobody does.
    ///
    /// In memory where the rights of both are known; else a statement for each. Confirm first.
    ///
    /// - Parameter version: that of what the owner holds.
    /// - Throws: a fault where rights or roles cannot be read. Then nothing is accepted (W10).
    func acting(
        in claims: AccessClaims,
        of version: Int64,
        at now: Timestamp
    ) async throws -> [CoveredBy]? {
        guard let actor = claims.actor else { return [] }
        // Nobody has compared with his what the owner was given since.
        guard version <= claims.rightsVersion else { return nil }
        var owned = claims.roles ?? []
        if !claims.carriesRights(of: version, at: now) {
            let question = RightsQuestion(claims.accountID, version: version)
            owned = try await rights.rights(of: question, at: now).living(at: now).unscoped
        }
        let held = try await held(by: actor, at: now)?.living(at: now).unscoped ?? []
        let snapshot = try await roles.snapshot(knowing: held + owned)
        guard mayAct(by: held, snapshot), snapshot.isWithin(owned, held) else { return nil }
        return [
            CoveredBy(
                RevocationSubject(.signature, actor.accountID),
                above: actor.signatureGeneration
            ),
            CoveredBy(
                RevocationSubject(.accountState, actor.accountID),
                above: actor.signatureGeneration
            ),
            CoveredBy(RevocationSubject(.rights, actor.accountID), above: actor.rightsVersion),
            CoveredBy(RevocationSubject(.session, actor.sessionID)),
        ]
    }

    /// Whether roles let somebody act for others; what these may is another question.
    package func mayAct(by held: [RoleID], _ snapshot: RoleSnapshot) -> Bool {
        snapshot.permits(Impersonate.permission, held)
    }

    /// What somebody holds who acts; nil where nobody does.
    ///
    /// It is as it was when he began, or his token is over (`isOutdated`).
    package func held(by actor: TokenActor?, at now: Timestamp) async throws -> AccountRights? {
        guard let actor else { return nil }
        let question = RightsQuestion(
            actor.accountID,
            version: actor.rightsVersion,
            generation: actor.signatureGeneration
        )
        return try await rights.rights(of: question, at: now)
    }
}

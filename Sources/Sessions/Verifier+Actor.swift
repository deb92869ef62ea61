// A token in which somebody acts for its owner is held against him as well: it is over when he is
// disabled or deleted, when the session is over in which he began, and with any change of what
// either of them holds, for it was looked at only then that he holds no less (row 177, W1, W11).
// His tokens' end is in the log and is looked for as the owner's is; whether he still may is
// resolved in the node, for a role of his may have changed. Nothing is read for each request.
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
    /// In memory where his rights are known; else a statement. Confirm first.
    ///
    /// - Throws: a fault where his rights or roles cannot be read. Then nothing is accepted (W10).
    func acting(_ actor: TokenActor?, at now: Timestamp) async throws -> [CoveredBy]? {
        guard let actor else { return [] }
        let held = try await held(by: actor, at: now)
        let snapshot = try await roles.snapshot(knowing: held)
        guard mayAct(by: held, snapshot) else { return nil }
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

    /// Whether roles let somebody act for others.
    package func mayAct(by held: [RoleID], _ snapshot: RoleSnapshot) -> Bool {
        snapshot.permits(Impersonate.permission, held)
    }

    /// The roles that let somebody act; none where nobody does.
    ///
    /// They are as they were when he began, or his token is over (`isOutdated`).
    package func held(by actor: TokenActor?, at now: Timestamp) async throws -> [RoleID] {
        guard let actor else { return [] }
        let question = RightsQuestion(
            actor.accountID,
            version: actor.rightsVersion,
            generation: actor.signatureGeneration
        )
        return try await rights.rights(of: question, at: now).unscoped
    }
}

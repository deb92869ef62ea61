// A token in which somebody acts for its owner is held against him as well: it is over when he is
// disabled or deleted, has logged out everywhere or has lost the permission (row 177, W1, W11). His
// tokens' end is in the log and is looked for as the owner's is; what he may do is resolved in the
// node, as of a version that the log does not outdate. None of it is read for each request.
import Access
import Primitives
import Revocation
import Tokens

extension Verifier {
    /// Whether the tokens of whoever acts are outdated, whatever becomes of whom he acts for.
    static func isOutdated(_ actor: TokenActor, _ set: borrowing RevocationSet) -> Bool {
        isBelow(actor.signatureGeneration, .init(.signature, actor.accountID), set)
            || isBelow(actor.signatureGeneration, .init(.accountState, actor.accountID), set)
    }

    /// What would end that somebody acts, for the sampler, as of what was found; nil where he may
    /// not act any more, and nothing where nobody does.
    ///
    /// In memory where his rights are known; else a statement. Confirm first.
    ///
    /// - Throws: a fault where his rights or roles cannot be read. Then nothing is accepted (W10).
    func acting(_ actor: TokenActor?, at now: Timestamp) async throws -> [CoveredBy]? {
        guard let actor else { return [] }
        let lowest = look { $0.lowestVersion(of: .init(.rights, actor.accountID)) }
        let question = RightsQuestion(
            actor.accountID,
            version: max(actor.rightsVersion, lowest ?? .min),
            generation: actor.signatureGeneration
        )
        let held = try await rights.rights(of: question, at: now).unscoped
        let snapshot = try await roles.snapshot(knowing: held)
        guard snapshot.permits(Impersonate.permission, held) else { return nil }
        return [
            CoveredBy(
                RevocationSubject(.signature, actor.accountID),
                above: actor.signatureGeneration
            ),
            CoveredBy(
                RevocationSubject(.accountState, actor.accountID),
                above: actor.signatureGeneration
            ),
            CoveredBy(RevocationSubject(.rights, actor.accountID), above: question.version),
        ]
    }
}

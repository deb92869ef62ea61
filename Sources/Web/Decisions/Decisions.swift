// How decisions are made: from the roles in memory and from what accounts hold, as of a read of the
// revocation log that began after the request came (W11). One statement for all accounts that this
// node does not remember.
import Access
import HTTPTypes
import Primitives
import Revocation
import Sessions
import Tokens

/// Limits of decisions.
enum Decisions {
    /// The most of one request.
    static let limit = 100
}

/// One question.
struct DecisionQuestion {
    let permission: String
    let subject: AccountID
    let resource: String?
    let organisation: OrganisationID?
}

extension WebServices {
    /// Decides; the caller's own questions, and with `access:check` any.
    ///
    /// - Throws: `permission-denied` for questions about others without it; a fault where a role is
    ///   in doubt.
    func decide(
        _ questions: [DecisionQuestion],
        _ claims: AccessClaims
    ) async throws -> [Bool] {
        if questions.contains(where: { $0.subject != claims.accountID }) {
            let holding = try await hold(claims)
            guard holding.permits(AdminPermission.accessCheck.rawValue) else {
                throw GateRefusal.permissionDenied
            }
        }
        for _ in 0..<Verifier.turns {
            var accounts = Set(questions.map(\.subject))
            if let actor = claims.actor { accounts.insert(actor.accountID) }
            let rights = try await resolve(accounts, claims)
            if let answers = try await decide(questions, rights, claims) { return answers }
            try await verifier.confirm()
        }
        throw ReadIndexFault.unconfirmed
    }

    /// Decides by what was read; nil where that is not true of one moment any more.
    private func decide(
        _ questions: [DecisionQuestion],
        _ rights: [AccountID: AccountRights],
        _ claims: AccessClaims
    ) async throws -> [Bool]? {
        let now = verifier.standing.now
        let held = questions.map { question -> [RoleID] in
            guard let rights = rights[question.subject]?.living(at: now) else { return [] }
            let organisation = Self.organisation(of: question, claims)
            // What is asked of one organisation is never answered for all, nor by a session for
            // another (row 175).
            guard rights.mayAct(in: organisation), Self.mayAsk(question, claims) else { return [] }
            return rights.roles(in: organisation, on: question.resource)
        }
        // Whoever acts for the account may no more there than he may himself (row 177).
        let limits = questions.map { question -> [RoleID]? in
            guard let actor = claims.actor, question.subject == claims.accountID else { return nil }
            let organisation = Self.organisation(of: question, claims)
            let own = rights[actor.accountID]?.living(at: now)
            return own?.roles(in: organisation, on: question.resource) ?? []
        }
        let all = Array(Set(held.joined()).union(limits.compactMap(\.self).joined()))
        try await roles.learn(all)
        let (snapshot, _, holds) = roles.current
        let isOneMoment = rights.allSatisfy { account, rights in
            verifier.isOneMoment(account, rights, holds)
        }
        guard isOneMoment else { return nil }
        guard !snapshot.doubts(all) else { throw RoleDoubt() }
        return zip(questions, zip(held, limits)).map { question, counted in
            let (held, limit) = counted
            let isOwn = question.subject == claims.accountID
            let holding = Holding(
                roles: held,
                snapshot: snapshot,
                narrowedTo: isOwn ? claims.narrowedTo : nil
            )
            return holding.permits(question.permission)
                && limit.map { snapshot.permits(question.permission, $0) } ?? true
        }
    }

    /// Whether the caller's session is for no other organisation than a question about himself.
    private static func mayAsk(_ question: DecisionQuestion, _ claims: AccessClaims) -> Bool {
        guard question.subject == claims.accountID, let own = claims.organisationID else {
            return true
        }
        return question.organisation.map { $0 == own } ?? true
    }

    /// The organisation that a question is about: the caller's own where it names none.
    private static func organisation(
        of question: DecisionQuestion,
        _ claims: AccessClaims
    ) -> OrganisationID? {
        let own = question.subject == claims.accountID ? claims.organisationID : nil
        return question.organisation ?? own
    }

    /// What accounts hold, as new as the check of the caller's token.
    func resolve(
        _ accounts: Set<AccountID>,
        _ claims: AccessClaims
    ) async throws -> [AccountID: AccountRights] {
        let now = verifier.standing.now
        var found: [AccountID: AccountRights] = [:]
        var open: [RightsQuestion] = []
        for account in accounts {
            let question = verifier.question(about: account)
            if let known = rights.known(question, at: now) {
                found[account] = known
            } else {
                open.append(question)
            }
        }
        if !open.isEmpty { found.merge(try await rights.read(open, isForGateway: false)) { $1 } }
        return found
    }
}

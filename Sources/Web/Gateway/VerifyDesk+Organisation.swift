// The fast path for requests that name an organisation, in `X-Org` or by their token, where no
// route rule and no resource is in it too. What counts there is what the account holds, as new as
// the revocation log tells of the account and of its organisations; the answers are those of the
// general path, byte for byte, and of anything that is not one plain id it is the general path's
// to say why.
internal import Access
internal import NIOCore
internal import Primitives
internal import Sessions
internal import Tokens

/// The answer that a token gets in an organisation, as long as these roles count there.
struct OrganisationAnswer {
    let held: [RoleID]
    let names: [String]
    /// The reading of the roles that the names are of.
    let generation: Int
    let template: PassTemplate
}

extension VerifyDesk {
    /// What `X-Org` names; nil where the general path has to look at the request.
    func organisation(
        _ head: VerifyHead,
        _ bytes: UnsafeRawBufferPointer,
        _ requirements: Requirements?
    ) -> OrganisationID? {
        guard head.organisations == 1, routes == nil, requirements?.resource == nil else {
            return nil
        }
        let value = UnsafeRawBufferPointer(rebasing: bytes[head.organisation])
        return OrganisationID(String(decoding: value, as: UTF8.self))
    }

    /// Whether a request is answered here whose token names the organisation `own`.
    ///
    /// Where the header names another the general path says why not.
    func stays(
        in own: OrganisationID,
        named: OrganisationID?,
        _ requirements: Requirements?
    ) -> Bool {
        routes == nil && requirements?.resource == nil && named ?? own == own
    }

    /// Answers somebody whose token is good and who acts in an organisation; what PostgreSQL must
    /// be asked first, if anything.
    func pass(
        _ front: VerifyFront,
        _ token: CheckedToken,
        in organisation: OrganisationID,
        _ requirements: Requirements?,
        _ time: AnswerTime,
        _ place: Place,
        _ settled: Settled
    ) -> Need? {
        let (roles, generation, _) = place.known
        let rights: AccountRights
        switch settled.rights(of: token, place, services) {
        case .success(let found): rights = found
        case .failure(let need): return need
        }
        guard let standing = rights.memberships[organisation], standing.isActive else {
            front.refuse(OrganisationChoice.notMember)
            return nil
        }
        let held = rights.roles(in: organisation, on: nil)
        if let need = settled.need(ofRoles: held, roles) { return need }
        if roles.doubts(held) {
            front.refuse(RoleDoubt())
            return nil
        }
        var answer = token.answer(in: organisation, held, generation)
        if answer == nil {
            let fresh = render(token, organisation, held, place, front.dispatcher)
            token.take(fresh, in: organisation)
            answer = fresh
        }
        guard let answer else { return nil }
        if let requirements {
            let holding = Holding(
                roles: held,
                snapshot: roles,
                narrowedTo: token.claims.narrowedTo
            )
            guard requirements.hold(for: token.claims, holding, named: answer.names) else {
                front.refuse(GateRefusal.permissionDenied)
                return nil
            }
        }
        if token.key != nil { verifier.noteUse(of: token.claims, at: place.standing.wallTime) }
        if let sample = front.question?.sample {
            verifier.accepted(sample, in: organisation, of: standing.generation)
        }
        front.pass(makeAnswer(answer.template, time, closes: front.closes))
        return nil
    }

    /// Has the general path write the answer.
    private func render(
        _ token: CheckedToken,
        _ organisation: OrganisationID,
        _ held: [RoleID],
        _ place: Place,
        _ dispatcher: Dispatcher
    ) -> OrganisationAnswer {
        let (roles, generation, _) = place.known
        let holding = Holding(roles: held, snapshot: roles, narrowedTo: token.claims.narrowedTo)
        let names = holding.names
        var reply = services.passReply(token.claims, holding, organisation, ageInMilliseconds: 0)
        dispatcher.finish(&reply, id: RequestID(high: 0, low: 0), now: Timestamp(seconds: 0))
        return OrganisationAnswer(
            held: held,
            names: names,
            generation: generation,
            template: PassTemplate(reply)
        )
    }
}

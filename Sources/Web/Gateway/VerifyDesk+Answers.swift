// What the desk answers, and by what: the revocations, roles and rules as they are when the wait is
// over (W1, W11). Of whom only PostgreSQL can tell is told apart, and asked about for all at once.
internal import Access
internal import NIOCore
internal import Primitives
internal import Revocation
internal import Sessions
internal import Tokens

extension VerifyDesk {
    /// Answers one that need not wait; false where only PostgreSQL can tell, and it waits.
    func answer(_ front: VerifyFront) -> Bool {
        let moment = makeMoment(Settled())
        let view = verifier.look { look(at: [front], moment, $0) }
        switch pass(front, view.findings[0], moment, view) {
        case .over: counter.increment()
        case .retaken: front.retake()
        case .open:
            if waiting.count < Self.waitingLimit {
                enqueue(front)
                return false
            }
            front.refuse(ReadIndexFault.overloaded)
        }
        return true
    }

    /// Answers what has waited long enough, each from the revocations and rules as they are now;
    /// returns those of whom only PostgreSQL can tell.
    func pass(
        _ batch: [VerifyFront],
        _ settled: Settled = Settled()
    ) -> [(front: VerifyFront, need: Need)] {
        settled.renewKeys(batch)
        let moment = makeMoment(settled)
        let view = verifier.look { look(at: batch, moment, $0) }
        var open: [(front: VerifyFront, need: Need)] = []
        var retaken: [VerifyFront] = []
        for (front, finding) in zip(batch, view.findings) {
            switch pass(front, finding, moment, view) {
            case .over: break
            case .open(let need): open.append((front, need))
            case .retaken: retaken.append(front)
            }
        }
        counter.increment(by: batch.count - open.count - retaken.count)
        for front in retaken { front.retake() }
        return open
    }

    /// What all that is answered at one time is judged by.
    private struct Moment {
        let settled: Settled
        let standing: Verifier.Standing
        let time: AnswerTime
        let rules: (table: RouteTable, holds: Int)?
        let known: (snapshot: RoleSnapshot, generation: Int, holds: Int)
    }

    /// What the revocations say to a batch, all at once.
    private struct View {
        let findings: [Verifier.Finding]
        /// How much the set knew.
        let changes: Int
        /// Whether there is news of roles, or of rules, that those which are used lack.
        let isBehind: Bool
    }

    private func makeMoment(_ settled: Settled) -> Moment {
        let (rules, known) = (routes?.current, roleKeeper.current)
        // The time last: a later one only refuses more.
        let standing = verifier.standing
        return Moment(
            settled: settled,
            standing: standing,
            time: makeTime(standing.wallTime),
            rules: rules,
            known: known
        )
    }

    private func look(
        at batch: [VerifyFront],
        _ moment: borrowing Moment,
        _ set: borrowing RevocationSet
    ) -> View {
        var findings: [Verifier.Finding] = []
        findings.reserveCapacity(batch.count)
        for front in batch {
            guard case .token(let token)? = front.question?.credential else {
                findings.append(.flawed(.missing))
                continue
            }
            let sessions = moment.settled.sessions
            findings.append(verifier.find(token.claims, moment.standing, set, sessions))
        }
        return View(
            findings: findings,
            changes: set.changes,
            isBehind: moment.known.holds < set.roleChanges
                || moment.rules.map { $0.holds < set.routeChanges } ?? false
        )
    }

    private enum Outcome {
        case over
        case open(Need)
        /// A rule has come in the meantime that asks for a credential.
        case retaken
    }

    private func pass(
        _ front: VerifyFront,
        _ finding: Verifier.Finding,
        _ moment: borrowing Moment,
        _ view: borrowing View
    ) -> Outcome {
        // Whoever went away meanwhile has no question any more.
        guard let question = front.question else { return .over }
        var requirements = question.requirements
        if let table = moment.rules?.table, let route = question.route {
            guard let match = table.match(route) else {
                front.refuse(RouteRefused())
                return .over
            }
            let wanted = (requirements ?? Requirements()).adding(match)
            if match.rule.definition.access == .everybody, !wanted.needsCredential {
                front.pass(makeAnswer(publicAnswer(front), moment.time, closes: front.closes))
                return .over
            }
            requirements = wanted.needsCredential ? wanted : nil
        }
        switch (question.credential, finding) {
        case (.unread, _): return .retaken
        case (.flawed(let flaw), _): front.refuse(flaw.gatewayRefusal)
        case (.token(let token), .flawed(let flaw)):
            guard let key = token.key else {
                front.refuse(flaw)
                return .over
            }
            switch moment.settled.keys[key] {
            case nil: return .open(.key(key))
            case .success(let answer)?: front.refuse(answer.flaw ?? flaw)
            case .failure(let fault)?: front.refuse(fault)
            }
        case (.token, .open(let asked)): return .open(.session(asked))
        case (.token(let token), .good(let version)):
            if view.isBehind { return .open(.news) }
            let place = Place(
                version: version,
                standing: moment.standing,
                known: moment.known,
                changes: view.changes
            )
            let settled = moment.settled
            if let need = pass(front, token, requirements, moment.time, place, settled) {
                return .open(need)
            }
            if let sample = question.sample {
                verifier.accepted(sample, token.claims, rightsVersion: version)
            }
        }
        return .over
    }

    /// What a good token is judged by.
    struct Place {
        let version: Int64
        let standing: Verifier.Standing
        let known: (snapshot: RoleSnapshot, generation: Int, holds: Int)
        /// How much the revocations knew that said so.
        let changes: Int
    }

    /// Answers somebody whose token is good; what PostgreSQL must be asked first, if anything.
    private func pass(
        _ front: VerifyFront,
        _ token: CheckedToken,
        _ requirements: Requirements?,
        _ time: AnswerTime,
        _ place: Place,
        _ settled: Settled
    ) -> Need? {
        if let organisation = front.question?.organisation {
            return pass(front, token, in: organisation, requirements, time, place, settled)
        }
        let (roles, generation, _) = place.known
        if let need = settled.need(of: token, place, services) { return need }
        if token.rolesGeneration != generation {
            render(token, roles, generation, front.dispatcher)
        }
        var held = token.held
        if let resource = requirements?.resource {
            let rights: AccountRights
            switch settled.rights(of: token, place, services) {
            case .success(let found): rights = found
            case .failure(let need): return need
            }
            held = rights.roles(in: nil, on: resource)
            if let need = settled.need(ofRoles: held, roles) { return need }
        }
        if token.isDoubtful || roles.doubts(held) {
            front.refuse(RoleDoubt())
            return nil
        }
        if let requirements {
            let limit = token.claims.narrowedTo
            let holding = Holding(roles: held, snapshot: roles, narrowedTo: limit)
            let isElsewhere = requirements.resource != nil
            guard
                requirements.hold(
                    for: token.claims,
                    holding,
                    named: isElsewhere ? holding.names : token.roleNames
                )
            else {
                front.refuse(GateRefusal.permissionDenied)
                return nil
            }
        }
        if token.key != nil { verifier.noteUse(of: token.claims, at: place.standing.wallTime) }
        front.pass(makeAnswer(token.answer, time, closes: front.closes))
        return nil
    }

    /// The answer for whoever passes as nobody; rendered once.
    private func publicAnswer(_ front: VerifyFront) -> PassTemplate {
        if let publicAnswer { return publicAnswer }
        var reply = services.publicReply(ageInMilliseconds: 0)
        let id = RequestID(high: 0, low: 0)
        front.dispatcher.finish(&reply, id: id, now: Timestamp(seconds: 0))
        let template = PassTemplate(reply)
        publicAnswer = template
        return template
    }

    private func makeTime(_ now: Timestamp) -> AnswerTime {
        if now.seconds != second {
            second = now.seconds
            date = Array(now.httpDate.utf8)
        }
        let age = verifier.ageInMilliseconds
        if age != millisecond {
            millisecond = age
            ageText = Array(String(age).utf8)
        }
        return AnswerTime(now: now, date: date, age: ageText)
    }

    func makeAnswer(
        _ template: PassTemplate,
        _ time: AnswerTime,
        closes: Bool
    ) -> ByteBuffer {
        // Written in place where the last answer has left for the kernel already.
        scratch.clear(minimumCapacity: 1024)
        template.write(time, ids.next(time.now), closes: closes, to: &scratch)
        return scratch
    }
}

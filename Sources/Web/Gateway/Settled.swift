// What the fast path of `/verify` has to ask PostgreSQL before it can answer: whether a session
// lives whose end the log does not name (H25), what an account holds whose rights have changed
// (H28), what a role permits that this node has not met (H27). Asked once for a whole batch.
internal import Access
internal import Primitives
internal import Revocation
internal import Sessions
internal import Tokens

/// Something that must be read before an answer.
enum Need: Error {
    case session(OpenQuestion)
    case rights(RightsQuestion)
    case roles([RoleID])
    /// The log has told of more while the answer was put together.
    case news
    /// An API key whose claims the log refuses.
    case key([UInt8])
}

/// What PostgreSQL has told about a batch, after its requests came.
struct Settled {
    private(set) var sessions: Resolution = [:]
    private var rights: [AccountID: AccountRights] = [:]
    /// Roles that were looked for; what is not there grants nothing.
    private var roles: Set<RoleID> = []
    /// API keys that were read anew; a fault is that of the one key.
    private(set) var keys: [[UInt8]: Result<KeyAnswer, any Error>] = [:]
    private static let keysAtOnce = 32

    /// Asks what is needed.
    mutating func learn(_ needs: [Need], _ services: WebServices) async throws {
        var sessions: [OpenQuestion] = []
        var rights: [RightsQuestion] = []
        var roles: Set<RoleID> = []
        var keys: Set<[UInt8]> = []
        var isBehind = false
        for need in needs {
            switch need {
            case .session(let question): sessions.append(question)
            case .rights(let question): rights.append(question)
            case .roles(let ids): roles.formUnion(ids)
            case .news: isBehind = true
            case .key(let text): if self.keys[text] == nil { keys.insert(text) }
            }
        }
        await reread(Array(keys), services)
        if !sessions.isEmpty {
            self.sessions.merge(try await services.verifier.resolve(sessions)) { $1 }
        }
        if !rights.isEmpty {
            self.rights.merge(try await services.rights.read(rights)) { $1 }
        }
        if !roles.isEmpty {
            try await services.roles.learn(Array(roles))
            self.roles.formUnion(roles)
        }
        guard isBehind else { return }
        if services.verify.judgesRoutes {
            try await services.verifier.confirm(services.routes)
        } else {
            try await services.verifier.confirm()
        }
    }

    /// Reads keys anew, some at a time: they share the readings of the log that follow.
    ///
    /// Each is asked for by itself, and what fails for one is no news of the others.
    private mutating func reread(_ texts: [[UInt8]], _ services: WebServices) async {
        for start in stride(from: 0, to: texts.count, by: Self.keysAtOnce) {
            let part = texts[start..<min(start + Self.keysAtOnce, texts.count)]
            await withTaskGroup(of: ([UInt8], Result<KeyAnswer, any Error>).self) { group in
                for text in part {
                    group.addTask {
                        do {
                            return (text, .success(try await services.verifier.reread(text)))
                        } catch {
                            return (text, .failure(error))
                        }
                    }
                }
                for await (text, answer) in group { keys[text] = answer }
            }
        }
    }

    /// Gives API keys the claims that were read anew for them, where they open anything still.
    func renewKeys(_ batch: [VerifyFront]) {
        guard !keys.isEmpty else { return }
        for front in batch {
            guard case .token(let token)? = front.question?.credential, let key = token.key,
                let answer = keys[key]
            else { continue }
            switch answer {
            case .success(.success(let claims)): token.renew(claims)
            case .success(.failure): token.die()
            // Neither good nor bad.
            case .failure: break
            }
        }
    }

    /// What is needed to answer for `token`; nil for nothing, and then it knows what it holds.
    func need(
        of token: CheckedToken,
        _ place: VerifyDesk.Place,
        _ services: WebServices
    ) -> Need? {
        if !token.knowsRights(place.version, at: place.standing.now) {
            switch rights(of: token, place, services) {
            case .success(let found): token.take(found)
            case .failure(let need): return need
            }
        }
        let (snapshot, generation, _) = place.known
        return token.rolesGeneration == generation ? nil : need(ofRoles: token.held, snapshot)
    }

    /// What is needed to know what `ids` permit; nil for nothing.
    func need(ofRoles ids: [RoleID], _ snapshot: RoleSnapshot) -> Need? {
        let missing = ids.filter { snapshot.roles[$0] == nil && !roles.contains($0) }
        return missing.isEmpty ? nil : .roles(missing)
    }

    /// What the account of a token holds, or what is needed to know it.
    ///
    /// It is true of the moment of the look at the revocations that found the token good: where
    /// they have grown since, they are looked at again.
    func rights(
        of token: CheckedToken,
        _ place: VerifyDesk.Place,
        _ services: WebServices
    ) -> Result<AccountRights, Need> {
        let question = RightsQuestion(token.claims.accountID, version: place.version)
        let told = rights[question.account].flatMap { $0.version >= question.version ? $0 : nil }
        let known = services.rights.known(question, at: place.standing.now)
        let (isToldStill, changes) = services.verifier.look { set in
            (told?.isCurrent(in: set) ?? false, set.changes)
        }
        guard let found = known ?? (isToldStill ? told : nil) else {
            return .failure(.rights(question))
        }
        let living = found.living(at: place.standing.now)
        return changes == place.changes ? .success(living) : .failure(.news)
    }
}

// What the fast path of `/verify` has to ask PostgreSQL before it can answer: whether a session
// lives whose end the log does not name (H25), what an account holds whose rights have changed
// (H28), what a role permits that this node has not met (H27). Asked once for a whole batch.
internal import Access
internal import Primitives
internal import Sessions
internal import Tokens

/// Something that only PostgreSQL can tell.
enum Need {
    case session(OpenQuestion)
    case rights(RightsQuestion)
    case roles([RoleID])
    /// An API key whose claims the log refuses.
    case key([UInt8])
}

/// What PostgreSQL has told about a batch, after its requests came.
struct Settled {
    private(set) var sessions: Resolution = [:]
    private var rights: [AccountID: AccountRights] = [:]
    /// Roles that were looked for; what is not there grants nothing.
    private var roles: Set<RoleID> = []
    /// API keys that were read anew.
    private(set) var keys: [[UInt8]: KeyAnswer] = [:]

    /// Asks what is needed.
    mutating func learn(_ needs: [Need], _ services: WebServices) async throws {
        var sessions: [OpenQuestion] = []
        var rights: [RightsQuestion] = []
        var roles: Set<RoleID> = []
        for need in needs {
            switch need {
            case .session(let question): sessions.append(question)
            case .rights(let question): rights.append(question)
            case .roles(let ids): roles.formUnion(ids)
            case .key(let text):
                if keys[text] == nil { keys[text] = try await services.verifier.reread(text) }
            }
        }
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
    }

    /// Gives API keys the claims that were read anew for them.
    func renewKeys(_ batch: [VerifyFront]) {
        guard !keys.isEmpty else { return }
        for front in batch {
            guard case .token(let token)? = front.question?.credential, let key = token.key,
                case .success(let claims)? = keys[key]
            else { continue }
            token.renew(claims)
        }
    }

    /// What is needed to answer for `token`; nil for nothing, and then it knows what it holds.
    func need(
        of token: CheckedToken,
        _ version: Int64,
        _ snapshot: RoleSnapshot,
        _ generation: Int,
        _ services: WebServices,
        _ standing: Verifier.Standing
    ) -> Need? {
        if !token.knowsRights(version, at: standing.now) {
            let question = RightsQuestion(token.claims.accountID, version: version)
            guard let found = rights(question, services, standing) else {
                return .rights(question)
            }
            token.take(found)
        }
        return token.rolesGeneration == generation ? nil : need(ofRoles: token.held, snapshot)
    }

    /// What is needed to know what `ids` permit; nil for nothing.
    func need(ofRoles ids: [RoleID], _ snapshot: RoleSnapshot) -> Need? {
        let missing = ids.filter { snapshot.roles[$0] == nil && !roles.contains($0) }
        return missing.isEmpty ? nil : .roles(missing)
    }

    /// What an account holds, as far as that is known.
    func rights(
        _ question: RightsQuestion,
        _ services: WebServices,
        _ standing: Verifier.Standing
    ) -> AccountRights? {
        let told = rights[question.account].flatMap { $0.version >= question.version ? $0 : nil }
        return told ?? services.rights.known(question, at: standing.now)
    }
}

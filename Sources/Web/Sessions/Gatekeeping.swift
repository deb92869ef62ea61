// What stands at every gate: the credential is read, judged against the revocation log, and, when
// it is a cookie on a call that may change something, paired with its CSRF value (row 145). Where
// much is at stake, the caller must have signed in lately as well (row 178). Where administration
// is bound to networks, the call must come from one of them, which is looked at first (row 176);
// where the site wants it, it is for sessions that a second factor has opened (rows 47, 176).
import Access
package import HTTPTypes
package import Primitives
import Sessions
import Tokens

/// Refusals of a gate.
package enum GateRefusal: Refusal, Equatable {
    /// The CSRF value is missing or belongs to another session.
    case csrfFailed
    /// The roles do not permit it.
    case permissionDenied
    /// Administration is not answered where the call comes from.
    case networkNotAllowed
    /// Administration is for sessions that a second factor has opened.
    case secondFactorRequired
    /// The caller has not proved who he is within this time.
    case proofTooOld(limit: Duration)

    package var code: ProblemCode {
        switch self {
        case .csrfFailed: .csrfFailed
        case .permissionDenied: .permissionDenied
        case .networkNotAllowed: .networkNotAllowed
        case .secondFactorRequired: .secondFactorRequired
        case .proofTooOld: .recentSignInRequired
        }
    }
    package var detail: String? {
        switch self {
        // Not the address: it may be that of a proxy inside.
        case .csrfFailed, .permissionDenied, .networkNotAllowed: nil
        case .secondFactorRequired:
            "Administration is for sessions that a second factor has opened."
        case .proofTooOld(let limit):
            "This needs a sign-in within the last \(limit.wholeSeconds) seconds."
        }
    }
}

extension WebServices {
    /// The gatekeeper of every catalogue.
    package var gatekeeper: Gatekeeper {
        { gate, proof, context in
            // First: from elsewhere nobody finds out what a token is good for.
            try networks.check(gate, from: context.clientAddress)
            let caller = try await pass(gate, context)
            // Last: who may not do it at all is not asked to sign in for it.
            if let caller {
                try checkSecondFactor(at: gate, of: caller)
                try check(proof, at: gate, of: caller)
            }
            return caller
        }
    }

    /// A machine has none to show: what a key may do is bound by what it is narrowed to, and by
    /// who may make one (decision 21).
    ///
    /// - Throws: `GateRefusal.secondFactorRequired`.
    private func checkSecondFactor(at gate: Gate, of caller: Caller) throws(GateRefusal) {
        guard administrationWantsSecondFactor, gate.isAdministration else { return }
        guard caller.claims.hasSecondFactor || caller.claims.isKey else {
            throw .secondFactorRequired
        }
    }

    /// - Throws: `GateRefusal.proofTooOld`.
    private func check(
        _ proof: Proof,
        at gate: Gate,
        of caller: Caller
    ) throws(GateRefusal) {
        switch proof {
        case .none: return
        case .recent:
            let rule = gate.isAdministration ? recentProof : .ofOneself
            guard let limit = rule.limit else { return }
            let now = verifier.standing.now
            guard rule.isGiven(by: caller.claims, at: now) else {
                throw .proofTooOld(limit: limit)
            }
        }
    }

    private func pass(_ gate: Gate, _ context: RequestContext) async throws -> Caller? {
        switch gate {
        case .anyone, .listener, .refreshCredential: return nil
        case .credential:
            let caller = try await sessionHolder(context, acceptsRevoked: false)
            try Self.checkOwner(caller, context)
            return caller
        case .endedCredential: return try await sessionHolder(context, acceptsRevoked: true)
        case .principal: return try await caller(context, acceptsRevoked: false)
        case .permission(let permission):
            let caller = try await administrator(context)
            guard try await hold(caller.claims).permits(permission.rawValue) else {
                throw GateRefusal.permissionDenied
            }
            return Caller(claims: caller.claims, source: caller.source, permission: permission)
        case .delegated(let permission):
            let caller = try await administrator(context)
            let organisation = try OrganisationChoice.read(context.headers, caller.claims)
            // Who may everywhere may in each that is there, as a member or not.
            let isEverywhere = try await hold(caller.claims).permits(permission.rawValue)
            if isEverywhere {
                if let organisation { try await checkPresence(of: organisation) }
            } else {
                guard let organisation,
                    try await hold(caller.claims, in: organisation).permits(permission.rawValue)
                else { throw GateRefusal.permissionDenied }
            }
            let realm = organisation.map(Realm.organisation) ?? .everywhere
            return Caller(
                claims: caller.claims,
                source: caller.source,
                realm: realm,
                permission: permission,
                delegatedBy: isEverywhere ? nil : organisation
            )
        }
    }

    /// One that was removed is nobody's, also while its members are being swept away.
    private func checkPresence(of organisation: OrganisationID) async throws {
        do {
            _ = try await administration.organisations.find(organisation, within: .everywhere)
        } catch OrganisationRefusal.notFound {
            throw GateRefusal.permissionDenied
        }
    }

    /// Somebody who administers; nobody changes anything so in another's name, who may have been
    /// given more since (row 177).
    private func administrator(_ context: RequestContext) async throws -> Caller {
        let caller = try await caller(context, acceptsRevoked: false)
        try Self.checkOwner(caller, context)
        return caller
    }

    /// Whoever acts as somebody else looks at what is his and changes nothing of it (row 177).
    ///
    /// No session, no credential, nothing that would outlast the quarter of an hour; and a new
    /// operation is refused to him until somebody has thought of it.
    private static func checkOwner(
        _ caller: Caller,
        _ context: RequestContext
    ) throws(GateRefusal) {
        guard caller.claims.actor == nil || context.isSafe else { throw .permissionDenied }
    }

    /// Somebody with a session; what is behind these gates is about one, or about the person who
    /// began it, and an API key is neither.
    private func sessionHolder(
        _ context: RequestContext,
        acceptsRevoked: Bool
    ) async throws -> Caller {
        let caller = try await caller(context, acceptsRevoked: acceptsRevoked)
        guard !caller.claims.isKey else { throw GateRefusal.permissionDenied }
        return caller
    }

    private func caller(
        _ context: RequestContext,
        acceptsRevoked: Bool
    ) async throws -> Caller {
        let credential = try Credential(context.headers, cookies)
        let claims: AccessClaims
        switch try await verifier.judge(credential.token, from: payer(context)) {
        case .accepted(let found): claims = found
        case .refused(.revoked, let found?) where acceptsRevoked: claims = found
        case .refused(let flaw, _): throw flaw
        }
        if credential.source == .cookie, !context.isSafe {
            try checkCSRF(context.headers, claims.sessionID)
        }
        return Caller(claims: claims, source: credential.source)
    }

    /// - Throws: `GateRefusal.csrfFailed` unless exactly one header holds the session's value.
    package func checkCSRF(_ headers: HTTPFields, _ session: SessionID) throws(GateRefusal) {
        let values = headers[values: .csrfToken]
        guard values.count == 1, CSRFValue.isValid(values[0], for: session, ring: keys.ring) else {
            throw .csrfFailed
        }
    }
}

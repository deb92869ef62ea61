// What a caller may do in the place that a request is about: everywhere, in the organisation that
// the token or the `X-Org` header names, on a resource. The roles that a token carries are held
// everywhere; whatever else counts is resolved by the node (revocation.md H28).
import Access
import HTTPTypes
import Primitives
import Revocation
import Sessions
import Tokens

/// The roles that count for a request, with what they permit.
struct Holding {
    let roles: [RoleID]
    /// Those of them that count wherever the request goes; nil for all.
    var general: [RoleID]?
    let snapshot: RoleSnapshot
    /// What an API key is narrowed to; nil for all that its account may.
    let narrowedTo: [String]?
    /// The generation of the organisation that it is about; nil where it is about none.
    var generation: Int64?

    /// Whether `permission` is held.
    func permits(_ permission: String) -> Bool {
        Self.isWithin(narrowedTo, permission) && snapshot.permits(permission, roles)
    }

    /// The names of the roles; none for a key that is narrowed, which does not have all of them.
    var names: [String] { narrowedTo == nil ? snapshot.names(of: roles) : [] }

    /// The same with the roles alone that count wherever the request goes.
    var everywhere: Holding {
        general.map { Holding(roles: $0, snapshot: snapshot, narrowedTo: narrowedTo) } ?? self
    }

    /// What is permitted, as it is written, sorted; of a narrowed key what it shows as scopes.
    var permissions: [String] { narrowed?.sorted() ?? snapshot.permissions(of: roles) }

    /// The scopes of a credential; a narrowed key has none but what is left of its limit.
    func scopes(of claims: AccessClaims) -> [String] {
        narrowed ?? claims.scope.split(separator: " ").map(String.init)
    }

    /// As much of what a key is narrowed to as the roles permit now; nil where nothing narrows.
    ///
    /// What the account has lost no application is told (W11).
    private var narrowed: [String]? {
        guard let limit = narrowedTo else { return nil }
        let whole = limit.filter { snapshot.permits($0, roles) }
        let open = limit.filter { $0.hasSuffix(":*") && !whole.contains($0) }
        guard !open.isEmpty else { return whole }
        // All of a namespace is asked for, and less than that is held.
        return whole
            + snapshot.permissions(of: roles).filter {
                Self.isWithin(open, $0) && !whole.contains($0)
            }
    }

    /// Whether a narrowed key may be used for `permission`.
    static func isWithin(_ limit: [String]?, _ permission: String) -> Bool {
        guard let limit else { return true }
        if limit.contains(permission) || limit.contains("*:*") { return true }
        guard let colon = permission.firstIndex(of: ":") else { return false }
        return limit.contains(permission[...colon] + "*")
    }
}

/// The organisation that a request is about.
enum OrganisationChoice {
    /// What is told to who is no member.
    static let notMember = WebRefusal(.permissionDenied, "The account is no member of X-Org.")

    /// Reads it from the token and from the header.
    ///
    /// - Throws: `permission-denied` for two headers, for what is no id, and where both name one
    ///   and not the same.
    static func read(
        _ headers: HTTPFields,
        _ claims: AccessClaims
    ) throws(WebRefusal) -> OrganisationID? {
        let values = headers[values: .organisation]
        guard let value = values.first else { return claims.organisationID }
        guard values.count == 1, let named = OrganisationID(value) else {
            throw WebRefusal(.permissionDenied, "X-Org names one organisation by its id.")
        }
        guard claims.organisationID == nil || claims.organisationID == named else {
            throw WebRefusal(.permissionDenied, "The session is for another organisation.")
        }
        return named
    }
}

extension WebServices {
    /// What the holder of a token may do, all of it true of one moment (decision 17).
    ///
    /// In memory where the token carries all that counts or the account is known; else a statement.
    ///
    /// - Parameter rules: how many of the news of route rules the caller has taken in; nil for none
    ///   that matter.
    /// - Throws: `permission-denied` for an organisation that the account is no member of;
    ///   `OtherRules` where there are more news of rules.
    func hold(
        _ claims: AccessClaims,
        in organisation: OrganisationID? = nil,
        on resource: String? = nil,
        by rules: Int? = nil
    ) async throws -> Holding {
        var sessions: Resolution = [:]
        for _ in 0..<Verifier.turns {
            let version = verifier.rightsVersion(of: claims)
            let asked = verifier.standing.now
            var rights: AccountRights?
            var held = claims.roles ?? []
            let isCarried = claims.carriesRights(of: version, at: asked)
            if !isCarried || organisation != nil || resource != nil {
                let found = try await self.rights.rights(
                    of: RightsQuestion(claims.accountID, version: version),
                    at: asked
                )
                held = found.roles(in: organisation, on: resource)
                rights = found
            }
            let acting = try await verifier.held(by: claims.actor, at: asked)
            try await roles.learn(held + (acting?.held.map(\.role) ?? []))
            let (snapshot, _, holds) = roles.current
            // Something may have ended while it was waited for.
            let now = verifier.standing.now
            if isCarried, !claims.carriesRights(of: version, at: now) { continue }
            if let living = rights?.living(at: now) {
                held = living.roles(in: organisation, on: resource)
                rights = living
            }
            let parts = Verifier.Parts(
                version: version,
                held: rights,
                roles: holds,
                rules: rules,
                sessions: sessions
            )
            switch verifier.coherence(claims, parts, at: now) {
            case .oneMoment: break
            case .ended(let flaw):
                // A key outlives its claims: the next request has them read anew.
                if claims.isKey { throw ReadIndexFault.unconfirmed }
                throw flaw
            case .otherRules: throw OtherRules()
            case .open(let question):
                sessions = try await verifier.resolve([question])
                continue
            case .changed:
                try await verifier.confirm()
                continue
            }
            if let organisation, rights?.organisations.contains(organisation) != true {
                throw OrganisationChoice.notMember
            }
            guard !snapshot.doubts(held) else { throw RoleDoubt() }
            if let actor = acting?.living(at: now) {
                try checkActing(actor, actor.roles(in: organisation, on: resource), held, snapshot)
            }
            return Holding(
                roles: held,
                general: resource == nil ? nil : rights?.roles(in: organisation, on: nil),
                snapshot: snapshot,
                narrowedTo: claims.narrowedTo,
                generation: organisation.flatMap { rights?.memberships[$0]?.generation }
            )
        }
        throw ReadIndexFault.unconfirmed
    }

    /// Refuses whoever acts unless he still may, and holds all that the account holds (row 177).
    ///
    /// - Parameters:
    ///   - own: what he holds where the request goes; what he may act by he holds everywhere.
    ///   - held: what the account holds there.
    private func checkActing(
        _ actor: AccountRights,
        _ own: [RoleID],
        _ held: [RoleID],
        _ snapshot: RoleSnapshot
    ) throws {
        guard !snapshot.doubts(own) else { throw RoleDoubt() }
        guard verifier.mayAct(by: actor.unscoped, snapshot), snapshot.isWithin(held, own) else {
            throw CredentialFlaw.revoked
        }
    }
}

/// There are other route rules than those that a request was judged by.
struct OtherRules: Error {}

extension HTTPField.Name {
    static let organisation = known("X-Org")
}

// `/verify`: the question a gateway asks for each request it is about to pass on. It answers 200,
// 401, 403 or 503 and nothing else; it never reads identity from the request's headers, and every
// 200 carries every identity header, so that a forged one is always overwritten (row 234).
import Access
import HTTPTypes
import Primitives
import Revocation
import Sessions
import Tokens

/// How fresh the answers of a listener are (revocation.md 1.7).
package enum VerifyMode: Sendable {
    /// Newer than the question: every answer is covered by a read of its own time (W1).
    case linear
    /// From memory, while the last read of the log was begun less than this ago.
    case bounded(Duration)

    /// What `Watchword-Mode` says.
    var name: String {
        switch self {
        case .linear: "linear"
        case .bounded: "bounded"
        }
    }

    /// How old a read may be for a caller who asks for `maximumAge`, which only ever tightens; nil
    /// for not at all.
    func staleness(_ maximumAge: Duration?) -> Duration? {
        switch self {
        case .linear: nil
        case .bounded(let limit): min(limit, maximumAge ?? limit)
        }
    }
}

/// How a listener answers `/verify`.
package struct VerifySettings: Sendable {
    /// Where the original request is read from.
    package var source: OriginalRequestSource
    /// Whether every peer is a gateway: in development, where only this machine can connect.
    package var believesEveryPeer: Bool
    /// Whether `permission=`, `role=` and `scope=` in the query are requirements.
    package var readsRequirements: Bool
    /// Origins that may open a WebSocket with a cookie.
    package var allowedOrigins: Set<String>
    /// How fresh the answers are.
    package var mode: VerifyMode
    /// Whether route rules judge every request.
    package var judgesRoutes: Bool

    /// Settings of a listener.
    package init(
        source: OriginalRequestSource,
        believesEveryPeer: Bool,
        readsRequirements: Bool,
        allowedOrigins: Set<String>,
        mode: VerifyMode,
        judgesRoutes: Bool = false
    ) {
        self.source = source
        self.believesEveryPeer = believesEveryPeer
        self.readsRequirements = readsRequirements
        self.allowedOrigins = allowedOrigins
        self.mode = mode
        self.judgesRoutes = judgesRoutes
    }
}

extension WebServices {
    func verifyRequest(_ context: RequestContext) async throws -> Reply {
        verifyCounters.general.increment()
        if verify.judgesRoutes { return try await verifyRoute(context) }
        let credential = try Credential(context.headers, cookies)
        let original = try OriginalRequest(context, verify)
        let requirements = try Requirements(
            path: context.path,
            query: context.query,
            isRead: verify.readsRequirements
        )
        return try await verifyCaller(context, credential, original, requirements)
    }

    /// What the rules say comes first: whom nobody may pass, and who may pass without a credential,
    /// is told without a look at it.
    private func verifyRoute(_ context: RequestContext) async throws -> Reply {
        let original = try OriginalRequest(context, verify)
        let question = try RouteQuestion(context, verify)
        let requirements = try Requirements(
            path: context.path,
            query: context.query,
            isRead: verify.readsRequirements
        )
        let staleness = verify.mode.staleness(requirements.maximumAge)
        let confirmation = try await verifier.confirmation(routes, staleness: staleness)
        for _ in 0..<Verifier.turns {
            let (table, rules) = routes.current
            guard let match = table.match(question) else { throw RouteRefused() }
            let wanted = requirements.adding(match)
            guard match.rule.definition.access != .everybody || wanted.needsCredential else {
                return publicReply(ageInMilliseconds: verifier.ageInMilliseconds)
            }
            let credential = try Credential(context.headers, cookies)
            do {
                return try await verifyCaller(
                    context,
                    credential,
                    original,
                    wanted,
                    after: confirmation,
                    by: rules
                )
            } catch is OtherRules {
                try await verifier.confirm(routes)
            }
        }
        throw ReadIndexFault.unconfirmed
    }

    private func verifyCaller(
        _ context: RequestContext,
        _ credential: Credential,
        _ original: OriginalRequest,
        _ requirements: Requirements,
        after confirmation: Verifier.Confirmation? = nil,
        by rules: Int? = nil
    ) async throws -> Reply {
        let claims: AccessClaims
        let staleness = verify.mode.staleness(requirements.maximumAge)
        // Before the read, as in `judge`; a draw of its own, for what is held in an organisation.
        let sample = confirmation == nil ? verifier.drawSample(staleness: staleness) : nil
        switch try await verifier.judge(
            credential.token,
            from: payer(context),
            staleness: staleness,
            after: confirmation
        ) {
        case .accepted(let found): claims = found
        case .refused(let flaw, _):
            // A browser need not show again what opens nothing any more (row 244); of what nobody
            // has looked at that is not known.
            guard credential.source == .cookie, !flaw.isUnchecked else {
                throw flaw.gatewayRefusal
            }
            throw CookieRefusal(flaw, cookies: [cookies.clearingAccess])
        }
        if credential.source == .cookie { try checkBrowser(context, original, claims) }
        let organisation = try OrganisationChoice.read(context.headers, claims)
        let holding = try await hold(
            claims,
            in: organisation,
            on: requirements.resource,
            by: rules
        )
        guard requirements.hold(for: claims, holding, named: holding.names) else {
            throw GateRefusal.permissionDenied
        }
        if let sample, let organisation, let generation = holding.generation {
            verifier.accepted(sample, in: organisation, of: generation)
        }
        // The header names what is held wherever the request goes; a resource counts for it alone.
        return passReply(
            claims,
            holding.everywhere,
            organisation,
            ageInMilliseconds: verifier.ageInMilliseconds
        )
    }

    /// What a gateway hears of a request that may pass.
    func passReply(
        _ claims: AccessClaims,
        _ holding: Holding,
        _ organisation: OrganisationID?,
        ageInMilliseconds: Int64
    ) -> Reply {
        Reply(
            200,
            headers: [
                .authUser: claims.accountID.description,
                .authSession: claims.isKey ? "" : claims.sessionID.description,
                .authRoles: holding.names.joined(separator: ","),
                .authScopes: holding.scopes(of: claims).joined(separator: " "),
                .authClient: claims.clientID,
                .authOrganisation: organisation?.description ?? "",
                .mode: verify.mode.name,
                .age: String(ageInMilliseconds),
            ]
        )
    }

    /// What a gateway hears of a request that anybody may make: nobody makes it, whatever it shows,
    /// so that no stale cookie can close a page that is public, nor a good one open more.
    func publicReply(ageInMilliseconds: Int64) -> Reply {
        Reply(
            200,
            headers: [
                .authUser: "", .authSession: "", .authRoles: "", .authScopes: "",
                .authClient: "", .authOrganisation: "", .mode: verify.mode.name,
                .age: String(ageInMilliseconds),
            ]
        )
    }

    /// A browser sends its cookies along whoever wrote the page, so a request that may change
    /// something must show the CSRF value, and a WebSocket must come from an allowed origin.
    private func checkBrowser(
        _ context: RequestContext,
        _ original: OriginalRequest,
        _ claims: AccessClaims
    ) throws {
        if !context.headers[values: .webSocketKey].isEmpty {
            let origins = context.headers[values: .origin]
            guard origins.count == 1, verify.allowedOrigins.contains(origins[0]) else {
                throw WebRefusal(.originRefused)
            }
        } else if !original.isSafe {
            try checkCSRF(context.headers, claims.sessionID)
        }
    }
}

/// What the gateway wants to hold, besides a good token.
///
/// They only ever tighten, and are read on `/verify` itself: behind it the path is the client's.
struct Requirements {
    private var permissions: [String] = []
    private var roles: [String] = []
    private var scopes: [String] = []
    /// `resource`: what the request is about; roles that are held on it count too.
    private(set) var resource: String?
    /// `max_age`: how many milliseconds old the answer may be.
    private(set) var maximumAge: Duration?
    /// Nobody can hold what is wanted (W10).
    private var isImpossible = false

    /// The most requirements of one request.
    static let limit = 20

    /// Nothing.
    init() {}

    init(path: String, query: String?, isRead: Bool) throws(WebRefusal) {
        guard isRead, path == "/verify", let query else { return }
        guard let form = FormText.parse(query) else {
            // What cannot be read might have been a requirement.
            throw WebRefusal(.permissionDenied, "The query is not well-formed.")
        }
        for (name, values) in form {
            switch name {
            case "permission": permissions += values
            case "role": roles += values
            case "scope": scopes += values
            case "resource":
                guard values.count == 1, resource == nil, RoleScope.isResource(values[0]) else {
                    throw WebRefusal(.permissionDenied, "The resource is not one of the form.")
                }
                resource = values[0]
            case "at_least":
                // Any read of the log that begins now has seen every version that was answered.
                guard values.allSatisfy({ (1...19).contains($0.utf8.count) && Int64($0) != nil })
                else { throw WebRefusal(.permissionDenied, "The at_least is no version.") }
                maximumAge = .zero
            case "max_age":
                for value in values {
                    guard (1...9).contains(value.utf8.count), let age = UInt32(value) else {
                        throw WebRefusal(.permissionDenied, "The max_age is no number.")
                    }
                    let limit = Duration.milliseconds(Int64(age))
                    maximumAge = min(maximumAge ?? limit, limit)
                }
            default: continue
            }
        }
        guard permissions.count + roles.count + scopes.count <= Self.limit else {
            throw WebRefusal(.permissionDenied, "There are too many requirements.")
        }
        // A role may hold `orders:*`; what a request needs has a name of its own. Who holds the
        // very text would pass otherwise, and who holds each permission behind it would not.
        guard !permissions.contains(where: { $0.contains("*") }) else {
            throw WebRefusal(.permissionDenied, "A requirement names one permission, without `*`.")
        }
    }

    /// Whether nothing is wanted.
    var isEmpty: Bool { !needsCredential && maximumAge == nil && resource == nil }

    /// Whether something is wanted that only a credential can show.
    var needsCredential: Bool {
        !(permissions.isEmpty && roles.isEmpty && scopes.isEmpty) || isImpossible
    }

    /// All of it, and what a route rule wants as well.
    func adding(_ match: RouteMatch) -> Requirements {
        var all = self
        let rule = match.rule.definition
        all.permissions = permissions.isEmpty ? rule.permissions : permissions + rule.permissions
        all.roles = roles.isEmpty ? rule.roles : roles + rule.roles
        all.scopes = scopes.isEmpty ? rule.scopes : scopes + rule.scopes
        // The rule's alone: one from the query would make more roles count.
        all.resource = match.resource
        all.isImpossible = match.isUnfit
        return all
    }

    /// Whether somebody has it all; the names of his roles are sought where roles are wanted.
    func hold(
        for claims: AccessClaims,
        _ holding: Holding,
        named names: @autoclosure () -> [String]
    ) -> Bool {
        guard !isImpossible else { return false }
        let named = roles.isEmpty ? [] : names()
        let granted = scopes.isEmpty ? [] : holding.scopes(of: claims)
        return roles.allSatisfy(named.contains) && scopes.allSatisfy(granted.contains)
            && permissions.allSatisfy(holding.permits)
    }
}

/// No route rule lets a request pass.
struct RouteRefused: Refusal {
    var code: ProblemCode { .permissionDenied }
    var detail: String? { "No route rule is for this request." }
}

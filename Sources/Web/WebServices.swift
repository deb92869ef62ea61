// What the handlers need, as one value that the composition root fills. Use cases, never stores.
package import Access
package import Accounts
package import Primitives
package import Sessions
package import Tokens

/// The use cases behind the API.
package struct WebServices: Sendable {
    /// Signing up.
    package let register: Register
    /// Reading accounts.
    package let accounts: AccountReader
    /// Signing in.
    package let signIn: SignIn
    /// New pairs for refresh tokens.
    package let refresh: Refresh
    /// Ending sessions.
    package let logOut: LogOut
    /// Choosing the organisation of a session.
    package let sessionOrganisation: SessionOrganisation
    /// Changing the password.
    package let changePassword: ChangePassword
    /// Sessions and sign-ins, page by page.
    package let lists: SessionLists
    /// Judging access tokens.
    package let verifier: Verifier
    /// How lately who calls must have signed in, where much is at stake.
    package let recentProof: RecentProof
    /// Second factors of the callers' own accounts.
    package let secondFactors: SecondFactors
    /// Whether administration is for sessions that a second factor has opened.
    package let administrationWantsSecondFactor: Bool
    /// Where administration is answered.
    package let networks: AdministrationNetworks
    /// What needs a second person.
    package let approvals: Approvals
    /// The key ring.
    package let keys: KeyKeeper
    /// The roles and what they permit.
    package let roles: RoleKeeper
    /// What accounts hold.
    package let rights: RightsResolver
    /// Looking after others' accounts.
    package let administration: AdministrationServices
    /// The rules of gateways, as this node holds them.
    package let routes: RouteKeeper
    /// Reading and changing those rules.
    package let routeRules: RouteRules
    /// How cookies are written and read.
    package let cookies: SessionCookies
    /// How `/verify` reads requests.
    package let verify: VerifySettings
    /// Which way `/verify` was answered.
    package let verifyCounters: VerifyCounters
    /// What came of calls with an idempotency key.
    package let answers: any IdempotentAnswers
    /// Marks the cursors of lists.
    package let marks: any CursorMarks
    /// What administrators look at.
    package let insight: InsightServices

    /// The services of a node.
    package init(
        register: Register,
        accounts: AccountReader,
        signIn: SignIn,
        refresh: Refresh,
        logOut: LogOut,
        sessionOrganisation: SessionOrganisation,
        changePassword: ChangePassword,
        lists: SessionLists,
        verifier: Verifier,
        recentProof: RecentProof,
        secondFactors: SecondFactors,
        administrationWantsSecondFactor: Bool,
        networks: AdministrationNetworks,
        approvals: Approvals,
        keys: KeyKeeper,
        roles: RoleKeeper,
        rights: RightsResolver,
        administration: AdministrationServices,
        routes: RouteKeeper,
        routeRules: RouteRules,
        cookies: SessionCookies,
        verify: VerifySettings,
        verifyCounters: VerifyCounters,
        answers: any IdempotentAnswers,
        marks: any CursorMarks,
        insight: InsightServices
    ) {
        self.register = register
        self.accounts = accounts
        self.signIn = signIn
        self.refresh = refresh
        self.logOut = logOut
        self.sessionOrganisation = sessionOrganisation
        self.changePassword = changePassword
        self.lists = lists
        self.verifier = verifier
        self.recentProof = recentProof
        self.secondFactors = secondFactors
        self.administrationWantsSecondFactor = administrationWantsSecondFactor
        self.networks = networks
        self.approvals = approvals
        self.keys = keys
        self.roles = roles
        self.rights = rights
        self.administration = administration
        self.routes = routes
        self.routeRules = routeRules
        self.cookies = cookies
        self.verify = verify
        self.verifyCounters = verifyCounters
        self.answers = answers
        self.marks = marks
        self.insight = insight
    }

    /// The routes of the public listener.
    package func publicRoutes() -> [Route] {
        var bindings = Bindings(
            PublicAPI.catalogue,
            answers: answers,
            marks: marks,
            approvals: approvals,
            gatekeeper: gatekeeper
        )
        bindAccounts(&bindings)
        bindSecondFactor(&bindings)
        bindSessions(&bindings)
        bindGateway(&bindings)
        bindRoles(&bindings)
        bindUsers(&bindings)
        bindRouteRules(&bindings)
        bindInsight(&bindings)
        bindOrganisations(&bindings)
        bindServices(&bindings)
        bindApprovals(&bindings)
        bindDecisions(&bindings)
        return bindings.finish()
    }
}

/// Everything the public listener answers, in the order of the manual.
package enum PublicAPI {
    /// The catalogue.
    package static let catalogue = Catalogue(
        AccountAPI.operations + SecondFactorAPI.operations + SessionAPI.operations
            + GatewayAPI.operations
            + UserAPI.operations + RoleAPI.operations + RouteRuleAPI.operations
            + InsightServices.operations + OrganisationAPI.operations
            + ServiceAPI.operations + ApprovalAPI.operations + DecisionAPI.operations
    )
}

extension RequestContext {
    /// What journals keep of this request.
    package var trace: RequestTrace {
        RequestTrace(
            requestID: id,
            now: now,
            address: clientAddress.description,
            userAgent: userAgent
        )
    }

    /// The claims of the caller, at a gate that has one.
    package var claims: AccessClaims {
        guard let caller else { preconditionFailure("this gate lets anyone pass") }
        return caller.claims
    }
}

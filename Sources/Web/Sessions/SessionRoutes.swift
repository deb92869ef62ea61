// The handlers of the session operations.
import HTTPTypes
import Primitives
import Sessions
import Tokens

extension WebServices {
    func bindSessions(_ bindings: inout Bindings) {
        bindings.bind(SessionAPI.signIn) { request, context in
            let pair = try await signIn(
                login: request.login,
                password: request.password,
                code: request.code,
                newPassword: request.newPassword,
                transport: request.transport,
                organisation: request.organisation,
                context.trace
            )
            return answer(pair, request.transport)
        }
        bindings.bind(SessionAPI.refresh, refreshSession)
        bindings.bind(SessionAPI.logOut) { _, context in
            try await logOut.thisSession(context.claims, context.trace)
            return .ended(cookies)
        }
        bindings.bind(SessionAPI.logOutEverywhere) { _, context in
            try await logOut.everywhere(context.claims, context.trace)
            return .ended(cookies)
        }
        bindings.bind(SessionAPI.endOthers) { _, context in
            let pair = try await logOut.others(context.claims, context.trace)
            return answer(pair, context.caller?.source == .cookie ? .cookie : .body)
        }
        bindings.bind(SessionAPI.end) { _, context in
            let session: SessionID = try context.id("id")
            try await logOut.session(session, context.claims, context.trace)
            return session == context.claims.sessionID ? .ended(cookies) : .done
        }
        bindings.bind(SessionAPI.chooseOrganisation) { request, context in
            try await sessionOrganisation(request.organisation, context.claims, context.trace)
            return .done
        }
        bindings.bind(SessionAPI.list) { query, context in
            let claims = context.claims
            let page = try await lists.sessions(
                of: claims.accountID,
                query.page,
                now: context.now
            )
            let items = page.items.map {
                SessionReply(view: $0, isCurrent: $0.id == claims.sessionID)
            }
            return Answer(SessionPageReply(page: Page(items, nextCursor: page.nextCursor)))
        }
        bindings.bind(SessionAPI.history) { query, context in
            let page = try await lists.history(of: context.claims.accountID, query.page)
            let items = page.items.map { LoginReply(view: $0) }
            return Answer(LoginPageReply(page: Page(items, nextCursor: page.nextCursor)))
        }
    }

    /// Tokens go where they came from: to the body, or to cookies.
    func answer(_ pair: TokenPair, _ transport: Transport) -> Answer<TokenReply> {
        Answer(
            TokenReply(pair: pair, transport: transport),
            cookies: transport == .cookie ? cookies.setting(pair) : []
        )
    }

    /// A token in the body counts alone; else the cookie's, which needs its session's CSRF value
    /// (row 124).
    ///
    /// A refused cookie is taken away, so that the browser stops sending it.
    private func refreshSession(
        _ request: RefreshRequest,
        _ context: RequestContext
    ) async throws -> Answer<TokenReply> {
        if let token = request.refreshToken {
            return answer(try await refresh(token, context.trace), .body)
        }
        let values = context.cookies.values(cookies.refreshName)
        guard let value = values.first else { throw CredentialFlaw.missing }
        guard values.count == 1, let token = try RefreshToken(value, ring: keys.ring)
        else {
            throw CookieRefusal(RefreshRefusal.invalid, cookies: cookies.clearing)
        }
        try checkCSRF(context.headers, token.sessionID)
        do {
            return answer(try await refresh(Secret(value), context.trace), .cookie)
        } catch let refusal as RefreshRefusal {
            throw CookieRefusal(refusal, cookies: cookies.clearing)
        }
    }
}

extension Answer where Output == NoReply {
    /// The session is over: its cookies go, and what the browser cached with them (row 103).
    static func ended(_ cookies: SessionCookies) -> Self {
        Answer(
            NoReply(),
            cookies: cookies.clearing,
            headers: [.known("Clear-Site-Data"): "\"cache\""]
        )
    }
}

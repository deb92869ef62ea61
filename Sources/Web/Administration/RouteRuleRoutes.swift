// The handlers of the operations on route rules.
import Access
import HTTPTypes
import Primitives
import Tokens

extension WebServices {
    func bindRouteRules(_ bindings: inout Bindings) {
        bindings.bind(RouteRuleAPI.list) { query, _ in try await listRoutes(query.page) }
        bindings.bind(RouteRuleAPI.get) { _, context in
            try Self.reply(try context.id("id"), of: try await routeRules.table())
        }
        bindings.bind(RouteRuleAPI.insert) { request, context in
            let (id, table) = try await routeRules.insert(
                request.definition,
                at: request.position,
                by: context.routeEditor(.any)
            )
            return try Self.reply(id, of: table)
                .with(location: RouteRuleAPI.get.info, id.description)
        }
        bindings.bind(RouteRuleAPI.replace) { request, context in
            let table = try await routeRules.replace(
                with: request.definitions,
                by: context.routeEditor(context.expectedVersion)
            )
            let shadows = table.shadows()
            let rules = table.rules.indices.map { RouteRuleReply($0, of: table, shadows) }
            return Answer(RouteRuleSetReply(rules: rules, version: table.version))
                .with(version: table.version)
        }
        bindings.bind(RouteRuleAPI.update) { patch, context in
            let id: RouteRuleID = try context.id("id")
            let table = try await routeRules.update(
                id,
                to: patch.position,
                by: context.routeEditor(context.expectedVersion)
            ) { patch.apply(to: &$0) }
            return try Self.reply(id, of: table)
        }
        bindings.bind(RouteRuleAPI.delete) { _, context in
            try await routeRules.delete(
                try context.id("id"),
                by: context.routeEditor(context.expectedVersion)
            )
            return .done
        }
        bindings.bind(RouteRuleAPI.explain) { request, context in
            Answer(try await explainRoute(request, context))
        }
    }

    private static func reply(
        _ id: RouteRuleID,
        of table: RouteTable
    ) throws -> Answer<RouteRuleReply> {
        guard let index = table.rules.firstIndex(where: { $0.id == id }) else {
            throw RouteRefusal.notThere
        }
        return Answer(RouteRuleReply(index, of: table, table.shadows()))
            .with(version: table.version)
    }

    private func listRoutes(_ page: PageRequest) async throws -> Answer<RouteRulePageReply> {
        let table = try await routeRules.table()
        var start = 0
        if let cursor = page.cursor {
            guard let last = table.rules.firstIndex(where: { $0.id.bytes == cursor.bytes }) else {
                throw RouteRefusal.invalid([
                    MemberError("cursor", "invalid-cursor", "is the place of a rule that is gone")
                ])
            }
            start = last + 1
        }
        let end = min(start + page.limit, table.rules.count)
        let shadows = table.shadows()
        let items = (start..<end).map { RouteRuleReply($0, of: table, shadows) }
        let next = end < table.rules.count ? Cursor(table.rules[end - 1].id.bytes) : nil
        let found = Page(items, nextCursor: next)
        return Answer(RouteRulePageReply(page: found, version: table.version))
            .with(version: table.version)
    }

    /// What would become of a request, by the rules as they are in the database.
    private func explainRoute(
        _ request: ExplainRouteRequest,
        _ context: RequestContext
    ) async throws -> RouteExplanationReply {
        if let account = request.account, account != context.claims.accountID {
            let holding = try await hold(context.claims)
            guard holding.permits(AdminPermission.accessCheck.rawValue) else {
                throw GateRefusal.permissionDenied
            }
        }
        guard let question = RouteQuestion(request) else {
            return RouteExplanationReply(verdict: .refused, isAmbiguous: true)
        }
        let table = try await routeRules.table()
        let match = table.match(question)
        let index = match.map { $0.rule.position - 1 }
        var answer = RouteExplanationReply(verdict: .refused)
        answer.earlier = table.rules.indices.prefix(index ?? table.rules.count).compactMap {
            index in
            table.mismatch(index, question).map {
                PassedOverReply(rule: table.rules[index], reason: $0)
            }
        }
        guard let match, let index else { return answer }
        answer.rule = RouteRuleReply(index, of: table, table.shadows())
        answer.resource = match.resource
        switch match.rule.definition.access {
        case .everybody: answer.verdict = .passes
        case .authenticated:
            answer.verdict = try await verdict(match, request, context)
        }
        return answer
    }

    /// Whether an account passes with a token that has no scopes, as signing in gives; by the same
    /// reading of rights as `/verify`, so that the two cannot differ.
    private func verdict(
        _ match: RouteMatch,
        _ request: ExplainRouteRequest,
        _ context: RequestContext
    ) async throws -> RouteVerdict {
        guard let account = request.account else { return match.isUnfit ? .refused : .depends }
        // The version is that of nobody: what comes back has one if the account can pass anywhere.
        let found = try await rights.read(
            [RightsQuestion(account, version: .min)],
            isForGateway: false
        )[account]
        guard let found, found.version != .min else { throw RouteRefusal.notThere }
        if let organisation = request.organisation, !found.organisations.contains(organisation) {
            return .refused
        }
        let held = found.roles(in: request.organisation, on: match.resource)
        var claims = context.claims
        claims.accountID = account
        claims.roles = held
        claims.scope = ""
        let snapshot = try await roles.snapshot(knowing: held)
        let holding = Holding(roles: held, snapshot: snapshot, narrowedTo: nil)
        let holds = Requirements().adding(match).hold(for: claims, holding, named: holding.names)
        return holds ? .passes : .refused
    }
}

extension RequestContext {
    /// The caller as somebody who changes rules.
    fileprivate func routeEditor(_ seen: ExpectedVersion) -> RouteEditor {
        RouteEditor(account: claims.accountID, trace: trace, seen: seen)
    }
}

extension RouteQuestion {
    /// The question of somebody who tries out; nil for what is ambiguous.
    ///
    /// Without a host only rules for any host are for it.
    fileprivate init?(_ request: ExplainRouteRequest) {
        guard RouteDefinition.isMethod(request.method), let path = RoutePath(request.path) else {
            return nil
        }
        guard let text = request.host else {
            self.init(method: request.method, host: "", path: path)
            return
        }
        guard let host = RouteHost.read(text) else { return nil }
        self.init(method: request.method, host: host, path: path)
    }
}

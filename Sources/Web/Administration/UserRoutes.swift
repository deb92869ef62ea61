// The handlers of the operations on accounts of others.
import Access
import Accounts
import HTTPTypes
import Logging
import Primitives
import Sessions
import Tokens

extension WebServices {
    func bindUsers(_ bindings: inout Bindings) {
        let users = administration
        bindUserReading(&bindings)
        bindUserStates(&bindings)
        bindings.bind(UserAPI.create) { request, context in
            let by = context.grantor
            let account = try await users.create(request.account, by: by, context.trace)
            return Answer(try await show(account, context))
                .with(location: UserAPI.get.info, account.description)
        }
        bindings.bind(UserAPI.change) { request, context in
            let account: AccountID = try context.id("id")
            try await users.edit(
                request.edit,
                of: account,
                expecting: context.expectedVersion,
                by: context.grantor,
                context.trace
            )
            let reply = try await show(account, context)
            return Answer(reply).with(version: reply.detail.version)
        }
        bindings.bind(UserAPI.unlock) { _, context in
            try await users.unlock(context.id("id"), by: context.grantor, context.trace)
            return .done
        }
        bindings.bind(UserAPI.requirePasswordChange) { _, context in
            try await users.requirePasswordChange(
                of: context.id("id"),
                by: context.grantor,
                context.trace
            )
            return .done
        }
        bindings.bind(UserAPI.resetSecondFactor) { _, context in
            try await users.resetSecondFactor(
                of: context.id("id"),
                by: context.grantor,
                context.trace
            )
            return .done
        }
        bindings.bind(UserAPI.impersonate) { _, context in
            let impersonation = try await users.impersonate(
                context.id("id"),
                as: context.claims,
                by: context.grantor,
                context.trace
            )
            return Answer(ImpersonationReply(impersonation: impersonation))
        }
    }

    private func bindUserReading(_ bindings: inout Bindings) {
        let users = administration
        bindings.bind(UserAPI.list) { query, context in
            let page = try await users.accounts.list(query.filter, in: context.realm, query.page)
            let items = page.items.map { UserItemReply(summary: $0) }
            return Answer(UserPageReply(page: Page(items, nextCursor: page.nextCursor)))
        }
        bindings.bind(UserAPI.get) { _, context in
            let reply = try await show(try context.id("id"), context)
            return Answer(reply).with(version: reply.detail.version)
        }
        bindings.bind(UserAPI.sessions) { query, context in
            let account = try await show(try context.id("id"), context).detail.summary.id
            let page = try await lists.sessions(
                of: account,
                within: context.realm.organisationID,
                query.page,
                now: context.now
            )
            let own = context.claims.sessionID
            let items = page.items.map { SessionReply(view: $0, isCurrent: $0.id == own) }
            return Answer(SessionPageReply(page: Page(items, nextCursor: page.nextCursor)))
        }
        bindings.bind(UserAPI.history) { query, context in
            let account = try await show(try context.id("id"), context).detail.summary.id
            let page = try await lists.history(
                of: account,
                within: context.realm.organisationID,
                query.page
            )
            let items = page.items.map { LoginReply(view: $0) }
            return Answer(LoginPageReply(page: Page(items, nextCursor: page.nextCursor)))
        }
    }

    private func bindUserStates(_ bindings: inout Bindings) {
        let users = administration
        bindings.bind(UserAPI.disable) { _, context in
            try await carryOut(.disable, context.id("id"), context)
            return .done
        }
        bindings.bind(UserAPI.enable) { _, context in
            try await carryOut(.enable, context.id("id"), context)
            return .done
        }
        bindings.bind(UserAPI.delete) { _, context in
            try await carryOut(.delete, context.id("id"), context)
            return .done
        }
        bindings.bind(UserAPI.endSessions) { _, context in
            try await carryOut(.endSessions, context.id("id"), context)
            return .done
        }
        bindings.bind(UserAPI.endSession) { _, context in
            try await users.endSessions.one(
                context.id("session"),
                of: context.id("id"),
                by: context.grantor,
                context.trace
            )
            return .done
        }
        bindings.bind(UserAPI.bulk) { request, context in
            var results: [UserBulkResult] = []
            for id in request.ids {
                let refusal = try await outcome(of: request.action, id, context)
                results.append(UserBulkResult(id: id, refusal: refusal))
            }
            return Answer(UserBulkReply(results: results))
        }
    }

    private func carryOut(
        _ action: UserBulkAction,
        _ account: AccountID,
        _ context: RequestContext
    ) async throws {
        let (users, by, trace) = (administration, context.grantor, context.trace)
        switch action {
        case .disable: try await users.changeState.disable(account, by: by, trace)
        case .enable: try await users.changeState.enable(account, by: by, trace)
        case .delete: try await users.changeState.delete(account, by: by, trace)
        case .endSessions: try await users.endSessions.all(of: account, by: by, trace)
        }
    }

    /// Why one of many was not done; nil where it was.
    private func outcome(
        of action: UserBulkAction,
        _ account: AccountID,
        _ context: RequestContext
    ) async throws -> ProblemCode? {
        do {
            try await carryOut(action, account, context)
            return nil
        } catch {
            return try problem(ofOne: error, context)
        }
    }

    /// What is told of one of many that failed.
    ///
    /// A fault is told of this one alone, because what was done before it stays done.
    ///
    /// - Throws: `error` where the whole call is over.
    func problem(ofOne error: any Error, _ context: RequestContext) throws -> ProblemCode {
        if error is CancellationError { throw error }
        let problem = Problem(error)
        if let cause = problem.cause {
            context.logger.error("one of many failed", metadata: ["error": "\(cause)"])
        }
        return problem.code
    }

    private func show(
        _ account: AccountID,
        _ context: RequestContext
    ) async throws -> UserReply {
        UserReply(
            detail: try await administration.accounts.get(
                account,
                in: context.realm,
                now: context.now
            )
        )
    }
}

extension RequestContext {
    /// How far the caller's permission reaches, at a gate that has one.
    var realm: Realm {
        guard let caller else { preconditionFailure("this gate lets anyone pass") }
        return caller.realm
    }
}

// The handlers of the operations on accounts of others.
import Access
import Accounts
import HTTPTypes
import Primitives
import Tokens

extension WebServices {
    func bindUsers(_ bindings: inout Bindings) {
        let users = administration
        bindings.bind(UserAPI.list) { query, context in
            let page = try await users.accounts.list(query.filter, in: context.realm, query.page)
            let items = page.items.map { UserItemReply(summary: $0) }
            return Answer(UserPageReply(page: Page(items, nextCursor: page.nextCursor)))
        }
        bindings.bind(UserAPI.get) { _, context in
            let detail = try await users.accounts.get(
                try context.id("id"),
                in: context.realm,
                now: context.now
            )
            return Answer(UserReply(detail: detail)).with(version: detail.version)
        }
        bindings.bind(UserAPI.disable) { _, context in
            try await users.changeState.disable(context.id("id"), by: administrator(context))
            return .done
        }
        bindings.bind(UserAPI.enable) { _, context in
            try await users.changeState.enable(context.id("id"), by: administrator(context))
            return .done
        }
        bindings.bind(UserAPI.delete) { _, context in
            try await users.changeState.delete(context.id("id"), by: administrator(context))
            return .done
        }
    }

    /// The caller as one who acts on accounts of others.
    func administrator(_ context: RequestContext) async throws -> Administrator {
        let claims = context.claims
        let roles: [RoleID]
        if let organisation = context.realm.organisationID {
            // Who may everywhere need not be a member, and then holds nothing more there.
            roles = try await rights(of: claims).roles(in: organisation, on: nil)
        } else {
            roles = try await hold(claims).roles
        }
        return Administrator(
            accountID: claims.accountID,
            roles: roles,
            narrowedTo: claims.narrowedTo,
            realm: context.realm,
            trace: context.trace
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

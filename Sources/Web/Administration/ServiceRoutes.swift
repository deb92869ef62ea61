// The handlers of the operations on accounts of services and their keys.
import Access
import Accounts
import HTTPTypes
import Primitives
import Tokens

extension WebServices {
    func bindServices(_ bindings: inout Bindings) {
        bindKeys(&bindings)
        let services = administration
        bindings.bind(ServiceAPI.list) { query, context in
            let filter = AccountFilter(state: query.state, kind: .service)
            let page = try await services.accounts.list(filter, in: .everywhere, query.page)
            let items = page.items.map { ServiceReply(summary: $0) }
            return Answer(ServicePageReply(page: Page(items, nextCursor: page.nextCursor)))
        }
        bindings.bind(ServiceAPI.create) { request, context in
            let id = try await services.services.create(
                request.name,
                by: context.claims.accountID,
                context.trace
            )
            let made = try await findService(id, context)
            return Answer(ServiceReply(summary: made.summary))
                .with(location: ServiceAPI.get.info, id.description)
                .with(version: made.version)
        }
        bindings.bind(ServiceAPI.get) { _, context in
            let found = try await findService(context.id("id"), context)
            return Answer(ServiceReply(summary: found.summary)).with(version: found.version)
        }
        bindings.bind(ServiceAPI.disable) { _, context in
            try await services.changeState.disable(
                context.id("id"),
                .service,
                by: context.grantor,
                context.trace
            )
            return .done
        }
        bindings.bind(ServiceAPI.enable) { _, context in
            try await services.changeState.enable(
                context.id("id"),
                .service,
                by: context.grantor,
                context.trace
            )
            return .done
        }
        bindings.bind(ServiceAPI.delete) { _, context in
            try await services.changeState.delete(
                context.id("id"),
                .service,
                by: context.grantor,
                context.trace
            )
            return .done
        }
    }

    private func bindKeys(_ bindings: inout Bindings) {
        let keys = administration.keys
        bindings.bind(ServiceAPI.keys) { query, context in
            let page = try await keys.list(of: try context.id("id"), query.page)
            let items = page.items.map { APIKeyReply(view: $0) }
            return Answer(APIKeyPageReply(page: Page(items, nextCursor: page.nextCursor)))
        }
        bindings.bind(ServiceAPI.createKey) { body, context in
            let made = try await keys.create(
                body.request,
                for: try context.id("id"),
                by: context.grantor,
                context.trace
            )
            return Answer(NewAPIKeyReply(view: made.view, text: made.text))
        }
        bindings.bind(ServiceAPI.revokeKey) { _, context in
            try await keys.revoke(
                try context.id("key"),
                of: try context.id("id"),
                by: context.grantor,
                context.trace
            )
            return .done
        }
    }

    /// A service; a person of that id is not there.
    private func findService(
        _ id: AccountID,
        _ context: RequestContext
    ) async throws -> AccountDetail {
        let detail = try await administration.accounts.get(id, in: .everywhere, now: context.now)
        guard detail.summary.kind == .service else {
            throw AdministrationRefusal.noSuchAccount
        }
        return detail
    }
}

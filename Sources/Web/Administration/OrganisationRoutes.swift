// The handlers of the operations on organisations and their members.
import Access
import HTTPTypes
import Primitives
import Tokens

extension WebServices {
    func bindOrganisations(_ bindings: inout Bindings) {
        bindMembers(&bindings)
        let organisations = administration.organisations
        bindings.bind(OrganisationAPI.list) { query, context in
            let page = try await organisations.list(within: context.realm, query.page)
            let items = page.items.map { OrganisationReply(view: $0) }
            return Answer(OrganisationPageReply(page: Page(items, nextCursor: page.nextCursor)))
        }
        bindings.bind(OrganisationAPI.create) { request, context in
            let view = try await organisations.create(
                request.name,
                displayName: request.displayName,
                by: context.grantor,
                context.trace
            )
            return Answer(OrganisationReply(view: view))
                .with(location: OrganisationAPI.get.info, view.id.description)
                .with(version: view.version)
        }
        bindings.bind(OrganisationAPI.get) { _, context in
            let view = try await organisations.find(try context.id("id"), within: context.realm)
            return Answer(OrganisationReply(view: view)).with(version: view.version)
        }
        bindings.bind(OrganisationAPI.update) { request, context in
            let view = try await organisations.change(
                try context.id("id"),
                displayName: request.displayName,
                state: request.state,
                expecting: context.expectedVersion,
                by: context.grantor,
                context.trace
            )
            return Answer(OrganisationReply(view: view)).with(version: view.version)
        }
        bindings.bind(OrganisationAPI.remove) { _, context in
            try await organisations.remove(
                try context.id("id"),
                by: context.grantor,
                context.trace
            )
            return .done
        }
    }

    private func bindMembers(_ bindings: inout Bindings) {
        let organisations = administration.organisations
        bindings.bind(OrganisationAPI.members) { query, context in
            let page = try await organisations.members(
                of: try context.id("id"),
                within: context.realm,
                query.page
            )
            let items = page.items.map { MemberReply(member: $0) }
            return Answer(MemberPageReply(page: Page(items, nextCursor: page.nextCursor)))
        }
        bindings.bind(OrganisationAPI.add) { request, context in
            let added = try await organisations.add(
                request.account,
                to: try context.id("id"),
                by: context.grantor,
                context.trace
            )
            let reply = MemberReply(member: added.value)
            return added.isNew ? Answer(reply) : .alternative(200, reply)
        }
        bindings.bind(OrganisationAPI.drop) { _, context in
            try await organisations.drop(
                try context.id("account"),
                from: try context.id("id"),
                by: context.grantor,
                context.trace
            )
            return .done
        }
        bindings.bind(OrganisationAPI.own) { query, context in
            let page = try await organisations.memberships(
                of: context.claims.accountID,
                query.page
            )
            let items = page.items.map { MembershipReply(membership: $0) }
            return Answer(MembershipPageReply(page: Page(items, nextCursor: page.nextCursor)))
        }
    }
}

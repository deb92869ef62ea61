// The operations of the second person: what waits for one, and what he says of it.
import Access
import HTTPTypes
import Primitives
import Tokens

/// Requests that need a second person.
package enum ApprovalAPI {
    private static let tag = "Administration"
    private static let path = "/v1/admin/approvals"
    private static let gate = Gate.delegated(.administrationApprove)

    static let list = Operation<ApprovalQuery, ApprovalPageReply>(
        "approvals.list",
        .get,
        path,
        summary: "The requests of the last day that needed a second person, newest first.",
        tag: tag,
        gate: gate
    )
    static let get = Operation<NoInput, ApprovalReply>(
        "approvals.get",
        .get,
        "\(path)/{id}",
        summary: "One request that needs a second person, with its body.",
        tag: tag,
        gate: gate
    )
    static let give = Operation<NoInput, ApprovalReply>(
        "approvals.give",
        .post,
        "\(path)/{id}/give",
        summary: "Approve a request of somebody else, which he can then send again, once.",
        tag: tag,
        gate: gate,
        proof: .recent(.power),
        problems: [.selfChangeRefused, .approvalClosed],
        traits: [.mayBeMinimal]
    )
    static let refuse = Operation<NoInput, ApprovalReply>(
        "approvals.refuse",
        .post,
        "\(path)/{id}/refuse",
        summary: "Refuse a request, or take its approval back before it is used.",
        tag: tag,
        gate: gate,
        problems: [.approvalClosed],
        traits: [.mayBeMinimal]
    )

    /// All of them.
    static let operations: [OperationInfo] = [list.info, get.info, give.info, refuse.info]
}

/// `?state&limit&cursor`.
package struct ApprovalQuery: QueryParameters {
    let state: ApprovalState?
    let page: PageRequest

    package init(_ members: inout MemberReader) throws {
        state = members.optional(
            "state",
            .choice(ApprovalState.self),
            help: "Those alone of which this became."
        )
        page = members.entryPage()
    }
}

/// A request that needs a second person.
package struct ApprovalReply: ReplyBody {
    let view: ApprovalView

    package func write(_ members: inout MemberWriter) {
        members.id("id", view.id, help: "The approval.")
        members.choice("state", view.state, help: "What became of it.")
        members.id("requested_by", view.account, help: "Who sent it.")
        members.id(
            "organisation_id",
            view.organisation,
            help: "The organisation of the delegate who makes it; null for who may everywhere."
        )
        members.text("operation", view.operation, help: "The operation, as in the access table.")
        members.text("method", view.method, help: "Its method.")
        members.text("target", view.target, help: "Its path and query, as sent.")
        members.text("if_match", view.ifMatch, help: "Its `If-Match`; empty where it has none.")
        members.text(
            "body",
            view.body,
            help: "Its body, as sent; empty where it has none, null in lists."
        )
        members.timestamp("created_at", view.createdAt, help: "When it was sent first.")
        members.timestamp(
            "expires_at",
            view.expiresAt,
            help: "Until when it can be approved and carried out."
        )
        members.id("decided_by", view.decidedBy, help: "Who has approved or refused it.")
        members.timestamp("decided_at", view.decidedAt, help: "When.")
    }

    package static var example: Self {
        Self(
            view: ApprovalView(
                id: .sample,
                state: .given,
                account: .sample,
                organisation: nil,
                operation: OrganisationAPI.remove.info.name,
                method: "DELETE",
                target: OrganisationAPI.remove.info.pattern.path(["\(OrganisationID.sample)"]),
                ifMatch: "",
                body: "",
                createdAt: .sample,
                expiresAt: .sample + Approvals.lifetime,
                decidedBy: .sample,
                decidedAt: .sample
            )
        )
    }
}

/// A page of requests that need a second person.
package struct ApprovalPageReply: ReplyBody {
    let page: Page<ApprovalReply>

    package func write(_ members: inout MemberWriter) { members.page(page) }
    package static var example: Self { Self(page: Page([.example], nextCursor: nil)) }
}

extension WebServices {
    func bindApprovals(_ bindings: inout Bindings) {
        bindings.bind(ApprovalAPI.list) { query, context in
            let page = try await approvals.list(query.state, within: context.realm, query.page)
            let items = page.items.map { ApprovalReply(view: $0) }
            return Answer(ApprovalPageReply(page: Page(items, nextCursor: page.nextCursor)))
        }
        bindings.bind(ApprovalAPI.get) { _, context in
            let view = try await approvals.find(try context.id("id"), within: context.realm)
            return Answer(ApprovalReply(view: view))
        }
        bindings.bind(ApprovalAPI.give) { _, context in
            // A machine is no second person.
            guard !context.claims.isKey else { throw GateRefusal.permissionDenied }
            let view = try await approvals.give(
                try context.id("id"),
                by: context.claims.accountID,
                within: context.realm,
                context.trace
            )
            return Answer(ApprovalReply(view: view))
        }
        bindings.bind(ApprovalAPI.refuse) { _, context in
            let view = try await approvals.refuse(
                try context.id("id"),
                by: context.claims.accountID,
                within: context.realm,
                context.trace
            )
            return Answer(ApprovalReply(view: view))
        }
    }
}

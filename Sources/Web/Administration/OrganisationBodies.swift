// Requests and replies about organisations and their members.
import Access
import Primitives

/// `POST /v1/admin/organisations`.
package struct OrganisationRequest: RequestBody {
    let name: String
    let displayName: String

    package init(_ members: inout MemberReader) throws {
        name = members.required("name", .roleName, help: "Unique among organisations; for ever.")
        displayName = members.text("display_name", 1...200, help: "What people call it.")
    }
}

/// `PATCH /v1/admin/organisations/{id}`.
package struct OrganisationChangeRequest: RequestBody {
    let displayName: String?
    let state: OrganisationState?

    package init(_ members: inout MemberReader) throws {
        displayName = members.optionalText("display_name", 1...200, help: "What people call it.")
        state = members.optional(
            "state",
            .choice(OrganisationState.self),
            help: "Whether anybody may act in it."
        )
    }
}

/// An organisation.
package struct OrganisationReply: ReplyBody {
    let view: OrganisationView

    package func write(_ members: inout MemberWriter) {
        members.id("id", view.id, help: "The organisation.")
        members.text("name", view.name, help: "Unique among organisations; for ever.")
        members.text("display_name", view.displayName, help: "What people call it.")
        members.choice("state", view.state, help: "Whether anybody may act in it.")
        members.integer("version", view.version, help: "Grows with each change.")
        members.timestamp("created_at", view.createdAt, help: "Since when it is there.")
        members.timestamp("updated_at", view.updatedAt, help: "When it was last changed.")
    }

    package static var example: Self {
        Self(
            view: OrganisationView(
                id: .sample,
                name: "acme",
                displayName: "Acme Ltd.",
                state: .active,
                version: 1,
                createdAt: .sample,
                updatedAt: .sample
            )
        )
    }
}

/// A page of organisations.
package struct OrganisationPageReply: ReplyBody {
    let page: Page<OrganisationReply>

    package func write(_ members: inout MemberWriter) { members.page(page) }
    package static var example: Self { Self(page: Page([.example], nextCursor: nil)) }
}

/// `POST /v1/admin/organisations/{id}/members`.
package struct MemberRequest: RequestBody {
    let account: AccountID

    package init(_ members: inout MemberReader) throws {
        account = members.required("account", .id(), help: "Who is to be a member.")
    }
}

/// A member.
package struct MemberReply: ReplyBody {
    let member: OrganisationMember

    package func write(_ members: inout MemberWriter) {
        members.id("account", member.account, help: "The account.")
        members.text("username", member.username, help: "Its user name.")
        members.timestamp("joined_at", member.joinedAt, help: "Since when it is a member.")
        members.texts("roles", member.roles, help: "The names of the roles it was given there.")
    }

    package static var example: Self {
        Self(
            member: OrganisationMember(
                account: .sample,
                username: "ada",
                joinedAt: .sample,
                roles: ["clerk"]
            )
        )
    }
}

/// A page of members.
package struct MemberPageReply: ReplyBody {
    let page: Page<MemberReply>

    package func write(_ members: inout MemberWriter) { members.page(page) }
    package static var example: Self { Self(page: Page([.example], nextCursor: nil)) }
}

/// An organisation of the caller.
package struct MembershipReply: ReplyBody {
    let membership: OwnMembership

    package func write(_ members: inout MemberWriter) {
        members.id("id", membership.organisation, help: "The organisation; send it as `X-Org`.")
        members.text("name", membership.name, help: "Unique among organisations.")
        members.text("display_name", membership.displayName, help: "What people call it.")
        members.timestamp("joined_at", membership.joinedAt, help: "Since when.")
        members.texts("roles", membership.roles, help: "The names of the roles given there.")
    }

    package static var example: Self {
        Self(
            membership: OwnMembership(
                organisation: .sample,
                name: "acme",
                displayName: "Acme Ltd.",
                joinedAt: .sample,
                roles: ["clerk"]
            )
        )
    }
}

/// A page of the caller's organisations.
package struct MembershipPageReply: ReplyBody {
    let page: Page<MembershipReply>

    package func write(_ members: inout MemberWriter) { members.page(page) }
    package static var example: Self { Self(page: Page([.example], nextCursor: nil)) }
}

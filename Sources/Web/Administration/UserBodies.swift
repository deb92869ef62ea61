// Requests and replies about accounts of others. What is answered never holds a secret (row 168).
import Accounts
import Primitives

/// `?limit&cursor` and the filters.
package struct UserQuery: QueryParameters {
    let page: PageRequest
    let filter: AccountFilter

    package init(_ members: inout MemberReader) throws {
        page = members.page()
        filter = AccountFilter(
            state: members.optional("state", .choice(AccountState.self), help: "In this state."),
            role: members.optional("role", .id(), help: "That hold this role, in whatever scope."),
            emailPrefix: members.optionalText(
                "email_prefix",
                1...254,
                help: "Whose address begins so, in its canonical form; the list runs by address."
            ),
            createdFrom: members.optional(
                "created_from",
                .timestamp,
                help: "Made then or later."
            ),
            createdTo: members.optional("created_to", .timestamp, help: "Made before then."),
            kind: members.optional("kind", .choice(AccountKind.self), help: "Of this kind.")
        )
    }
}

/// One account in a list.
package struct UserItemReply: ReplyBody {
    let summary: AccountSummary

    package func write(_ members: inout MemberWriter) { members.summary(summary) }
    package static var example: Self { Self(summary: .sample) }
}

/// A page of accounts.
package struct UserPageReply: ReplyBody {
    let page: Page<UserItemReply>

    package func write(_ members: inout MemberWriter) { members.page(page) }
    package static var example: Self { Self(page: Page([.example], nextCursor: nil)) }
}

/// All that is seen of an account.
package struct UserReply: ReplyBody {
    let detail: AccountDetail

    package func write(_ members: inout MemberWriter) {
        members.summary(detail.summary)
        members.timestamp("updated_at", detail.updatedAt, help: "When it was last changed.")
        members.texts("roles", detail.roles, help: "The names of the roles that it holds.")
        members.boolean("has_password", detail.hasPassword, help: "Whether it has a password.")
        members.boolean(
            "must_change_password",
            detail.mustChangePassword,
            help: "Whether the password must be replaced at the next sign-in."
        )
        members.boolean(
            "second_factor",
            detail.hasSecondFactor,
            help: "Whether it signs in with a second factor beside the password."
        )
        members.object("profile", ProfileReply(profile: detail.profile), help: "What is told.")
    }
    package static var example: Self { Self(detail: .sample) }
}

extension MemberWriter {
    /// What lists and single answers say of an account.
    fileprivate mutating func summary(_ summary: AccountSummary) {
        id("id", summary.id, help: "The account, for ever.")
        choice("kind", summary.kind, help: "`person` or `service`.")
        text("email", summary.email, help: "The address; null for services and deleted accounts.")
        text("username", summary.username, help: "The user name.")
        choice("state", summary.state, help: "Whether it may be used.")
        boolean("confirmed", summary.isConfirmed, help: "Whether the address is proven.")
        timestamp("created_at", summary.createdAt, help: "When it was made.")
        timestamp("last_login_at", summary.lastLoginAt, help: "The latest sign-in.")
    }
}

extension AccountSummary {
    static var sample: Self {
        AccountSummary(
            id: .sample,
            kind: .person,
            email: "ada@example.org",
            username: "ada",
            state: .active,
            isConfirmed: true,
            createdAt: .sample,
            lastLoginAt: .sample
        )
    }
}

extension AccountDetail {
    static var sample: Self {
        AccountDetail(
            summary: .sample,
            version: 3,
            updatedAt: .sample,
            roles: ["member"],
            hasPassword: true,
            mustChangePassword: false,
            hasSecondFactor: true,
            profile: AccountProfile(givenName: "Ada")
        )
    }
}

// Requests and replies about decisions.
import Access
import Primitives

/// One check.
package struct CheckRequest: RequestBody {
    let permission: String
    let subject: AccountID?
    let resource: String?
    let organisation: OrganisationID?

    package init(_ members: inout MemberReader) throws {
        permission = members.required(
            "permission",
            .permissionName,
            help: "What is to be done, as `orders:write`."
        )
        subject = members.optional("subject", .id(), help: "By whom; else the caller.")
        resource = members.optional(
            "resource",
            .resource,
            help: "To what, as `project:7`; roles that are held on it count too."
        )
        organisation = members.optional(
            "organisation",
            .id(),
            help: "Acting in which organisation, as a member; roles held in it count too."
        )
    }
}

extension MemberKind where Value == String {
    /// The name of one thing, as `project:7`.
    static var resource: Self {
        text(3...254).matching("malformed", "must be a type and a name, as `project:7`") {
            RoleScope.isResource($0)
        }
    }
}

/// `POST /v1/authorize`.
package struct AuthorizeRequest: RequestBody {
    let checks: [CheckRequest]
    /// Read to be checked alone: every answer here is newer than any version that was told.
    let atLeast: Int64?

    package init(_ members: inout MemberReader) throws {
        checks = members.required(
            "checks",
            .list(.object(CheckRequest.self), 1...Decisions.limit),
            help: "What is asked; the answers come in the same order."
        )
        atLeast = members.optional(
            "at_least",
            .integer(0...Int64.max),
            help: "A version that an earlier change of rights was answered with."
        )
    }
}

/// One answer.
package struct CheckReply: ReplyBody {
    let isAllowed: Bool
    let permission: String

    package func write(_ members: inout MemberWriter) {
        members.boolean("allowed", isAllowed, help: "Whether it is permitted, now.")
        members.text("permission", permission, help: "What was asked.")
    }
    package static var example: Self { Self(isAllowed: true, permission: "orders:write") }
}

/// The answers, in the order of the checks.
package struct AuthorizeReply: ReplyBody {
    let results: [CheckReply]

    package func write(_ members: inout MemberWriter) {
        members.objects("results", results, help: "One for each check, in the same order.")
    }
    package static var example: Self { Self(results: [.example]) }
}

/// `?resource`.
package struct MyPermissionsQuery: QueryParameters {
    let resource: String?

    package init(_ members: inout MemberReader) throws {
        resource = members.optional("resource", .resource, help: "On what, besides everywhere.")
    }
}

/// What the caller may do.
package struct MyPermissionsReply: ReplyBody {
    let roles: [String]
    let permissions: [String]
    let version: Int64

    package func write(_ members: inout MemberWriter) {
        members.texts("roles", roles, help: "The names of the roles that count, sorted.")
        members.texts(
            "permissions",
            permissions,
            help: "What they permit, sorted; `orders:*` is a whole namespace."
        )
        members.integer("version", version, help: "The version of the account's rights.")
    }
    package static var example: Self {
        Self(roles: ["clerk"], permissions: ["orders:write"], version: 1_795_000_000_000_000)
    }
}

/// `?permission&resource&organisation`.
package struct WhyQuery: QueryParameters {
    let permission: String
    let resource: String?
    let organisation: OrganisationID?

    package init(_ members: inout MemberReader) throws {
        permission = members.required("permission", .permissionName, help: "What is to be done.")
        resource = members.optional("resource", .resource, help: "To what.")
        organisation = members.optional("organisation", .id(), help: "Acting in which one.")
    }
}

/// One way by which a permission is held.
package struct ReasonReply: ReplyBody {
    let held: HeldRole
    let heldName: String
    let by: RoleID
    let byName: String

    package func write(_ members: inout MemberWriter) {
        members.id("role", held.role, help: "The role that the account has.")
        members.text("role_name", heldName, help: "Its name.")
        members.text("scope", held.scope.text, help: "Where it has it; empty for everywhere.")
        members.timestamp("expires_at", held.expiresAt, help: "Until when; null for ever.")
        members.id("through", by, help: "The role that permits it: the same, or one included.")
        members.text("through_name", byName, help: "Its name.")
    }
    package static var example: Self {
        Self(
            held: HeldRole(role: BuiltInRole.member, scope: .everywhere, expiresAt: nil),
            heldName: "member",
            by: BuiltInRole.member,
            byName: "member"
        )
    }
}

/// Why.
package struct WhyReply: ReplyBody {
    let reasons: [ReasonReply]
    let version: Int64

    package func write(_ members: inout MemberWriter) {
        members.boolean("allowed", !reasons.isEmpty, help: "Whether it is permitted, now.")
        members.objects("reasons", reasons, help: "By what; none where it is not permitted.")
        members.integer("version", version, help: "The version of the account's rights.")
    }
    package static var example: Self { Self(reasons: [.example], version: 1) }
}

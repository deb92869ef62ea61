// Requests and replies about who has which role.
import Access
import Primitives

/// Where a role is held, as two members that exclude each other.
struct ScopeMembers {
    let scope: RoleScope

    init(_ members: inout MemberReader) {
        let resource = members.optional(
            "resource",
            .scope,
            help: "On what alone, as `project:7`, or `project:7/*` for all below it."
        )
        let organisation = members.optional(
            "organisation",
            MemberKind<OrganisationID>.id(),
            help: "In which organisation alone."
        )
        if resource != nil, organisation != nil {
            members.complain("organisation", "excluded", "cannot go with `resource`")
        }
        if let organisation {
            scope = .organisation(organisation)
        } else {
            scope = resource.flatMap { RoleScope($0) } ?? .everywhere
        }
    }
}

/// `POST /v1/admin/users/{id}/roles`.
package struct AssignmentRequest: RequestBody {
    let role: RoleID
    let scope: RoleScope
    let expiresAt: Timestamp?

    package init(_ members: inout MemberReader) throws {
        role = members.required("role", .id(), help: "The role.")
        scope = ScopeMembers(&members).scope
        expiresAt = members.optional("expires_at", .timestamp, help: "Until when; else for ever.")
    }
}

/// `?resource&organisation`.
package struct ScopeQuery: QueryParameters {
    let scope: RoleScope

    package init(_ members: inout MemberReader) throws { scope = ScopeMembers(&members).scope }
}

/// A role that an account has.
package struct AssignmentReply: ReplyBody {
    let assignment: Assignment
    let version: Int64?

    package func write(_ members: inout MemberWriter) {
        // What is spelled otherwise than we spell it counts for no organisation.
        let organisation = assignment.scope.organisationID.flatMap { id in
            assignment.scope == .organisation(id) ? id : nil
        }
        let resource = assignment.scope.isEverywhere || organisation != nil
        members.id("account", assignment.account, help: "Whose.")
        members.id("role", assignment.role, help: "The role.")
        members.text("role_name", assignment.roleName, help: "Its name.")
        members.text(
            "resource",
            resource ? nil : assignment.scope.text,
            help: "On what alone; null for no such limit."
        )
        members.id(
            "organisation",
            organisation,
            help: "In which organisation alone; null for no such limit."
        )
        members.timestamp("expires_at", assignment.expiresAt, help: "Until when; null for ever.")
        members.timestamp("granted_at", assignment.grantedAt, help: "Since when.")
        members.id("granted_by", assignment.grantedBy, help: "By whom, where that is known.")
        members.integer(
            "version",
            version,
            help: "The version of the account's rights that it came with; null in lists."
        )
    }

    package static var example: Self {
        Self(
            assignment: Assignment(
                account: AccountID(high: 0x19F_0000_0000_7000, low: 0x8000_0000_0000_0001),
                role: BuiltInRole.member,
                roleName: "member",
                scope: .everywhere,
                expiresAt: nil,
                grantedAt: Timestamp(seconds: 1_795_000_000),
                grantedBy: nil
            ),
            version: 1_795_000_000_000_000
        )
    }
}

/// The roles of an account.
package struct AssignmentListReply: ReplyBody {
    let items: [AssignmentReply]

    package func write(_ members: inout MemberWriter) {
        members.page(Page(items, nextCursor: nil))
    }
    package static var example: Self { Self(items: [.example]) }
}

/// A page of who has a role.
package struct AssignmentPageReply: ReplyBody {
    let page: Page<AssignmentReply>

    package func write(_ members: inout MemberWriter) { members.page(page) }
    package static var example: Self { Self(page: Page([.example], nextCursor: nil)) }
}

/// One step of many.
package struct AssignmentStep: RequestBody {
    enum Action: String, CaseIterable, Sendable { case assign, unassign }
    let action: Action
    let account: AccountID
    let role: RoleID
    let scope: RoleScope
    let expiresAt: Timestamp?

    package init(_ members: inout MemberReader) throws {
        action = members.required("action", .choice(Action.self), help: "What to do.")
        account = members.required("account", .id(), help: "Whose.")
        role = members.required("role", .id(), help: "The role.")
        scope = ScopeMembers(&members).scope
        expiresAt = members.optional("expires_at", .timestamp, help: "Until when; else for ever.")
    }
}

/// `POST /v1/admin/assignments/bulk`.
package struct AssignmentBatchRequest: RequestBody {
    let items: [AssignmentStep]

    package init(_ members: inout MemberReader) throws {
        items = members.required(
            "items",
            .list(.object(AssignmentStep.self), 1...100),
            help: "What to do, in order; each stands by itself."
        )
    }
}

/// What became of one step.
package struct AssignmentResult: ReplyBody {
    let status: Int
    let code: ProblemCode?
    let version: Int64?

    package func write(_ members: inout MemberWriter) {
        members.integer("status", Int64(status), help: "What the single call would have answered.")
        members.text("code", code?.rawValue, help: "The problem; null for none.")
        members.integer("version", version, help: "The version of the account's rights since.")
    }
    package static var example: Self { Self(status: 201, code: nil, version: 1) }
}

/// What became of each step, in order.
package struct AssignmentBatchReply: ReplyBody {
    let results: [AssignmentResult]

    package func write(_ members: inout MemberWriter) {
        members.objects("results", results, help: "One for each item, in the same order.")
    }
    package static var example: Self { Self(results: [.example]) }
}

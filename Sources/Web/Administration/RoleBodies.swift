// Requests and replies about permissions, roles and assignments.
import Access
import Primitives

/// `?limit&cursor` of a list that is in the order of names.
package struct NameQuery: QueryParameters {
    let page: PageRequest

    package init(_ members: inout MemberReader) throws {
        page = members.page()
        guard let bytes = page.cursor?.bytes else { return }
        // PostgreSQL knows no text with a NUL.
        if bytes.contains(0) || String(validating: bytes, as: UTF8.self) == nil {
            members.complain("cursor", "invalid-cursor", "is not a `next_cursor` of this list")
        }
    }
}

/// `?limit&cursor` of who has a role.
package struct HolderQuery: QueryParameters {
    let page: PageRequest

    package init(_ members: inout MemberReader) throws {
        page = members.page()
        guard let bytes = page.cursor?.bytes else { return }
        guard bytes.count >= 16, !bytes.dropFirst(16).contains(0),
            String(validating: bytes.dropFirst(16), as: UTF8.self) != nil
        else {
            members.complain("cursor", "invalid-cursor", "is not a `next_cursor` of this list")
            return
        }
    }
}

extension MemberKind where Value == String {
    /// The name of a permission, without `*`.
    static var permissionName: Self {
        text(3...127).matching("malformed", "must be two names with a colon, as `orders:write`") {
            PermissionNames.isName($0)
        }
    }

    /// What a role can hold: a permission, `orders:*`, or `*:*`.
    static var heldPermission: Self {
        text(3...127).matching("malformed", "must be as `orders:write`, `orders:*` or `*:*`") {
            PermissionNames.isName($0) || $0 == "*:*"
                || $0.hasSuffix(":*") && PermissionNames.isPart($0.dropLast(2))
        }
    }

    /// The name of a role.
    static var roleName: Self {
        text(2...63).matching(
            "malformed",
            "must begin with a small letter, then small letters, digits, `.`, `_`, `-`"
        ) { PermissionNames.isPart($0[...]) }
    }

    /// Where a role is held, if not everywhere.
    static var scope: Self {
        text(3...RoleScope.maximumLength).matching(
            "malformed",
            "must be a resource as `project:7`, or `project:7/*`"
        ) { RoleScope($0) != nil }
    }
}

/// The forms of names.
enum PermissionNames {
    static func isName(_ text: String) -> Bool {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        return parts.count == 2 && parts.allSatisfy(isPart)
    }

    static func isPart(_ text: Substring) -> Bool {
        guard (1...63).contains(text.utf8.count), let first = text.utf8.first,
            (0x61...0x7A).contains(first)
        else { return false }
        return text.utf8.allSatisfy {
            (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || ".-_".utf8.contains($0)
        }
    }
}

/// `POST /v1/admin/permissions`.
package struct PermissionRequest: RequestBody {
    let name: String
    let description: String

    package init(_ members: inout MemberReader) throws {
        name = members.required("name", .permissionName, help: "`namespace:verb`; unique.")
        description = members.text("description", 1...500, help: "What it allows.")
    }
}

/// `PATCH /v1/admin/permissions/{name}`.
package struct PermissionChangeRequest: RequestBody {
    let description: String

    package init(_ members: inout MemberReader) throws {
        description = members.text("description", 1...500, help: "What it allows.")
    }
}

/// A permission.
package struct PermissionReply: ReplyBody {
    let view: PermissionView

    package func write(_ members: inout MemberWriter) {
        members.text("name", view.name, help: "`namespace:verb`.")
        members.text("description", view.description, help: "What it allows.")
        members.boolean("built_in", view.isBuiltIn, help: "Whether Watchword itself asks for it.")
        members.timestamp("created_at", view.createdAt, help: "Since when it is declared.")
    }

    package static var example: Self {
        Self(
            view: PermissionView(
                name: "orders:write",
                description: "Place and change orders.",
                isBuiltIn: false,
                createdAt: Timestamp(seconds: 1_795_000_000)
            )
        )
    }
}

/// A page of permissions.
package struct PermissionPageReply: ReplyBody {
    let page: Page<PermissionReply>

    package func write(_ members: inout MemberWriter) { members.page(page) }
    package static var example: Self { Self(page: Page([.example], nextCursor: nil)) }
}

/// `POST /v1/admin/roles`.
package struct RoleRequest: RequestBody {
    let name: String
    let change: RoleChange

    package init(_ members: inout MemberReader) throws {
        name = members.required("name", .roleName, help: "Unique among roles.")
        change = RoleChange(
            description: members.optionalText("description", 0...500, help: "What it is for."),
            isDefault: members.optional("default", .boolean, help: RoleHelp.isDefault),
            permissions: members.optional(
                "permissions",
                .list(.heldPermission, 0...RoleAdministration.permissionLimit),
                help: RoleHelp.permissions
            ) ?? [],
            includes: members.optional(
                "includes",
                .list(.id(), 0...RoleAdministration.inclusionLimit),
                help: RoleHelp.includes
            ) ?? []
        )
    }
}

/// `PATCH /v1/admin/roles/{id}`.
package struct RoleChangeRequest: RequestBody {
    let change: RoleChange

    package init(_ members: inout MemberReader) throws {
        change = RoleChange(
            name: members.optional("name", .roleName, help: "Unique among roles."),
            description: members.optionalText("description", 0...500, help: "What it is for."),
            isDefault: members.optional("default", .boolean, help: RoleHelp.isDefault),
            permissions: members.optional(
                "permissions",
                .list(.heldPermission, 0...RoleAdministration.permissionLimit),
                help: RoleHelp.permissions
            ),
            includes: members.optional(
                "includes",
                .list(.id(), 0...RoleAdministration.inclusionLimit),
                help: RoleHelp.includes
            )
        )
    }
}

/// What the manual says of a role's members.
private enum RoleHelp {
    static let isDefault = "Whether new accounts get it."
    static let permissions = "What it permits by itself; all of it. `orders:*` is a namespace."
    static let includes = """
        The roles that it includes; all of them. With theirs, and itself, it stands for \
        \(RoleAdministration.reachLimit) at most, by \(RoleAdministration.wayLimit) inclusions.
        """
}

/// A role.
package struct RoleReply: ReplyBody {
    let view: RoleView

    package func write(_ members: inout MemberWriter) {
        members.id("id", view.definition.id, help: "The role.")
        members.text("name", view.definition.name, help: "Unique among roles.")
        members.text("description", view.description, help: "What it is for.")
        members.boolean("built_in", view.isBuiltIn, help: "Whether it cannot be removed.")
        members.boolean("default", view.isDefault, help: RoleHelp.isDefault)
        members.texts("permissions", view.definition.permissions, help: RoleHelp.permissions)
        members.texts(
            "includes",
            view.definition.includes.map(\.description),
            help: RoleHelp.includes
        )
        members.integer("version", view.definition.version, help: "Grows with each change.")
        members.timestamp("created_at", view.createdAt, help: "Since when it is there.")
    }

    package static var example: Self {
        Self(
            view: RoleView(
                definition: RoleDefinition(
                    id: BuiltInRole.member,
                    name: "clerk",
                    version: 1_795_000_000_000_000,
                    isRemoved: false,
                    permissions: ["orders:write"],
                    includes: [BuiltInRole.member]
                ),
                description: "Works at the desk.",
                isBuiltIn: false,
                isDefault: false,
                createdAt: Timestamp(seconds: 1_795_000_000)
            )
        )
    }
}

/// A page of roles.
package struct RolePageReply: ReplyBody {
    let page: Page<RoleReply>

    package func write(_ members: inout MemberWriter) { members.page(page) }
    package static var example: Self { Self(page: Page([.example], nextCursor: nil)) }
}

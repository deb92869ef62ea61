// What the audit log is told of a role that is made or changed: what it is given and what it loses,
// and nothing of what stays as it is (W9). A long list of permissions is cut and says how long it
// was. What administers Watchword comes first in it, and what is held whole, so that nobody hides
// that behind permissions of no weight.
import Postgres
import Primitives

/// The difference that a change makes to a role; nine parameters of the statement that makes it.
struct RoleRecord: PostgresBind {
    /// The most permissions that are named, of those that it is given and of those that it loses.
    static let limit = 100

    private let formerName: String?
    private let description: String?
    private let isDefault: Bool?
    private let addedPermissions: [String]
    private let removedPermissions: [String]
    private let addedRoles: [RoleID]
    private let removedRoles: [RoleID]

    /// What `change` makes of `before`; of nothing where the role is new.
    init(of change: RoleChange, to before: RoleView?) {
        let old = before?.definition
        formerName = old != nil && change.name != nil && change.name != old?.name ? old?.name : nil
        description = change.description == (before?.description ?? "") ? nil : change.description
        isDefault = change.isDefault == (before?.isDefault ?? false) ? nil : change.isDefault
        let oldPermissions = Set(old?.permissions ?? [])
        let permissions = change.permissions.map { Set($0) } ?? oldPermissions
        addedPermissions = Self.sorted(permissions.subtracting(oldPermissions))
        removedPermissions = Self.sorted(oldPermissions.subtracting(permissions))
        let oldRoles = Set(old?.includes ?? [])
        let roles = change.includes.map { Set($0) } ?? oldRoles
        addedRoles = roles.subtracting(oldRoles).sorted()
        removedRoles = oldRoles.subtracting(roles).sorted()
    }

    /// Whether the role stays as it is.
    var isEmpty: Bool {
        formerName == nil && description == nil && isDefault == nil && addedPermissions.isEmpty
            && removedPermissions.isEmpty && addedRoles.isEmpty && removedRoles.isEmpty
    }

    /// The SQL of the entry's detail about the row `source`; its parameters begin with `first`.
    static func detail(of source: String, first: Int) -> String {
        """
        jsonb_strip_nulls(jsonb_build_object(
            'role_id', \(source).id, 'name', \(source).name,
            'former_name', $\(first)::text,
            'description', $\(first + 1)::text,
            'default', $\(first + 2)::boolean,
            'permissions_added', to_jsonb($\(first + 3)::text[]),
            'permissions_added_count', $\(first + 4)::bigint,
            'permissions_removed', to_jsonb($\(first + 5)::text[]),
            'permissions_removed_count', $\(first + 6)::bigint,
            'includes_added', to_jsonb($\(first + 7)::uuid[]),
            'includes_removed', to_jsonb($\(first + 8)::uuid[])
        ))
        """
    }

    static let parameterTypes: [PostgresType] = [
        .text, .text, .bool, .textArray, .int8, .textArray, .int8, .uuidArray, .uuidArray,
    ]

    func appendParameters(into out: inout [UInt8]) {
        formerName.appendParameters(into: &out)
        description.appendParameters(into: &out)
        isDefault.appendParameters(into: &out)
        for permissions in [addedPermissions, removedPermissions] {
            let named: [String]? = permissions.isEmpty ? nil : Array(permissions.prefix(Self.limit))
            let count: Int? = permissions.count > Self.limit ? permissions.count : nil
            named.appendParameters(into: &out)
            count.appendParameters(into: &out)
        }
        for roles in [addedRoles, removedRoles] {
            let named: [RoleID]? = roles.isEmpty ? nil : roles
            named.appendParameters(into: &out)
        }
    }

    /// By weight, and then by name.
    private static func sorted(_ permissions: Set<String>) -> [String] {
        permissions.sorted { (rank(of: $0), $0) < (rank(of: $1), $1) }
    }

    private static func rank(of permission: String) -> Int {
        if permission == "*:*" { return 0 }
        if administering.contains(permission) { return 1 }
        return permission.hasSuffix(":*") ? 2 : 3
    }

    /// Fewer than `limit`: what Watchword asks for itself, and the namespaces of that.
    private static let administering: Set<String> = {
        let names = AdminPermission.allCases.map(\.rawValue)
        let spaces = names.map { "\($0.split(separator: ":")[0]):*" }
        return Set(names + spaces)
    }()
}

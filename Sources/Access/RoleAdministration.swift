// Making and changing permissions and roles. A change of what a role permits is in force at every
// gateway when it is answered (W11): the role's new version goes into the revocation log in the
// transaction of the change, and every node reads the role before it answers the batch that reveals
// it (revocation.md H27). Changes of roles wait for one another, first of all, for they are few: so
// no two of them close a circle together, and nobody rests on a right that another takes meanwhile.
import Audit
package import Postgres
package import Primitives
package import Revocation

/// A role as administrators see it.
package struct RoleView: Sendable {
    /// How it is defined.
    package let definition: RoleDefinition
    /// What it is for.
    package let description: String
    /// Whether it cannot be removed, renamed or emptied.
    package let isBuiltIn: Bool
    /// Whether new accounts get it.
    package let isDefault: Bool
    /// Since when it is there.
    package let createdAt: Timestamp

    /// A role.
    package init(
        definition: RoleDefinition,
        description: String,
        isBuiltIn: Bool,
        isDefault: Bool,
        createdAt: Timestamp
    ) {
        self.definition = definition
        self.description = description
        self.isBuiltIn = isBuiltIn
        self.isDefault = isDefault
        self.createdAt = createdAt
    }
}

/// What a role is to be; nil leaves a part as it is.
package struct RoleChange: Sendable {
    /// Its name.
    package var name: String?
    /// What it is for.
    package var description: String?
    /// Whether new accounts get it.
    package var isDefault: Bool?
    /// What it permits by itself.
    package var permissions: [String]?
    /// The roles that it includes.
    package var includes: [RoleID]?

    /// A change.
    package init(
        name: String? = nil,
        description: String? = nil,
        isDefault: Bool? = nil,
        permissions: [String]? = nil,
        includes: [RoleID]? = nil
    ) {
        self.name = name
        self.description = description
        self.isDefault = isDefault
        self.permissions = permissions
        self.includes = includes
    }
}

/// Why a role or a permission cannot be made or changed so.
package enum RoleRefusal: Refusal, Equatable {
    /// There is none of that id or name.
    case notFound
    /// Another has the name.
    case nameTaken
    /// It is one of those that Watchword rests on.
    case builtIn
    /// A role still holds the permission.
    case inUse
    /// The role would include itself.
    case cycle
    /// There are as many as there may be.
    case limitReached
    /// The role, or one that includes it, would stand for more roles than one may.
    case reachesTooFar
    /// It is of another version by now.
    case versionMismatch
    /// Some permissions are not declared.
    case unknownPermission([Int])
    /// Some roles are not there.
    case unknownRole([Int])

    package var code: ProblemCode {
        switch self {
        case .notFound: .notFound
        case .nameTaken: .nameTaken
        case .builtIn: .builtIn
        case .inUse: .inUse
        case .cycle: .roleCycle
        case .limitReached, .reachesTooFar: .limitReached
        case .versionMismatch: .versionMismatch
        case .unknownPermission, .unknownRole: .validationFailed
        }
    }
    package var detail: String? {
        guard self == .reachesTooFar else { return nil }
        return """
            A role stands for \(RoleAdministration.reachLimit) roles at most, by \
            \(RoleAdministration.wayLimit) inclusions; this one, or one that includes it, would \
            stand for more.
            """
    }
    package var memberErrors: [MemberError] {
        switch self {
        case .unknownPermission(let places):
            places.map { MemberError("permissions.\($0)", "unknown", "is not declared") }
        case .unknownRole(let places):
            places.map { MemberError("includes.\($0)", "unknown", "is no role") }
        default: []
        }
    }
}

/// Makes and changes roles.
package struct RoleAdministration: Sendable {
    /// The most roles.
    package static let limit = 10_000
    /// The most permissions that one role holds by itself.
    package static let permissionLimit = 1000
    /// The most roles that one role includes by itself.
    package static let inclusionLimit = 100
    /// The most roles that one stands for: itself and all that it includes, however deep.
    ///
    /// Every node keeps their ids with each role, 40 MB for as many roles as there may be.
    package static let reachLimit = 256
    /// The most inclusions by which it stands for them.
    ///
    /// A node that reads all roles walks them for each: ten million steps, a second or so.
    package static let wayLimit = 1000

    let revoker: Revoker
    let database: any PostgresExecutor
    let entropy: Entropy

    /// The use cases.
    package init(revoker: Revoker, database: any PostgresExecutor, entropy: Entropy) {
        self.revoker = revoker
        self.database = database
        self.entropy = entropy
    }

    /// Roles in the order of their ids.
    package func list(_ request: PageRequest) async throws -> Page<RoleView> {
        let after: RoleID = request.after()
        let rows = try await database.rows(RoleStore.list(after, request.rowLimit))
        return Page(rows, of: request) { $0.definition.id.bytes }
    }

    /// One role.
    ///
    /// - Throws: `RoleRefusal.notFound`.
    package func find(_ id: RoleID) async throws -> RoleView {
        guard let view = try await database.first(RoleStore.find(id)) else {
            throw RoleRefusal.notFound
        }
        return view
    }

    /// The role that somebody calls by its id or its name.
    ///
    /// - Throws: `RoleRefusal.notFound`.
    package func named(_ text: String) async throws -> RoleID {
        if let id = RoleID(text) { return id }
        guard let id = try await database.first(RoleStore.findNamed(text)) else {
            throw RoleRefusal.notFound
        }
        return id
    }

    /// Makes a role.
    ///
    /// - Throws: `RoleRefusal`, `GrantRefusal`; or a fault.
    package func create(
        _ name: String,
        _ change: RoleChange,
        by grantor: Grantor,
        _ trace: RequestTrace
    ) async throws -> RoleView {
        let id = RoleID(at: trace.now, entropy: entropy)
        let binds = AuditBinds(trace, entropy: entropy)
        return try await mendingNames {
            try await revoker.transaction { transaction in
                // What the maker holds is read under the lock: whoever takes it from him by a
                // change of a role has been waited for.
                _ = try await transaction.rows(RoleStore.lockAll())
                let grants = try await Grants(transaction, by: grantor)
                guard try await transaction.first(RoleStore.count()) ?? 0 < Self.limit else {
                    throw RoleRefusal.limitReached
                }
                try await grants.allowNaming(name)
                _ = try await transaction.first(
                    RoleStore.insert(
                        id,
                        name,
                        change.description ?? "",
                        change.isDefault ?? false,
                        grantor.actor,
                        binds,
                        RoleRecord(of: change, to: nil)
                    )
                )
                try await define(id, change, transaction)
                // A name that nothing asks for is anybody's to choose.
                let new = Grants.RoleReach(permissions: [], names: [id])
                try await Self.allowDefining(id, as: change, before: new, grants)
                return try await view(id, transaction)
            }
        }
    }

    /// Changes a role; what it permits then is in force everywhere when this returns.
    ///
    /// - Parameter version: the version that it must have.
    /// - Throws: `RoleRefusal`, `GrantRefusal`; or a fault.
    package func change(
        _ id: RoleID,
        _ change: RoleChange,
        expecting version: ExpectedVersion = .any,
        by grantor: Grantor,
        _ trace: RequestTrace
    ) async throws -> RoleView {
        let binds = AuditBinds(trace, entropy: entropy)
        return try await mendingNames {
            try await revoker.transaction { transaction in
                _ = try await transaction.rows(RoleStore.lockAll())
                let grants = try await Grants(transaction, by: grantor)
                let before = try await view(id, transaction)
                guard version.matches(before.definition.version) else {
                    throw RoleRefusal.versionMismatch
                }
                let isTouched = change.permissions != nil || change.includes != nil
                if before.isBuiltIn, change.name != nil { throw RoleRefusal.builtIn }
                if id == BuiltInRole.admin, isTouched || change.isDefault == true {
                    throw RoleRefusal.builtIn
                }
                // Nobody changes a role that holds what he does not, to more or to less.
                let reach = try await grants.allowChanging(id)
                if let name = change.name, name != before.definition.name {
                    try await grants.allowNaming(before.definition.name)
                    try await grants.allowNaming(name)
                }
                let record = RoleRecord(of: change, to: before)
                if record.isEmpty {
                    // It may have been made by a call that died before the others were told: 2xx
                    // is an acknowledgement all the same (H19).
                    _ = try await transaction.first(RoleStore.retell(id))
                    return before
                }
                let isChanged = try await transaction.first(
                    RoleStore.update(
                        id,
                        change.name,
                        change.description,
                        change.isDefault,
                        grantor.actor,
                        binds,
                        record
                    )
                )
                guard isChanged != nil else { throw RoleRefusal.notFound }
                try await define(id, change, transaction)
                // What it is emptied of he held; its name is what is left of that.
                let known = change.isDefault == true ? [] : reach.names.union([id])
                let former = Grants.RoleReach(permissions: reach.permissions, names: known)
                try await Self.allowDefining(id, as: change, before: former, grants)
                return try await view(id, transaction)
            }
        }
    }

    /// Removes a role; it grants nothing anywhere when this returns.
    ///
    /// Those who have it lose it with it; their rows are swept later.
    ///
    /// - Throws: `RoleRefusal`, `GrantRefusal`; or a fault.
    /// - Returns: the version of the removal.
    package func remove(
        _ id: RoleID,
        by grantor: Grantor,
        _ trace: RequestTrace
    ) async throws -> Int64 {
        let binds = AuditBinds(trace, entropy: entropy)
        return try await revoker.transaction { transaction in
            _ = try await transaction.rows(RoleStore.lockAll())
            let grants = try await Grants(transaction, by: grantor)
            let before = try await view(id, transaction)
            if before.isBuiltIn { throw RoleRefusal.builtIn }
            _ = try await grants.allowChanging(id)
            let version = try await transaction.first(
                RoleStore.remove(
                    id,
                    grantor.actor,
                    binds
                )
            )
            guard let version else { throw RoleRefusal.notFound }
            return version
        }
    }

    /// Refuses unless the caller holds what a role permits then, and for ever what is new in it:
    /// those who have the role keep it when his own right is over, and so do those who get it
    /// because new accounts do.
    private static func allowDefining(
        _ id: RoleID,
        as change: RoleChange,
        before: Grants.RoleReach,
        _ grants: Grants
    ) async throws {
        let permitted = try await grants.permissions(of: [id])
        try grants.allow(permitted, in: .everywhere)
        let known = change.isDefault == true ? [] : Set(before.permissions)
        let isLasting = permitted.allSatisfy { permission in
            known.contains(permission)
                || grants.held.covers(permission, in: .everywhere, for: .until(nil))
        }
        guard isLasting else { throw GrantRefusal.notHeld }
        try await grants.allowLasting(id, besides: before.names)
    }

    /// Puts a role's permissions and inclusions in place.
    private func define(
        _ id: RoleID,
        _ change: RoleChange,
        _ transaction: RevokingTransaction
    ) async throws {
        if let permissions = change.permissions {
            let known = try await transaction.rows(RoleStore.known(permissions))
            let missing = permissions.indices.filter { !known.contains(permissions[$0]) }
            guard missing.isEmpty else { throw RoleRefusal.unknownPermission(missing) }
            _ = try await transaction.execute(RoleStore.dropPermissions(id, permissions))
            _ = try await transaction.execute(RoleStore.addPermissions(id, permissions))
        }
        if let includes = change.includes {
            // The API counts them too, the terminal does not.
            guard includes.count <= Self.inclusionLimit else { throw RoleRefusal.limitReached }
            guard !includes.contains(id) else { throw RoleRefusal.cycle }
            let known = try await transaction.rows(RoleStore.living(includes))
            let missing = includes.indices.filter { !known.contains(includes[$0]) }
            guard missing.isEmpty else { throw RoleRefusal.unknownRole(missing) }
            _ = try await transaction.execute(RoleStore.dropInclusions(id, includes))
            let added = try await transaction.execute(RoleStore.addInclusions(id, includes))
            // What is only cut is always allowed, also where there was too much.
            guard added > 0 else { return }
            guard try await transaction.first(RoleStore.findCircle(id)) == nil else {
                throw RoleRefusal.cycle
            }
            guard try await transaction.first(RoleStore.findOverreach(id)) == nil else {
                throw RoleRefusal.reachesTooFar
            }
        }
    }

    private func view(_ id: RoleID, _ database: any PostgresExecutor) async throws -> RoleView {
        guard let view = try await database.first(RoleStore.find(id)) else {
            throw RoleRefusal.notFound
        }
        return view
    }

    private func mendingNames<R>(_ body: () async throws -> R) async throws -> R {
        do {
            return try await body()
        } catch let error as PostgresError where error.isUniqueViolation(of: "roles_name_key") {
            throw RoleRefusal.nameTaken
        }
    }
}

// The operations on permissions, roles and who has them (S0-27, S1-17, S3-11, S4-14, S4-15).
import Access
import HTTPTypes
import Primitives

/// Administration of rights.
package enum RoleAPI {
    private static let tag = "Roles"
    private static let changeProblems: [ProblemCode] = [.notFound, .permissionNotHeld]
    private static let giveProblems: [ProblemCode] = [
        .notFound, .permissionNotHeld, .selfChangeRefused,
    ]

    static let listPermissions = Operation<NameQuery, PermissionPageReply>(
        "permissions.list",
        .get,
        "/v1/admin/permissions",
        summary: "The permissions that roles can hold, in the order of their names.",
        tag: tag,
        gate: .delegated(.rolesRead)
    )
    static let createPermission = Operation<PermissionRequest, PermissionReply>(
        "permissions.create",
        .post,
        "/v1/admin/permissions",
        summary: "Declare a permission.",
        tag: tag,
        gate: .permission(.rolesWrite),
        success: 201,
        problems: [.nameTaken, .limitReached],
        traits: [.idempotent, .mayBeMinimal]
    )
    static let changePermission = Operation<PermissionChangeRequest, PermissionReply>(
        "permissions.change",
        .patch,
        "/v1/admin/permissions/{name}",
        summary: "Describe a permission anew.",
        tag: tag,
        gate: .permission(.rolesWrite),
        problems: [.notFound, .builtIn],
        traits: [.mayBeMinimal]
    )
    static let removePermission = Operation<NoInput, NoReply>(
        "permissions.remove",
        .delete,
        "/v1/admin/permissions/{name}",
        summary: "Take away a permission that no role holds.",
        tag: tag,
        gate: .permission(.rolesWrite),
        success: 204,
        problems: [.notFound, .builtIn, .inUse]
    )
    static let list = Operation<ListQuery, RolePageReply>(
        "roles.list",
        .get,
        "/v1/admin/roles",
        summary: "All roles.",
        tag: tag,
        gate: .delegated(.rolesRead)
    )
    static let create = Operation<RoleRequest, RoleReply>(
        "roles.create",
        .post,
        "/v1/admin/roles",
        summary: "Make a role of permissions and of other roles.",
        tag: tag,
        gate: .permission(.rolesWrite),
        proof: .recent(.power),
        success: 201,
        problems: [.nameTaken, .limitReached, .permissionNotHeld, .roleCycle],
        traits: [
            .idempotent, .answersLocation, .mayBeMinimal, .answersVersion, .answersRightsVersion,
        ]
    )
    static let get = Operation<NoInput, RoleReply>(
        "roles.get",
        .get,
        "/v1/admin/roles/{id}",
        summary: "One role.",
        tag: tag,
        gate: .delegated(.rolesRead),
        problems: [.notFound],
        // A role that it includes can be removed, which is no change of this one.
        traits: [.answersVersion, .outgrowsVersion]
    )
    static let update = Operation<RoleChangeRequest, RoleReply>(
        "roles.change",
        .patch,
        "/v1/admin/roles/{id}",
        summary: "Change a role; in force at every gateway when it is answered.",
        tag: tag,
        gate: .permission(.rolesWrite),
        proof: .recent(.power),
        problems: changeProblems + [.nameTaken, .builtIn, .roleCycle, .limitReached],
        traits: [.takesVersion, .answersVersion, .answersRightsVersion, .mayBeMinimal]
    )
    static let remove = Operation<NoInput, NoReply>(
        "roles.remove",
        .delete,
        "/v1/admin/roles/{id}",
        summary: "Remove a role; whoever has it loses it at every gateway at once.",
        tag: tag,
        gate: .permission(.rolesWrite),
        proof: .recent(.destruction),
        success: 204,
        problems: changeProblems + [.builtIn],
        traits: [.answersRightsVersion]
    )
    static let holders = Operation<HolderQuery, AssignmentPageReply>(
        "roles.holders",
        .get,
        "/v1/admin/roles/{id}/holders",
        summary: "Who has a role.",
        tag: tag,
        gate: .delegated(.rolesRead),
        problems: [.notFound]
    )
    static let assignments = Operation<NoInput, AssignmentListReply>(
        "assignments.list",
        .get,
        "/v1/admin/users/{id}/roles",
        summary: "The roles of an account, with where and until when it has them.",
        tag: tag,
        gate: .delegated(.rolesRead),
        problems: [.notFound]
    )
    static let assign = Operation<AssignmentRequest, AssignmentReply>(
        "assignments.create",
        .post,
        "/v1/admin/users/{id}/roles",
        summary: "Give a role; 200 where the account had it, with a new end.",
        tag: tag,
        gate: .delegated(.rolesAssign),
        proof: .recent(.power),
        success: 201,
        problems: giveProblems + [.limitReached, .lastAdministrator],
        alternatives: [AlternativeReply(200, AssignmentReply.self)],
        traits: [.idempotent, .answersRightsVersion, .mayBeMinimal]
    )
    static let unassign = Operation<ScopeQuery, NoReply>(
        "assignments.remove",
        .delete,
        "/v1/admin/users/{id}/roles/{role}",
        summary: "Take a role; refused at every gateway when it is answered.",
        tag: tag,
        gate: .delegated(.rolesAssign),
        success: 204,
        problems: giveProblems + [.lastAdministrator],
        traits: [.answersRightsVersion]
    )
    static let assignMany = Operation<AssignmentBatchRequest, AssignmentBatchReply>(
        "assignments.bulk",
        .post,
        "/v1/admin/assignments/bulk",
        summary: "Give and take up to a hundred roles, each by itself, in order.",
        tag: tag,
        gate: .delegated(.rolesAssign),
        proof: .recent(.power),
        traits: [.answersRightsVersion]
    )

    /// All of them.
    static let operations: [OperationInfo] = [
        listPermissions.info, createPermission.info, changePermission.info, removePermission.info,
        list.info, create.info, get.info, update.info, remove.info, holders.info,
        assignments.info, assign.info, unassign.info, assignMany.info,
    ]
}

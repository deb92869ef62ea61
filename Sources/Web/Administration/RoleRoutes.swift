// The handlers of the operations on permissions, roles and assignments.
import Access
import HTTPTypes
import Primitives
import Tokens

extension RequestContext {
    /// Who administers, at a gate that asks for a permission.
    var grantor: Grantor {
        let claims = claims
        let generation = claims.signatureGeneration
        let key = APIKeyID(high: claims.tokenID.high, low: claims.tokenID.low)
        let credential: Grantor.Credential =
            claims.isKey ? .key(key, generation) : .token(of: claims.sessionID, generation)
        return Grantor(
            account: claims.accountID,
            narrowedTo: claims.narrowedTo,
            realm: caller?.realm ?? .everywhere,
            credential: credential,
            permission: caller?.permission
        )
    }
}

extension WebServices {
    /// The permission that a path names.
    ///
    /// Clients that put paths together may encode the colon or not (RFC 3986 section 3.3); nothing
    /// else in a name needs it.
    private static func permission(_ context: RequestContext) -> String {
        (context.pathParameters["name"] ?? "")
            .replacing("%3A", with: ":")
            .replacing("%3a", with: ":")
    }

    func bindRoles(_ bindings: inout Bindings) {
        bindPermissions(&bindings)
        bindAssignments(&bindings)
        bindings.bind(RoleAPI.list) { query, _ in
            let page = try await administration.roles.list(query.page)
            let items = page.items.map { RoleReply(view: $0) }
            return Answer(RolePageReply(page: Page(items, nextCursor: page.nextCursor)))
        }
        bindings.bind(RoleAPI.create) { request, context in
            let view = try await administration.roles.create(
                request.name,
                request.change,
                by: context.grantor,
                context.trace
            )
            return Answer(RoleReply(view: view))
                .with(location: RoleAPI.get.info, view.definition.id.description)
                .with(version: view.definition.version)
        }
        bindings.bind(RoleAPI.get) { _, context in
            let view = try await administration.roles.find(try context.id("id"))
            return Answer(RoleReply(view: view)).with(version: view.definition.version)
        }
        bindings.bind(RoleAPI.update) { request, context in
            let view = try await administration.roles.change(
                try context.id("id"),
                request.change,
                expecting: context.expectedVersion,
                by: context.grantor,
                context.trace
            )
            return Answer(RoleReply(view: view)).with(version: view.definition.version)
        }
        bindings.bind(RoleAPI.remove) { _, context in
            _ = try await administration.roles.remove(
                try context.id("id"),
                by: context.grantor,
                context.trace
            )
            return .done
        }
        bindings.bind(RoleAPI.holders) { query, context in
            let role: RoleID = try context.id("id")
            _ = try await administration.roles.find(role)
            let page = try await administration.assignments.holders(
                of: role,
                within: context.realm,
                query.page
            )
            let items = page.items.map { AssignmentReply(assignment: $0, version: nil) }
            return Answer(AssignmentPageReply(page: Page(items, nextCursor: page.nextCursor)))
        }
    }

    private func bindPermissions(_ bindings: inout Bindings) {
        bindings.bind(RoleAPI.listPermissions) { query, _ in
            let page = try await administration.permissions.list(query.page)
            let items = page.items.map { PermissionReply(view: $0) }
            return Answer(PermissionPageReply(page: Page(items, nextCursor: page.nextCursor)))
        }
        bindings.bind(RoleAPI.createPermission) { request, context in
            let view = try await administration.permissions.create(
                request.name,
                request.description,
                by: context.grantor,
                context.trace
            )
            return Answer(PermissionReply(view: view))
        }
        bindings.bind(RoleAPI.changePermission) { request, context in
            let view = try await administration.permissions.describe(
                Self.permission(context),
                as: request.description,
                by: context.grantor,
                context.trace
            )
            return Answer(PermissionReply(view: view))
        }
        bindings.bind(RoleAPI.removePermission) { _, context in
            try await administration.permissions.remove(
                Self.permission(context),
                by: context.grantor,
                context.trace
            )
            return .done
        }
    }

    private func bindAssignments(_ bindings: inout Bindings) {
        bindings.bind(RoleAPI.assignments) { _, context in
            let items = try await administration.assignments.list(
                try context.id("id"),
                within: context.realm
            )
            return Answer(
                AssignmentListReply(
                    items: items.map { AssignmentReply(assignment: $0, version: nil) }
                )
            )
        }
        bindings.bind(RoleAPI.assign) { request, context in
            let done = try await administration.assignments.assign(
                request.role,
                to: try context.id("id"),
                in: request.scope,
                until: request.expiresAt,
                by: context.grantor,
                context.trace
            )
            let reply = AssignmentReply(assignment: done.value, version: done.version)
            return done.isNew ? Answer(reply) : .alternative(200, reply)
        }
        bindings.bind(RoleAPI.unassign) { query, context in
            _ = try await administration.assignments.unassign(
                try context.id("role"),
                from: try context.id("id"),
                in: query.scope,
                by: context.grantor,
                context.trace
            )
            return .done
        }
        bindings.bind(RoleAPI.assignMany) { request, context in
            var results: [AssignmentResult] = []
            for step in request.items {
                results.append(try await carryOut(step, context))
            }
            return Answer(AssignmentBatchReply(results: results))
        }
    }

    /// One step of many; what refuses it, or breaks, is told of it alone.
    private func carryOut(
        _ step: AssignmentStep,
        _ context: RequestContext
    ) async throws -> AssignmentResult {
        do {
            switch step.action {
            case .assign:
                let done = try await administration.assignments.assign(
                    step.role,
                    to: step.account,
                    in: step.scope,
                    until: step.expiresAt,
                    by: context.grantor,
                    context.trace
                )
                let status = done.isNew ? 201 : 200
                return AssignmentResult(status: status, code: nil, version: done.version)
            case .unassign:
                let version = try await administration.assignments.unassign(
                    step.role,
                    from: step.account,
                    in: step.scope,
                    by: context.grantor,
                    context.trace
                )
                return AssignmentResult(status: 204, code: nil, version: version)
            }
        } catch {
            let code = try problem(ofOne: error, context)
            return AssignmentResult(status: code.status, code: code, version: nil)
        }
    }
}

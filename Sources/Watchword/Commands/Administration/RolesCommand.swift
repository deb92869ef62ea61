// `watchword admin roles`: roles at the terminal, and who has them. What is given or taken is in
// force at every gateway when the command ends (W11).
import Access
import Accounts
import ArgumentParser
import Primitives
import Web

/// `watchword admin roles`.
struct RolesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "roles",
        abstract: "Roles, and who has them.",
        subcommands: [
            List.self, Show.self, Create.self, Delete.self, Grant.self, Revoke.self,
        ]
    )

    /// `watchword admin roles list`.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the roles.")
        @OptionGroup var page: PageOptions
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            let request = try TerminalForms.page(page.form)
            let list = try await options.administer { try await $0.roles.list(request) }
            options.show(
                list,
                json: TerminalForms.json,
                ["ID", "NAME", "PERMISSIONS", "INCLUDES", "DEFAULT", "BUILT IN"]
            ) { role in
                let definition = role.definition
                return [
                    definition.id.description, definition.name, "\(definition.permissions.count)",
                    "\(definition.includes.count)", role.isDefault.cell, role.isBuiltIn.cell,
                ]
            }
        }
    }

    /// `watchword admin roles show`.
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a role with its permissions."
        )
        @Argument(help: "Its id or name.") var role: String
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            let view = try await options.administer { try await $0.role(role) }
            options.show(json: TerminalForms.json(view), text: TextTable.text(view.lines))
        }
    }

    /// `watchword admin roles create`.
    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a role of permissions and of other roles."
        )
        @Argument(help: "Its name, unique among roles.") var name: String
        @Option(
            name: .customLong("permission"),
            help: "A permission it holds, as orders:write or orders:*; may be repeated."
        )
        var permissions: [String] = []
        @Option(
            name: .customLong("include"),
            help: "A role that it includes (id or name); may be repeated."
        )
        var includes: [String] = []
        @Option(help: "What it is for.") var description: String?
        @Flag(name: .customLong("default"), help: "Give it to new accounts.") var isDefault = false
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            var members: [String: JSONValue] = [
                "name": .text(name), "default": .boolean(isDefault),
                "permissions": .list(permissions.map { .text($0) }),
            ]
            members["description"] = description.map { .text($0) }
            let wanted = try TerminalForms.newRole(members)
            let view = try await options.administer { desk in
                var change = wanted.change
                var included: [RoleID] = []
                for role in includes { included.append(try await desk.role(role).definition.id) }
                change.includes = included
                return try await desk.roles.create(wanted.name, change, by: desk.by, desk.trace)
            }
            options.show(
                json: TerminalForms.json(view),
                text: "Made \(view.definition.name) (\(view.definition.id))."
            )
        }
    }

    /// `watchword admin roles delete`.
    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove a role; whoever has it loses it at every gateway at once."
        )
        @Argument(help: "Its id or name.") var role: String
        @OptionGroup var deletion: DeletionOptions
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try deletion.requireYes()
            let (view, version) = try await options.administer { desk in
                let view = try await desk.role(role)
                let id = view.definition.id
                return (view, try await desk.roles.remove(id, by: desk.by, desk.trace))
            }
            let id = view.definition.id
            options.show(
                json: "{\"id\":\"\(id)\",\"version\":\(version)}",
                text: "Removed \(view.definition.name) (\(id))."
            )
        }
    }
}

/// Who, which role, and where.
struct AssignmentArguments: ParsableArguments {
    @Argument(help: "The account: its id, e-mail address or user name.") var account: String
    @Argument(help: "The role: its id or name.") var role: String
    @Option(
        help: """
            Where alone: a resource as project:7, project:7/* for all below it, or org:ID for an \
            organisation.
            """
    )
    var scope: String?

    /// What the body of an assignment says, but for the ids of account and role.
    func members() -> [String: JSONValue] {
        guard let scope else { return [:] }
        guard scope.hasPrefix("org:") else { return ["resource": .text(scope)] }
        return ["organisation": .text(String(scope.dropFirst(4)))]
    }

    /// The members, read before anything is opened: some role stands for the one to be found.
    func form(until end: String? = nil) throws -> (scope: RoleScope, end: Timestamp?) {
        var members = members()
        members["role"] = .text(BuiltInRole.member.description)
        members["expires_at"] = end.map { .text($0) }
        let form = try TerminalForms.assignment(members)
        return (form.scope, form.expiresAt)
    }
}

extension RolesCommand {
    /// `watchword admin roles grant`.
    struct Grant: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a role to an account, or change until when it has it."
        )
        @OptionGroup var what: AssignmentArguments
        @Option(help: "Until when, as 2026-11-21T06:00:00Z; else for ever.") var until: String?
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            let form = try what.form(until: until)
            let (detail, given) = try await options.administer { desk in
                let detail = try await desk.account(what.account)
                let given = try await desk.assignments.assign(
                    desk.role(what.role).definition.id,
                    to: detail.summary.id,
                    in: form.scope,
                    until: form.end,
                    by: desk.by,
                    desk.trace
                )
                return (detail, given)
            }
            options.show(
                json: TerminalForms.json(given),
                text: "Gave \(given.value.roleName) to \(detail.name)."
            )
        }
    }

    /// `watchword admin roles revoke`.
    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take a role from an account; refused at every gateway at once."
        )
        @OptionGroup var what: AssignmentArguments
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            let form = try what.form()
            let (detail, role, version) = try await options.administer { desk in
                let detail = try await desk.account(what.account)
                let role = try await desk.role(what.role).definition
                do {
                    let version = try await desk.assignments.unassign(
                        role.id,
                        from: detail.summary.id,
                        in: form.scope,
                        by: desk.by,
                        desk.trace
                    )
                    return (detail, role, version)
                } catch GrantRefusal.notFound {
                    throw CommandFailure(.notFound, "It does not have that role there.")
                }
            }
            let account = detail.summary.id
            options.show(
                json: "{\"account\":\"\(account)\",\"role\":\"\(role.id)\",\"version\":\(version)}",
                text: "Took \(role.name) from \(detail.name)."
            )
        }
    }
}

extension RoleView {
    /// What the terminal shows of it, line by line.
    fileprivate var lines: [(name: String, value: String)] {
        let includes = definition.includes.map(\.description)
        return [
            ("id", definition.id.description), ("name", definition.name),
            ("description", description.isEmpty ? "-" : description),
            ("built in", isBuiltIn.cell), ("default", isDefault.cell),
            ("created", createdAt.description), ("version", "\(definition.version)"),
        ] + includes.map { ("includes", $0) } + definition.permissions.map { ("permission", $0) }
    }
}

// `watchword admin users`: accounts at the terminal, those of services too. Passwords are never
// arguments: one is read from standard input, or made and shown once (W7).
import Access
import Accounts
import ArgumentParser
import Primitives
import Web

/// `watchword admin users`.
struct UsersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "users",
        abstract: "Accounts of people and services.",
        subcommands: [
            List.self, Show.self, Create.self, Disable.self, Enable.self, Unlock.self,
            RequirePassword.self, ResetSecondFactor.self, EndSessions.self, Delete.self,
        ]
    )

    /// `watchword admin users list`.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List accounts, newest first; by address with --email-prefix."
        )
        @Option(help: "In this state: active, disabled or deleted.") var state: String?
        @Option(help: "Of this kind: person or service.") var kind: String?
        @Option(help: "That hold this role (id or name).") var role: String?
        @Option(help: "Whose address begins so.") var emailPrefix: String?
        @Option(help: "Made then or later, as 2026-11-21T06:00:00Z.") var createdFrom: String?
        @Option(help: "Made before then.") var createdTo: String?
        @OptionGroup var page: PageOptions
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            var form = page.form
            let members = [
                ("state", state), ("kind", kind), ("email_prefix", emailPrefix),
                ("created_from", createdFrom), ("created_to", createdTo),
            ]
            for (name, value) in members { form[name] = value.map { [$0] } }
            // What is wrong with an option is said before anything is opened.
            let query = try TerminalForms.users(form)
            let list = try await options.administer { desk in
                var filter = query.filter
                if let role { filter.role = try await desk.role(role).definition.id }
                return try await desk.accounts.list(filter, in: .everywhere, query.page)
            }
            options.show(
                list,
                json: TerminalForms.json,
                ["ID", "KIND", "E-MAIL", "USER NAME", "STATE", "CREATED", "LAST LOGIN"]
            ) { account in
                [
                    account.id.description, account.kind.rawValue, account.email.cell,
                    account.username.cell, account.state.rawValue, account.createdAt.description,
                    account.lastLoginAt.cell,
                ]
            }
        }
    }

    /// `watchword admin users show`.
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show an account with its roles and its profile."
        )
        @OptionGroup var whose: AccountArgument
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            let detail = try await options.administer { try await $0.account(whose.account) }
            options.show(json: TerminalForms.json(detail), text: TextTable.text(detail.lines))
        }
    }

    /// `watchword admin users create`.
    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make an account for a person, with the default roles.",
            discussion: """
                The password is made and shown once, unless it is read from standard input. It \
                must be replaced at the first sign-in.
                """
        )
        @Option(help: "The e-mail address, unique.") var email: String
        @Option(help: "A user name, unique.") var username: String?
        @Flag(help: "Read the password from standard input, one line.") var passwordStdin = false
        @Flag(help: "Let the password be kept.") var keepPassword = false
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            var members: [String: JSONValue] = [
                "email": .text(email), "must_change_password": .boolean(!keepPassword),
            ]
            members["username"] = username.map { .text($0) }
            var account = try TerminalForms.newUser(members)
            let made = passwordStdin ? nil : StandardInput.generated()
            account.password = try made ?? StandardInput.password()
            let wanted = account
            let detail = try await options.administer { desk in
                let id = try await desk.create(wanted, by: desk.by, desk.trace)
                return try await desk.accounts.get(id, in: .everywhere, now: desk.trace.now)
            }
            // Shown once, to the one who asked for it.
            let shown = made.map {
                " with the password " + String(decoding: $0.exposed, as: UTF8.self)
            }
            options.show(
                json: TerminalForms.json(detail, password: made),
                text: "Made \(detail.name)\(shown ?? "")."
            )
        }
    }
}

extension AccountDetail {
    /// What a sentence calls it: its address or name, and its id.
    var name: String {
        let id = summary.id.description
        guard let name = summary.email ?? summary.username else { return id }
        return "\(JSONText.plain(name)) (\(id))"
    }

    /// What the terminal shows of it, line by line.
    fileprivate var lines: [(name: String, value: String)] {
        [
            ("id", summary.id.description), ("kind", summary.kind.rawValue),
            ("email", summary.email.cell), ("username", summary.username.cell),
            ("state", summary.state.rawValue), ("confirmed", summary.isConfirmed.cell),
            ("roles", roles.isEmpty ? "-" : roles.joined(separator: ", ")),
            ("password", hasPassword ? (mustChangePassword ? "to be replaced" : "yes") : "none"),
            ("second factor", hasSecondFactor.cell),
            ("created", summary.createdAt.description), ("changed", updatedAt.description),
            ("last login", summary.lastLoginAt.cell), ("version", "\(version)"),
            ("given name", profile.givenName.cell), ("family name", profile.familyName.cell),
            ("address", profile.address.cell), ("phone number", profile.phoneNumber.cell),
            ("birthdate", profile.birthdate.cell),
        ]
    }
}

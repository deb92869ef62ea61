// `watchword admin`: the way in when nobody can sign in yet, and administration at the terminal.
import ArgumentParser
import Primitives

/// `watchword admin`.
struct AdminCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "admin",
        abstract: "Administer accounts, roles and keys; make the first administrator.",
        discussion: """
            Works on the database itself, by the rules of the API: whoever has the database may do \
            everything, but the last administrator stays. A change is in force on every node when \
            the command ends, and is in the audit log without an actor, from "terminal".

            What the API refuses, the command refuses with the same code, on standard error.
            """,
        subcommands: [
            Create.self, UsersCommand.self, RolesCommand.self, OrganisationsCommand.self,
            APIKeysCommand.self, SigningKeysCommand.self, AuditCommand.self,
        ]
    )

    /// `watchword admin create`.
    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "create",
            abstract: "Make the first administrator; the password is shown once.",
            discussion: "Refuses where there is an administrator already."
        )

        @Option(help: "The e-mail address to sign in with.")
        var login: String

        @Flag(help: "Answer in JSON.")
        var json = false

        @OptionGroup var configuration: ConfigurationOptions

        private static let passwordBytes = 15

        func run() async throws {
            let settings = try configuration.load().settings
            let server = settings.server
            try server.requireDatabase()
            let password = Base64URL.encode(Entropy.system.bytes(Self.passwordBytes))
            let made = try await Services.createFirstAdministrator(
                settings,
                databaseURL: server.databaseURL,
                login: login,
                password: Secret(password)
            )
            guard let made else {
                throw CommandFailure(
                    .failure,
                    "There is an administrator already: sign in as that one to make others."
                )
            }
            guard json else {
                Output.line("Made \(made.login) with the password \(made.password)")
                return
            }
            Output.line(
                JSONText.object([
                    ("login", JSONText.string(made.login)),
                    ("password", JSONText.string(made.password)),
                ])
            )
        }
    }
}

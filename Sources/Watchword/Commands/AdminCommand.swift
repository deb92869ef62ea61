// `watchword admin`: the way in when nobody can sign in yet.
import ArgumentParser
import Primitives

/// `watchword admin`.
struct AdminCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "admin",
        abstract: "Make the first administrator; read the audit log.",
        subcommands: [Create.self, AuditCommand.self]
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

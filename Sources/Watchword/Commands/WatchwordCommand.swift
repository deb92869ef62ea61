// The command line as a whole: the list of commands, the version, the exit codes.
import ArgumentParser

/// `watchword`.
struct WatchwordCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watchword",
        abstract: "The login, session and permission authority that you run yourself.",
        discussion: """
            Start with `watchword dev`: it needs nothing running and prints how to sign in.

            Exit codes: 0 done; 1 failed; 64 the command line makes no sense; 69 a store \
            cannot be reached; 78 the configuration is wrong.
            """,
        version: Version.text,
        subcommands: [
            DevCommand.self, ServeCommand.self, MigrateCommand.self, AdminCommand.self,
            KeysCommand.self, AuthorityCommand.self, HealthCommand.self, DescribeCommand.self,
            VersionCommand.self,
        ]
    )
}

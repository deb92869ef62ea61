// `watchword migrate`: brings the database up to date, or says what that would do.
import ArgumentParser

/// `watchword migrate`.
struct MigrateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate",
        abstract: "Bring the database up to date."
    )

    @Flag(help: "Only show the steps; change nothing.")
    var plan = false

    @Flag(help: "Answer in JSON.")
    var json = false

    @OptionGroup var configuration: ConfigurationOptions

    func run() async throws {
        let server = try configuration.load().settings.server
        try server.requireDatabase()
        let steps = try await Services.migrate(databaseURL: server.databaseURL, apply: !plan)
        Output.line(json ? Self.json(steps) : Self.text(steps))
    }

    private static func text(_ steps: [MigrationStep]) -> String {
        let missing = steps.filter { !$0.isApplied }
        guard !missing.isEmpty else { return "The database is up to date (\(steps.count) steps)." }
        return missing.map { "missing: \($0.number) \($0.name)" }.joined(separator: "\n")
    }

    private static func json(_ steps: [MigrationStep]) -> String {
        let entries = steps.map { step in
            JSONText.object([
                ("number", "\(step.number)"), ("name", JSONText.string(step.name)),
                ("applied", "\(step.isApplied)"),
            ])
        }
        return "{\"steps\":[\(entries.joined(separator: ","))]}"
    }
}

extension ServerSettings {
    /// Refuses to go on without a database.
    func requireDatabase() throws(ConfigurationError) {
        guard databaseURL.isEmpty else { return }
        throw ConfigurationError("database.url is not set (WATCHWORD_DATABASE_URL).")
    }
}

// `watchword serve`: one node, as it runs in production. Starts no servers and refuses unsafe
// settings before it opens a port.
import ArgumentParser

/// `watchword serve`.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Run one node.",
        discussion: """
            Needs PostgreSQL, Redis and a configuration (`watchword describe config` lists it). \
            SIGTERM drains the node and ends it.
            """
    )

    @OptionGroup var configuration: ConfigurationOptions

    func run() async throws {
        let settings = try configuration.load().settings
        let complaints = ProductionChecks.complaints(settings)
        guard complaints.isEmpty else { throw ConfigurationError(complaints) }
        let log = LineLogHandler.factory(settings.log)
        defer { log.writer.flush() }
        try await Services.serve(settings, log: log.make)
    }
}

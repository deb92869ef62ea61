// `watchword describe`: what this executable is and what it would do, without doing it.
import ArgumentParser
import Primitives

/// `watchword describe`.
struct DescribeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "describe",
        abstract: "Show the configuration, the routes or the version.",
        subcommands: [Config.self, Routes.self, VersionCommand.self]
    )

    /// `watchword describe config`.
    struct Config: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show every setting in effect and where it came from; secrets are hidden."
        )
        @Flag(help: "Answer in JSON.") var json = false
        @Flag(help: "Write the manual of all settings instead (docs/configuration.md).")
        var manual = false
        @OptionGroup var configuration: ConfigurationOptions

        func run() async throws {
            if manual {
                let source = SettingsSource.recording()
                _ = Settings(from: source)
                Output.line(ConfigurationManual.markdown(source.declarations))
                return
            }
            let declarations = try configuration.load().declarations
            Output.line(
                json
                    ? ConfigurationManual.json(declarations)
                    : ConfigurationManual.text(declarations)
            )
        }
    }

    /// `watchword describe routes`.
    struct Routes: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show every route and who may call it."
        )
        @Flag(help: "Answer in JSON.") var json = false

        func run() async throws {
            let routes = Services.routes()
            guard json else {
                Output.line(
                    routes.map { "\($0.method) \($0.path)  \($0.gate)" }.joined(separator: "\n")
                )
                return
            }
            let entries = routes.map { route in
                JSONText.object([
                    ("method", JSONText.string(route.method)),
                    ("path", JSONText.string(route.path)),
                    ("gate", JSONText.string(route.gate)),
                ])
            }
            Output.line("{\"routes\":[\(entries.joined(separator: ","))]}")
        }
    }
}

// The flags of every command that reads the configuration.
import ArgumentParser

/// `--config` and `--set`.
struct ConfigurationOptions: ParsableArguments {
    @Option(
        name: .customLong("config"),
        help: ArgumentHelp("A configuration file (JSON).", valueName: "file")
    )
    var file: String?

    @Option(
        name: .customLong("set"),
        help: ArgumentHelp("One setting; may be repeated.", valueName: "name=value")
    )
    var overrides: [String] = []

    /// The configuration with `environment`, in order.
    ///
    /// - Throws: `ConfigurationError`.
    func load(
        _ environment: [String: String] = ProcessEnvironment.variables
    ) throws(ConfigurationError) -> Configured<Settings> {
        try ConfigurationInput(environment: environment, file: file, overrides: overrides)
            .load { Settings(from: $0) }
    }
}

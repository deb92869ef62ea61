// Where values come from: the configuration file, `WATCHWORD_*` variables and `--set`, each an
// apple/swift-configuration provider, asked from the strongest to the weakest. Knows no setting by
// name; the declarations decide what exists, and every name that none of them declares is refused.
import Configuration
import Primitives

/// The raw material of the configuration.
struct ConfigurationInput: Sendable {
    /// The process's variables.
    var environment: [String: String]
    /// The path given with `--config`; else `WATCHWORD_CONFIG` counts.
    var file: String?
    /// The `name=value` of each `--set`.
    var overrides: [String] = []

    /// The settings that `read` builds, and their declarations with the values in effect.
    ///
    /// - Throws: `ConfigurationError` with every complaint there is.
    func load<Settings>(
        _ read: (SettingsSource) -> Settings
    ) throws(ConfigurationError) -> Configured<Settings> {
        var early: [SettingComplaint] = []
        let flags = parseOverrides(&early)
        let fileValues: [String: String]
        if let path = file ?? environment["WATCHWORD_CONFIG"] {
            fileValues = try SettingsFile.read(path)
        } else {
            fileValues = [:]
        }
        let layers = Layers(
            environment: environment,
            flags: Self.reader("flags", flags),
            variables: ConfigReader(
                provider: EnvironmentVariablesProvider(environmentVariables: environment)
            ),
            file: Self.reader("file", fileValues)
        )
        let source = SettingsSource(lookup: layers.value(of:))
        let settings = read(source)
        for complaint in early { source.complain(complaint) }
        for complaint in layers.unreadable(source.declarations) { source.complain(complaint) }
        for complaint in unknown(source.declarations, flags, fileValues) {
            source.complain(complaint)
        }
        guard source.complaints.isEmpty else { throw ConfigurationError(source.complaints) }
        return Configured(settings: settings, declarations: source.declarations)
    }

    private func parseOverrides(_ complaints: inout [SettingComplaint]) -> [String: String] {
        var values: [String: String] = [:]
        for text in overrides {
            guard let mark = text.firstIndex(of: "="), mark != text.startIndex else {
                complaints.append(
                    SettingComplaint(
                        text,
                        "--set needs name=value, as in "
                            + "--set sessions.idle_limit=30m."
                    )
                )
                continue
            }
            values[String(text[..<mark])] = String(text[text.index(after: mark)...])
        }
        return values
    }

    private static func reader(_ name: String, _ values: [String: String]) -> ConfigReader {
        let pairs = values.map { name, value in
            (
                AbsoluteConfigKey(name.split(separator: ".").map(String.init)),
                ConfigValue(.string(value), isSecret: false)
            )
        }
        return ConfigReader(
            provider: InMemoryProvider(
                name: name,
                values: Dictionary(pairs) { first, _ in first }
            )
        )
    }

    private func unknown(
        _ declarations: [SettingDeclaration],
        _ flags: [String: String],
        _ fileValues: [String: String]
    ) -> [SettingComplaint] {
        let names = declarations.map(\.name)
        var variables = declarations.map(\.variable) + ["WATCHWORD_CONFIG"]
        #if DEBUG
        variables.append("WATCHWORD_MUTANT")
        #endif
        variables += declarations.filter(\.mayComeFromFile).map { $0.variable + "_FILE" }
        let given =
            flags.keys.sorted().map { ($0, "--set", names) }
            + fileValues.keys.sorted().map { ($0, "file", names) }
            + environment.keys.sorted().filter(isOurs).map { ($0, "environment", variables) }
        return given.filter { !$0.2.contains($0.0) }.map { name, place, known in
            let suggestion = SettingSuggestion.closest(to: name, among: known)
            return SettingComplaint(
                name,
                "\(name) (\(place)) is not a setting"
                    + (suggestion.map { ": did you mean \($0)?" } ?? ".")
            )
        }
    }

    /// Whether a variable is meant for us.
    ///
    /// In Kubernetes a Service called `watchword` puts `WATCHWORD_PORT=tcp://…` and the like into
    /// every pod; they are nobody's mistake.
    private func isOurs(_ variable: String) -> Bool {
        guard variable.hasPrefix("WATCHWORD_") else { return false }
        let value = environment[variable] ?? ""
        let isServiceLink =
            variable.hasSuffix("_SERVICE_HOST") || variable.contains("_SERVICE_PORT")
            || ["tcp://", "udp://"].contains { value.hasPrefix($0) }
            || ["_TCP", "_UDP"].contains { variable.contains("_PORT_") && variable.contains($0) }
        return !isServiceLink
    }
}

/// Settings that are in order, and how they came about.
struct Configured<Settings> {
    /// The settings.
    let settings: Settings
    /// Every declaration with its value in effect, in order.
    let declarations: [SettingDeclaration]
}

private struct Layers {
    let environment: [String: String]
    let flags: ConfigReader
    let variables: ConfigReader
    let file: ConfigReader

    /// The strongest value of a setting.
    ///
    /// A `_FILE` variable counts as the variable itself.
    func value(of name: String) -> RawSetting? {
        let key = ConfigKey(name.split(separator: ".").map(String.init))
        if let text = flags.string(forKey: key) { return RawSetting(text, from: .flag) }
        let variable = ConfigKey(["watchword"] + key.components)
        if let text = variables.string(forKey: variable) {
            return RawSetting(text, from: .environment)
        }
        if let path = environment[SettingDeclaration.variable(of: name) + "_FILE"],
            let text = FileIO.text(path)
        {
            return RawSetting(Self.withoutLastNewline(text), from: .environment)
        }
        return file.string(forKey: key).map { RawSetting($0, from: .file) }
    }

    /// What is wrong with `_FILE` variables.
    func unreadable(_ declarations: [SettingDeclaration]) -> [SettingComplaint] {
        declarations.filter(\.mayComeFromFile).compactMap { declaration in
            let variable = declaration.variable + "_FILE"
            guard let path = environment[variable] else { return nil }
            if environment[declaration.variable] != nil {
                return SettingComplaint(
                    declaration.name,
                    "\(declaration.variable) and \(variable) are both set: keep one of them."
                )
            }
            guard FileIO.read(path) == nil else { return nil }
            return SettingComplaint(
                declaration.name,
                "\(variable) names \(path), which cannot be read: \(FileIO.reason)."
            )
        }
    }

    /// Editors and `echo` end a file with a newline that is no part of the secret.
    private static func withoutLastNewline(_ text: String) -> String {
        var text = Substring(text)
        while let last = text.last, last.isNewline { text.removeLast() }
        return String(text)
    }
}

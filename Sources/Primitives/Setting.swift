// What a setting is: its declaration, where its value came from, and what is wrong with it. Data
// only; reading is `SettingsSource`, files and the environment belong to the executable.

/// Where a value came from, weakest first: a later one wins.
package enum SettingOrigin: String, Sendable, CaseIterable {
    /// The default of the declaration.
    case `default`
    /// The configuration file.
    case file
    /// A `WATCHWORD_*` variable, or the file that one named.
    case environment
    /// `--set name=value`.
    case flag
}

/// The kind of a setting's value, which decides how it is written.
package enum SettingKind: Sendable, Equatable {
    /// `15m`, `10s`, `14d`, `500ms` or plain seconds.
    case duration
    /// A whole number.
    case integer
    /// `64KiB`, `10MiB` or plain bytes.
    case bytes
    /// `true` or `false`.
    case boolean
    /// Any text.
    case text
    /// Text that is never shown and never taken from a flag.
    case secret
    /// One of these words.
    case choice([String])
    /// Words separated by commas.
    case list
    /// A URL; its password is never shown.
    case url
    /// A path in the file system.
    case path

    /// What manuals and answers call it.
    package var word: String {
        switch self {
        case .duration: "duration"
        case .integer: "integer"
        case .bytes: "size"
        case .boolean: "boolean"
        case .text: "text"
        case .secret: "secret"
        case .choice: "choice"
        case .list: "list"
        case .url: "URL"
        case .path: "path"
        }
    }
}

/// A value as it was found, still text.
package struct RawSetting: Sendable {
    /// The text.
    package let text: String
    /// Where it was found.
    package let origin: SettingOrigin

    /// A value found at `origin`.
    package init(_ text: String, from origin: SettingOrigin) {
        self.text = text
        self.origin = origin
    }
}

/// One setting as its domain declares it, with the value in effect.
package struct SettingDeclaration: Sendable {
    /// The dotted name: `sessions.idle_limit`.
    package let name: String
    /// How the value is written.
    package let kind: SettingKind
    /// The default as text; nil where there is none.
    package let defaultText: String?
    /// The limits in words; nil where there are none.
    package let limits: String?
    /// One or two sentences for the manual.
    package let help: String
    /// The value in effect, fit to be shown: secrets and passwords are dots.
    package let shown: String
    /// Where the value in effect came from.
    package let origin: SettingOrigin

    /// The variable that sets it: `WATCHWORD_SESSIONS_IDLE_LIMIT`.
    package var variable: String { Self.variable(of: name) }

    /// Whether `<variable>_FILE` may name a file that holds the value.
    package var mayComeFromFile: Bool { kind == .secret || kind == .url }

    /// The variable that sets the setting `name`.
    package static func variable(of name: String) -> String {
        "WATCHWORD_" + name.uppercased().map { $0 == "." ? "_" : String($0) }.joined()
    }
}

/// One thing that is wrong with the configuration, as a sentence that names the setting.
package struct SettingComplaint: Sendable, Equatable, CustomStringConvertible {
    /// The name the sentence is about.
    package let name: String
    /// The sentence.
    package let description: String

    /// A complaint about `name`.
    package init(_ name: String, _ description: String) {
        self.name = name
        self.description = description
    }
}

// `watchword version`, and what the version is.
import ArgumentParser

/// What this executable is.
enum Version {
    /// The version of the release.
    static let number = "0.1.0"

    #if DEBUG
    /// How it was built.
    static let build = "debug"
    #else
    /// How it was built.
    static let build = "release"
    #endif

    #if compiler(>=6.4)
    /// The compiler it was built with.
    static let swift = "6.4 or later"
    #elseif compiler(>=6.3)
    /// The compiler it was built with.
    static let swift = "6.3"
    #else
    /// The compiler it was built with.
    static let swift = "6.2"
    #endif

    /// One line for people.
    static let text = "watchword \(number) (Swift \(swift), \(build))"

    /// For programs.
    static let json = JSONText.object([
        ("name", JSONText.string("watchword")), ("version", JSONText.string(number)),
        ("swift", JSONText.string(swift)), ("build", JSONText.string(build)),
    ])
}

/// `watchword version`.
struct VersionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version",
        abstract: "Show the version."
    )

    @Flag(help: "Answer in JSON.") var json = false

    func run() async throws { Output.line(json ? Version.json : Version.text) }
}

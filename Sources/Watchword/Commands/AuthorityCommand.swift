// `watchword authority`: who holds the head of the revocation log, from the command line.
import ArgumentParser
import Primitives

/// `watchword authority`.
struct AuthorityCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "authority",
        abstract: "Show, close or adopt the authority of the revocation log.",
        subcommands: [Show.self, Close.self, Adopt.self]
    )

    private static func load(_ options: ConfigurationOptions) throws -> Settings {
        let settings = try options.load().settings
        try settings.server.requireDatabase()
        return settings
    }

    private static func show(_ report: AuthorityReport, asJSON: Bool) {
        Output.line(asJSON ? json(report) : text(report))
    }

    private static func text(_ report: AuthorityReport) -> String {
        var lines = [
            "epoch \(report.epoch)  \(report.state)  lease \(SettingText.text(of: report.lease))"
        ]
        for member in report.members {
            let state = member.holdsToken ? "member" : "not a member"
            lines.append("\(member.endpoint)  \(state)  \(member.complaint ?? "fit")")
        }
        return lines.joined(separator: "\n")
    }

    private static func json(_ report: AuthorityReport) -> String {
        let members = report.members.map { member in
            JSONText.object([
                ("endpoint", JSONText.string(member.endpoint)),
                ("holds_token", member.holdsToken ? "true" : "false"),
                ("complaint", member.complaint.map(JSONText.string) ?? "null"),
            ])
        }
        return JSONText.object([
            ("epoch", "\(report.epoch)"), ("state", JSONText.string(report.state)),
            ("lease_ms", "\(report.lease.wholeMicroseconds / 1000)"),
            ("members", "[\(members.joined(separator: ","))]"),
        ])
    }

    /// `watchword authority show`.
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the authority and look at each member named in the settings."
        )
        @Flag(help: "Answer in JSON.") var json = false
        @OptionGroup var configuration: ConfigurationOptions

        func run() async throws {
            let settings = try AuthorityCommand.load(configuration)
            AuthorityCommand.show(try await Services.showAuthority(settings), asJSON: json)
        }
    }

    /// `watchword authority close`.
    struct Close: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make PostgreSQL the authority; ends when no node asks Redis any more.",
            discussion: """
                Nodes adopt the members again after authority.adopt_after, unless \
                authority.adoption is manual.
                """
        )
        @Flag(help: "Answer in JSON.") var json = false
        @OptionGroup var configuration: ConfigurationOptions

        func run() async throws {
            let settings = try AuthorityCommand.load(configuration)
            AuthorityCommand.show(try await Services.closeAuthority(settings), asJSON: json)
        }
    }

    /// `watchword authority adopt`.
    struct Adopt: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Empty the members named in the settings and make them the authority."
        )
        @Flag(help: "Answer in JSON.") var json = false
        @OptionGroup var configuration: ConfigurationOptions

        func run() async throws {
            let settings = try AuthorityCommand.load(configuration)
            AuthorityCommand.show(try await Services.adoptAuthority(settings), asJSON: json)
        }
    }
}

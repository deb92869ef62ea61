// `watchword keys`: the key ring from the command line.
import ArgumentParser
import Primitives
import Tokens

/// `watchword keys`.
struct KeysCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys",
        abstract: "List, rotate, remove and rewrap signing keys.",
        subcommands: [
            List.self, Rotate.self, Remove.self, Rewrap.self, Generate.self,
        ]
    )

    private static func json(_ key: KeyView) -> String {
        JSONText.object([
            ("id", JSONText.string(key.id.description)), ("use", JSONText.string(key.use)),
            ("state", JSONText.string(key.state.rawValue)),
            ("created_at", JSONText.string(key.createdAt.description)),
        ])
    }

    private static func load(_ options: ConfigurationOptions) throws -> Settings {
        let settings = try options.load().settings
        try settings.server.requireDatabase()
        let complaints = ProductionChecks.masterKey(settings.server.masterKey)
        guard complaints.isEmpty else { throw ConfigurationError(complaints) }
        return settings
    }

    /// `watchword keys list`.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the keys of the ring.")
        @Flag(help: "Answer in JSON.") var json = false
        @OptionGroup var configuration: ConfigurationOptions

        func run() async throws {
            let keys = try await Services.listKeys(try KeysCommand.load(configuration))
            let list = keys.map { "\($0.id)  \($0.use)  \($0.state.rawValue)  \($0.createdAt)" }
            let entries = keys.map(KeysCommand.json).joined(separator: ",")
            Output.line(json ? "{\"keys\":[\(entries)]}" : list.joined(separator: "\n"))
        }
    }

    /// `watchword keys rotate`.
    struct Rotate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a new signing key; it takes over once every node knows it."
        )
        @Flag(help: "Let it sign at once, where the one before may be known to somebody.")
        var atOnce = false
        @Flag(help: "Answer in JSON.") var json = false
        @OptionGroup var configuration: ConfigurationOptions

        func run() async throws {
            let key = try await Services.rotateKeys(
                try KeysCommand.load(configuration),
                atOnce: atOnce
            )
            Output.line(
                json ? KeysCommand.json(key) : "Made the key \(key.id) (\(key.state.rawValue))."
            )
        }
    }

    /// `watchword keys remove`.
    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take a signing key out of use; its tokens are refused at once, everywhere.",
            discussion: "Another must be active: make one with `watchword keys rotate --at-once`."
        )
        @Argument(help: "Its id.") var key: String
        @OptionGroup var deletion: DeletionOptions
        @Flag(help: "Answer in JSON.") var json = false
        @OptionGroup var configuration: ConfigurationOptions

        func run() async throws {
            try deletion.requireYes()
            guard let id = KeyID(key) else {
                throw CommandFailure(.notFound, "There is no key \(JSONText.plain(key)).")
            }
            try await Services.removeKey(id, try KeysCommand.load(configuration))
            Output.line(json ? "{\"id\":\"\(id)\"}" : "Removed the key \(id).")
        }
    }

    /// `watchword keys rewrap`.
    struct Rewrap: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Wrap every stored key and seed with the master key in effect.",
            discussion: """
                The configuration holds the former master key and the new one, as \
                1:FORMER,2:NEW; the highest version seals. A day later the former can go: until \
                then it opens what was kept for idempotency keys.
                """
        )
        @Flag(help: "Answer in JSON.") var json = false
        @OptionGroup var configuration: ConfigurationOptions

        func run() async throws {
            let count = try await Services.rewrapKeys(try KeysCommand.load(configuration))
            Output.line(
                json
                    ? "{\"rewrapped\":\(count.keys),\"seeds\":\(count.seeds),"
                        + "\"seeds_unopened\":\(count.unopened)}"
                    : "Rewrapped \(count.keys) keys and \(count.seeds) seeds of authenticators."
            )
            guard count.unopened == 0 else {
                throw CommandFailure(
                    .failure,
                    "\(count.unopened) seeds do not open with any version that is configured."
                )
            }
        }
    }

    /// `watchword keys generate`.
    struct Generate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print a new master key, for a file that only the service may read."
        )
        @Option(help: "Its version: one more than that of the key it will replace.")
        var version = 1

        func run() async throws {
            Output.line(MasterKey.generate(version: version, entropy: .system))
        }
    }
}

// `watchword admin audit`: the audit log at the terminal, for whoever has the database: the same
// use case as behind the API, without a caller. What is wrong with an option is said and exits
// with 64.
import ArgumentParser
import Audit
import Primitives

/// `watchword admin audit`.
struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit",
        abstract: "Show who did what to whom, newest first."
    )

    @Option(help: "What was done to this account (id).") var account: String?
    @Option(help: "What this account did (id).") var actor: String?
    @Option(help: "What was done, as session.signed-in.") var action: String?
    @Option(help: "From this instant on, as 2026-11-21T06:00:00Z.") var from: String?
    @Option(help: "Before this instant.") var to: String?
    @Option(help: "How many entries at most, 1 to 200.") var limit = PageRequest.defaultLimit
    @Option(help: "Where to go on: the next_cursor of --json.") var cursor: String?
    @Flag(help: "Answer in JSON.") var json = false
    @OptionGroup var configuration: ConfigurationOptions

    func run() async throws {
        let filter = AuditFilter(
            account: try Self.read("account", account, "an id") { AccountID($0) },
            actor: try Self.read("actor", actor, "an id") { AccountID($0) },
            action: try Self.read("action", action, "an action of the log") {
                AuditAction(rawValue: $0)
            },
            from: try Self.read("from", from, "an instant in UTC") { Timestamp($0) },
            to: try Self.read("to", to, "an instant in UTC") { Timestamp($0) }
        )
        guard (1...PageRequest.maximumLimit).contains(limit) else {
            throw CommandFailure(.usage, "--limit must be 1 to \(PageRequest.maximumLimit).")
        }
        let start = try Self.read("cursor", cursor, "a next_cursor of this list") { text in
            Cursor(text: text).flatMap { $0.bytes.count == 16 ? $0 : nil }
        }
        let settings = try configuration.load().settings
        try settings.server.requireDatabase()
        let page = try await Services.listAudit(
            databaseURL: settings.server.databaseURL,
            filter,
            PageRequest(limit: limit, cursor: start)
        )
        // Details hold names that somebody has chosen (checklist row 301).
        Output.line(json ? JSONText.plain(Self.json(page)) : Self.table(page.items))
        if !json, let cursor = page.nextCursor { Output.note("More: --cursor=\(cursor)") }
    }

    /// The value of an option, or the sentence that says what it must be.
    private static func read<Value>(
        _ name: String,
        _ text: String?,
        _ wanted: String,
        _ parse: (String) -> Value?
    ) throws(CommandFailure) -> Value? {
        guard let text else { return nil }
        guard let value = parse(text) else {
            throw CommandFailure(.usage, "--\(name) must be \(wanted).")
        }
        return value
    }

    private static func table(_ entries: [AuditEntry]) -> String {
        TextTable.text(
            ["AT", "ACTION", "ACTOR", "ACCOUNT", "ADDRESS"],
            entries.map { entry in
                [
                    entry.at.description, entry.action, entry.actor?.description ?? "-",
                    entry.account?.description ?? "-", entry.address,
                ]
            }
        )
    }

    private static func json(_ page: Page<AuditEntry>) -> String {
        func text(_ value: (some CustomStringConvertible)?) -> String {
            value.map { JSONText.string($0.description) } ?? "null"
        }
        let entries = page.items.map { entry in
            JSONText.object([
                ("id", text(entry.id)), ("at", text(entry.at)), ("action", text(entry.action)),
                ("actor_id", text(entry.actor)), ("account_id", text(entry.account)),
                ("session_id", text(entry.session)), ("ip_address", text(entry.address)),
                ("request_id", text(entry.request)), ("detail", entry.detail),
            ])
        }
        return "{\"items\":[\(entries.joined(separator: ","))],"
            + "\"next_cursor\":\(text(page.nextCursor))}"
    }
}

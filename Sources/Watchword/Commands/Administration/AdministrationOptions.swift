// What every command of administration shares: `--json`, the configuration, and how an answer is
// shown. JSON is one document with the members that the API answers; nothing in it can pretend to
// be something else at a terminal (checklist row 301).
import Access
import Accounts
import ArgumentParser
import Primitives
import Web

/// `--json` and the configuration.
struct AdministrationOptions: ParsableArguments {
    @Flag(help: "Answer in JSON, with the members of the API.") var json = false
    @OptionGroup var configuration: ConfigurationOptions

    /// Lends the use cases of administration to `body`.
    func administer<R: Sendable>(
        needsThrottle: Bool = false,
        _ body: (TerminalDesk) async throws -> R
    ) async throws -> R {
        let settings = try configuration.load().settings
        return try await Services.administer(settings, needsThrottle: needsThrottle, body)
    }

    /// Shows an answer.
    func show(json document: @autoclosure () -> String, text: @autoclosure () -> String) {
        Output.line(json ? JSONText.plain(document()) : text())
    }

    /// Shows a page as a table, and says on standard error where the next one begins.
    func show<Item>(
        _ page: Page<Item>,
        json document: (Page<Item>) -> String,
        _ headings: [String],
        row: (Item) -> [String]
    ) {
        show(json: document(page), text: TextTable.text(headings, page.items.map(row)))
        if !json, let cursor = page.nextCursor { Output.note("More: --cursor=\(cursor)") }
    }
}

/// `--limit` and `--cursor`.
struct PageOptions: ParsableArguments {
    @Option(help: "How many at most, 1 to 200.") var limit: Int?
    @Option(help: "Where to go on: the next_cursor of --json.") var cursor: String?

    /// Both, as in the query of a list.
    var form: [String: [String]] {
        var form: [String: [String]] = [:]
        if let limit { form["limit"] = ["\(limit)"] }
        if let cursor { form["cursor"] = [cursor] }
        return form
    }
}

/// `--yes`, which deleting wants.
struct DeletionOptions: ParsableArguments {
    @Flag(help: "Really do it.") var yes = false

    /// Refuses without it, before anything is opened.
    func requireYes() throws(CommandFailure) {
        guard yes else { throw CommandFailure(.usage, "This cannot be undone: say --yes.") }
    }
}

/// Which account is meant.
struct AccountArgument: ParsableArguments {
    @Argument(help: "Its id, e-mail address or user name.") var account: String
}

extension Optional where Wrapped: CustomStringConvertible {
    /// The value in a cell of a table.
    var cell: String { map(\.description) ?? "-" }
}

extension Bool {
    /// The value in a cell of a table.
    var cell: String { self ? "yes" : "no" }
}

// `watchword admin keys` and `signing-keys`: the API keys of services, and the keys that sign
// tokens. Neither ever shows a key itself (checklist row 168).
import Access
import Accounts
import ArgumentParser
import Primitives
import Tokens
import Web

/// `watchword admin keys`.
struct APIKeysCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys",
        abstract: "API keys of services.",
        subcommands: [List.self, Revoke.self]
    )

    /// `watchword admin keys list`.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the keys of a service, those that were taken back among them."
        )
        @Argument(help: "The service: its id or name.") var service: String
        @OptionGroup var page: PageOptions
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            let request = try TerminalForms.page(page.form)
            let list = try await options.administer { desk in
                try await desk.keys.list(of: desk.account(service).summary.id, request)
            }
            options.show(
                list,
                json: TerminalForms.json,
                ["ID", "BEGINS", "NAME", "CREATED", "EXPIRES", "LAST USED", "REVOKED"]
            ) { key in
                [
                    key.id.description, APIKey.beginning(of: key.id), key.name,
                    key.createdAt.description, key.expiresAt.cell, key.lastUsedAt.cell,
                    key.revokedAt.cell,
                ]
            }
        }
    }

    /// `watchword admin keys revoke`.
    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take a key back; it opens nothing anywhere when the command ends."
        )
        @Argument(help: "The service: its id or name.") var service: String
        @Argument(help: "The id of the key.") var key: String
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            guard let id = APIKeyID(key) else {
                throw CommandFailure(.usage, "The key must be given by its id.")
            }
            let account = try await options.administer { desk in
                let account = try await desk.account(service)
                do {
                    try await desk.keys.revoke(
                        id,
                        of: account.summary.id,
                        by: desk.by,
                        desk.trace
                    )
                } catch APIKeyRefusal.notFound {
                    throw CommandFailure(.notFound, "The service has no key \(id).")
                }
                return account
            }
            options.show(
                json: "{\"account\":\"\(account.summary.id)\",\"id\":\"\(id)\"}",
                text: "Took back the key \(id) of \(account.name)."
            )
        }
    }
}

/// `watchword admin signing-keys`.
struct SigningKeysCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "signing-keys",
        abstract: "Keys that sign tokens; `watchword keys` rotates them.",
        subcommands: [List.self]
    )

    /// `watchword admin signing-keys list`.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the signing keys, those that sign last first."
        )
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            let settings = try options.configuration.load().settings
            try settings.server.requireDatabase()
            let use = KeyUse.accessToken.rawValue
            let keys = try await Services.listKeys(settings).filter { $0.use == use }
            options.show(
                // There are few of them: always one page.
                Page(keys, nextCursor: nil),
                json: TerminalForms.json,
                ["ID", "STATE", "CREATED", "ACTIVE FROM", "RETIRED"]
            ) { key in
                [
                    key.id.description, key.state.rawValue, key.createdAt.description,
                    key.activeFrom.description, key.retiredAt.cell,
                ]
            }
        }
    }
}

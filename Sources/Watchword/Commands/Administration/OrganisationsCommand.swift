// `watchword admin organisations`: which there are.
import Access
import ArgumentParser
import Primitives
import Web

/// `watchword admin organisations`.
struct OrganisationsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "organisations",
        abstract: "Organisations.",
        subcommands: [List.self]
    )

    /// `watchword admin organisations list`.
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the organisations.")
        @OptionGroup var page: PageOptions
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            let request = try TerminalForms.page(page.form)
            let list = try await options.administer { desk in
                try await desk.organisations.list(within: .everywhere, request)
            }
            options.show(
                list,
                json: TerminalForms.json,
                ["ID", "NAME", "DISPLAY NAME", "STATE", "CREATED"]
            ) { organisation in
                [
                    organisation.id.description, organisation.name, organisation.displayName,
                    organisation.state.rawValue, organisation.createdAt.description,
                ]
            }
        }
    }
}

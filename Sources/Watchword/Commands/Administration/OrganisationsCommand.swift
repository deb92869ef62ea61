// `watchword admin organisations`: which there are, and closing them. Each change is in force on
// every node when the command ends (W11).
import Access
import ArgumentParser
import Primitives
import Web

/// `watchword admin organisations`.
struct OrganisationsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "organisations",
        abstract: "Organisations.",
        subcommands: [List.self, Disable.self, Enable.self, Delete.self]
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

    /// `watchword admin organisations disable`.
    struct Disable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let nobody act in an organisation; what is held there opens nothing."
        )
        @Argument(help: "Its id or name.") var organisation: String
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.change(organisation, to: .disabled, "Disabled")
        }
    }

    /// `watchword admin organisations enable`.
    struct Enable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let its members act in an organisation again."
        )
        @Argument(help: "Its id or name.") var organisation: String
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.change(organisation, to: .active, "Enabled")
        }
    }

    /// `watchword admin organisations delete`.
    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove an organisation for good, with all that is held there."
        )
        @Argument(help: "Its id or name.") var organisation: String
        @OptionGroup var deletion: DeletionOptions
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try deletion.requireYes()
            let view = try await options.administer { desk in
                let view = try await desk.organisation(organisation)
                try await desk.organisations.remove(view.id, by: desk.by, desk.trace)
                return view
            }
            options.show(
                json: "{\"id\":\"\(view.id)\"}",
                text: "Removed \(view.name) (\(view.id))."
            )
        }
    }
}

extension AdministrationOptions {
    /// Changes the state of an organisation and shows it as it is then; `done` begins the sentence.
    fileprivate func change(
        _ name: String,
        to state: OrganisationState,
        _ done: String
    ) async throws {
        let view = try await administer { desk in
            try await desk.organisations.change(
                desk.organisation(name).id,
                displayName: nil,
                state: state,
                by: desk.by,
                desk.trace
            )
        }
        show(json: TerminalForms.json(view), text: "\(done) \(view.name).")
    }
}

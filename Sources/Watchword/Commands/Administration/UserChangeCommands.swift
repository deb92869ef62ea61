// What `watchword admin users` does to one account. Each change is in force on every node when the
// command ends (W1); afterwards the account is shown as it is then.
import Access
import Accounts
import ArgumentParser
import Primitives
import Sessions
import Web

extension AdministrationOptions {
    /// Changes an account and shows it as it is afterwards; `done` begins the sentence.
    func change(
        _ whose: AccountArgument,
        _ done: String,
        needsThrottle: Bool = false,
        _ body: (TerminalDesk, AccountSummary) async throws -> Void
    ) async throws {
        let (before, after) = try await administer(needsThrottle: needsThrottle) { desk in
            let before = try await desk.account(whose.account)
            try await body(desk, before.summary)
            let id = before.summary.id
            return (before, try await desk.accounts.get(id, in: .everywhere, now: desk.trace.now))
        }
        show(json: TerminalForms.json(after), text: "\(done) \(before.name).")
    }
}

extension UsersCommand {
    /// `watchword admin users disable`.
    struct Disable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let nobody use an account; no token of it opens anything any more."
        )
        @OptionGroup var whose: AccountArgument
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.change(whose, "Disabled") { desk, account in
                let change = desk.changeState
                try await change.disable(account.id, account.kind, by: desk.by, desk.trace)
            }
        }
    }

    /// `watchword admin users enable`.
    struct Enable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let an account be used again, by signing in anew."
        )
        @OptionGroup var whose: AccountArgument
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.change(whose, "Enabled") { desk, account in
                let change = desk.changeState
                try await change.enable(account.id, account.kind, by: desk.by, desk.trace)
            }
        }
    }

    /// `watchword admin users unlock`.
    struct Unlock: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Forget the failed sign-ins of an account, so that it may try again.",
            discussion: "They are counted in Redis; what a node counted without it stays there."
        )
        @OptionGroup var whose: AccountArgument
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.change(whose, "Unlocked", needsThrottle: true) { desk, account in
                try await desk.unlock(account.id, by: desk.by, desk.trace)
            }
        }
    }

    /// `watchword admin users require-password`.
    struct RequirePassword: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "require-password",
            abstract: "Let the password open no session until it is replaced at a sign-in."
        )
        @OptionGroup var whose: AccountArgument
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.change(whose, "Wanted another password of") { desk, account in
                try await desk.requirePasswordChange(of: account.id, by: desk.by, desk.trace)
            }
        }
    }

    /// `watchword admin users reset-second-factor`.
    struct ResetSecondFactor: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "reset-second-factor",
            abstract: "Take away a second factor that is lost, and end every session.",
            discussion: "Whoever knows the password signs in with it alone from then on."
        )
        @OptionGroup var whose: AccountArgument
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.change(whose, "Took the second factor of") { desk, account in
                try await desk.resetSecondFactor(of: account.id, by: desk.by, desk.trace)
            }
        }
    }

    /// `watchword admin users end-sessions`.
    struct EndSessions: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "end-sessions",
            abstract: "End every session of an account."
        )
        @OptionGroup var whose: AccountArgument
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try await options.change(whose, "Ended every session of") { desk, account in
                try await desk.endSessions.all(of: account.id, by: desk.by, desk.trace)
            }
        }
    }

    /// `watchword admin users delete`.
    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Erase a person or a service, free the names. The id stays taken."
        )
        @OptionGroup var whose: AccountArgument
        @OptionGroup var deletion: DeletionOptions
        @OptionGroup var options: AdministrationOptions

        func run() async throws {
            try deletion.requireYes()
            try await options.change(whose, "Deleted") { desk, account in
                let change = desk.changeState
                try await change.delete(account.id, account.kind, by: desk.by, desk.trace)
            }
        }
    }
}

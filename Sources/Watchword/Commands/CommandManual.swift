// The manual of the command line, from the commands themselves: docs/commands.md, and the manual
// page in mdoc(7). Both are generated, so an option cannot be there and not be told of.
import ArgumentParser

/// Writes what `--help` says of every command.
enum CommandManual {
    /// The page for people.
    static var markdown: String {
        var text = """
            # Commands

            Generated from the commands; `make regenerate` rewrites it. `man docs/watchword.1` \
            says the same.

            """
        for command in all {
            text += "\n## `\(command.words)`\n\n```text\n\(help(of: command.type))\n```\n"
        }
        return text
    }

    /// The manual page.
    static var page: String {
        var text = """
            .\\" Generated from the commands; `make regenerate` rewrites it.
            .Dd 2026
            .Dt WATCHWORD 1
            .Os
            .Sh NAME
            .Nm watchword
            .Nd \(WatchwordCommand.configuration.abstract.dropLast())
            .Sh SYNOPSIS
            .Nm
            .Ar command
            .Op options
            .Sh DESCRIPTION

            """
        text += paragraphs(escaped(WatchwordCommand.configuration.discussion))
        text += "\n.Sh COMMANDS\n"
        for command in all {
            text += ".Ss \(command.words)\n.Bd -literal\n\(escaped(help(of: command.type)))\n.Ed\n"
        }
        return text + """
            .Sh ENVIRONMENT
            Every setting can be given as a variable: docs/configuration.md.

            """
    }

    private typealias Entry = (words: String, type: any ParsableCommand.Type)

    /// Every command in the order of the help, groups before what is in them.
    private static var all: [Entry] {
        Array(below(WatchwordCommand.self, "watchword").dropFirst())
    }

    private static func below(_ type: any ParsableCommand.Type, _ words: String) -> [Entry] {
        [(words, type)]
            + type.configuration.subcommands.flatMap { below($0, "\(words) \($0._commandName)") }
    }

    private static func help(of type: any ParsableCommand.Type) -> String {
        let text = WatchwordCommand.helpMessage(for: type, columns: 100)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            .map { String($0.reversed().drop { $0 == " " }.reversed()) }
        return lines.reversed().drop(while: \.isEmpty).reversed().joined(separator: "\n")
    }

    /// An empty line begins a paragraph.
    private static func paragraphs(_ text: String) -> String {
        text.replacing("\n\n", with: "\n.Pp\n")
    }

    /// A line that begins with a dot or an apostrophe is a request, a backslash begins an escape,
    /// and a hyphen of an option must stay one.
    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\e").replacing("-", with: "\\-")
            .split(separator: "\n", omittingEmptySubsequences: false)
            .map { $0.first == "." || $0.first == "'" ? "\\&\($0)" : String($0) }
            .joined(separator: "\n")
    }
}

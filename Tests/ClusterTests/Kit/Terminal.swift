// An operator at a terminal: runs `watchword admin …` with the settings of a cluster, and keeps
// what it answers apart from what it complains about.
import Glibc
import Primitives
import TestKit

/// What a command wrote, and how it ended.
struct TerminalAnswer: Sendable {
    /// The exit code.
    let status: Int32
    /// The standard output.
    let output: String
    /// The standard error.
    let errors: String

    /// The standard output as an answer in JSON.
    var answer: HTTPAnswer { HTTPAnswer(status: 200, fields: [], body: output) }

    /// A text member of the answer.
    func text(_ path: String) -> String? { answer.text(path) }
}

extension Cluster {
    /// Runs `watchword admin` with `words`; a password in its answer is a secret from then on.
    ///
    /// - Parameters:
    ///   - input: its standard input.
    ///   - set: variables that differ from those of the nodes; an empty one is left out.
    func terminal(
        _ words: String...,
        input: String = "",
        set: [String: String] = [:]
    ) async throws -> TerminalAnswer {
        try await terminal(all: words, input: input, set: set)
    }

    /// The same with words that are in a list, of `watchword admin` or of another command.
    func terminal(
        of command: String = "admin",
        all words: [String],
        input: String = "",
        set: [String: String] = [:]
    ) async throws -> TerminalAnswer {
        let folder = try PrivateFolder.make("ww-terminal")
        let janitor = try PrivateFolder.removeAtExit(folder)
        defer { PrivateFolder.release(janitor) }
        try PrivateFolder.write(input, to: "\(folder)/input")
        let environment = variables.merging(set) { $1 }.filter { !$0.value.isEmpty }
        let script = "exec \"$@\" <\(folder)/input >\(folder)/output 2>\(folder)/errors"
        let line =
            try ["sh", "-c", script, "sh", "env", "-i"]
            + environment.map { "\($0.key)=\($0.value)" } + [NodeProcess.binary, command] + words
        let status = try await Blocking.run {
            try ChildProcess.launch(line, log: "\(folder)/log").wait()
        }
        let answer = TerminalAnswer(
            // As wait(2) tells it: the exit code is the second byte.
            status: status >> 8,
            output: PrivateFolder.read("\(folder)/output"),
            errors: PrivateFolder.read("\(folder)/errors") + PrivateFolder.read("\(folder)/log")
        )
        if let password = answer.text("password") { secrets.add(password, "password") }
        return answer
    }
}

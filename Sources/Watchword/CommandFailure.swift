// How a command fails: one clear sentence on standard error and an exit code that a script can act
// on. The codes are part of the interface and are listed in `watchword --help`.
import ArgumentParser

/// A failure that ends the process.
struct CommandFailure: Error, CustomStringConvertible {
    /// The exit codes, besides 0.
    enum Code: Int32, Sendable {
        /// Anything without a code of its own.
        case failure = 1
        /// The command line makes no sense.
        case usage = 64
        /// A store cannot be reached.
        case unavailable = 69
        /// The configuration is wrong.
        case configuration = 78
    }

    /// Which kind.
    let code: Code
    /// The sentence.
    let description: String

    /// A failure that is described by `sentence`.
    init(_ code: Code, _ sentence: String) {
        self.code = code
        description = sentence
    }

    /// The failure that `error` means at the edge; nil for the parser's own errors, help included.
    init?(_ error: any Error) {
        switch error {
        case let failure as CommandFailure: self = failure
        case let error as ConfigurationError: self.init(.configuration, error.description)
        case let error as LocalServerError: self.init(.failure, error.description)
        default: return nil
        }
    }
}

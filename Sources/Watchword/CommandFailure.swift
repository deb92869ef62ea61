// How a command fails: one clear sentence on standard error and an exit code that a script can act
// on. The codes are part of the interface and are listed in `watchword --help`. What the API would
// refuse with a problem ends in that problem's code, in parentheses.
import ArgumentParser
import Primitives

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

    /// A refusal or a fault, by the code of the problem it is at the API.
    init(_ problem: ProblemCode, _ sentence: String) {
        let code: Code =
            switch problem.status {
            case _ where problem == .validationFailed: .usage
            case 503: .unavailable
            default: .failure
            }
        self.init(code, "\(sentence) (\(problem.rawValue))")
    }

    private init(_ refusal: any Refusal) {
        let members = refusal.memberErrors.map { "\($0.member) \($0.detail)" }
        let sentence = refusal.detail ?? refusal.code.meaning
        self.init(
            refusal.code,
            members.isEmpty ? sentence : members.joined(separator: "; ") + "."
        )
    }

    /// The failure that `error` means at the edge; nil for the parser's own errors, help included.
    init?(_ error: any Error) {
        switch error {
        case let failure as CommandFailure: self = failure
        case let error as ConfigurationError: self.init(.configuration, error.description)
        case let error as LocalServerError: self.init(.failure, error.description)
        case let refusal as any Refusal: self.init(refusal)
        case let fault as any Fault where fault.isTransient:
            // After the commit of a revocation it may be done, and is not known to be in force.
            self.init(.storeUnavailable, "A store failed; ask again: \(fault).")
        default: return nil
        }
    }
}

// Every secret that the tests of a cluster have used or got: what must be found nowhere else (W7).
import Synchronization

/// The secrets seen so far.
final class KnownSecrets: Sendable {
    private let found = Mutex<[String: String]>([:])

    /// Each secret with what it is.
    var all: [String: String] { found.withLock { $0 } }

    /// Remembers a secret, such as a password.
    func add(_ secret: String, _ what: String) {
        guard secret.utf8.count >= 12 else { return }
        found.withLock { $0[secret] = what }
    }

    /// Remembers the tokens and cookies of an answer.
    func remember(_ answer: HTTPAnswer) {
        let names = [
            "access_token", "refresh_token", "csrf_token", "key", "secret", "otpauth_uri",
        ]
        let json = answer.json
        for name in names {
            if let secret = json.at(name)?.string { add(secret, name) }
        }
        for code in json.at("recovery_codes")?.items ?? [] {
            if let code = code.string { add(code, "recovery code") }
        }
        for (name, value) in answer.cookies { add(value, "cookie \(name)") }
    }
}

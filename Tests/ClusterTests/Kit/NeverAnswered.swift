// What no answer may hold, whoever asks and whatever for: hashes of passwords, digests of keys and
// tokens, sealed keys (row 168). Every answer that a test gets through `HTTPClient` is looked at,
// so that an operation that tells too much is found by whichever test calls it.
import Glibc
import Testing

/// What must never be answered.
enum NeverAnswered {
    /// The columns that hold secrets, or what secrets are compared with.
    static let columns = [
        "phc", "digest", "key_digest", "nonce_digest", "request_digest", "sealed", "request",
        "answer", "seed_sealed",
        "recovery_digests",
    ]
    /// Columns of bytes that hold none.
    static let harmlessColumns = ["public_key", "subject", "packed"]

    /// Names that such members have elsewhere; `d` is the private part of a key in a key set
    /// (RFC 8037 section 2).
    private static let otherNames = [
        "password_hash", "client_secret", "totp_secret", "reset_token", "private_key", "d",
    ]
    /// As a member of an object, and a hash wherever it stands.
    private static let patterns =
        (columns + otherNames).map { "\"\($0)\":" } + ["$argon2", "account_passwords"]

    /// What of it a body holds.
    static func found(in body: String) -> [String] {
        // Every body of every test: not a search to be done by letters.
        patterns.filter { strstr(body, $0) != nil }
    }

    /// Records an issue where an answer holds any of it.
    static func look(at answer: HTTPAnswer, to question: String) {
        let found = found(in: answer.body)
        guard !found.isEmpty else { return }
        // Without the body, which is what nobody should see.
        Issue.record("the answer to \(question) holds \(found)")
    }
}

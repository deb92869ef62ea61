// Recovery codes: what opens an account when the authenticator is lost (look-up secrets, NIST SP
// 800-63B-4 section 3.1.2). Each has 120 random bits, so a plain digest of it may be kept (at 112
// and more no slow hash is wanted, section 3.1.2.2).
import Crypto
import Primitives

/// One recovery code.
enum RecoveryCode {
    /// How many an account is given at a time.
    static let count = 10
    /// How many random bytes one has.
    static let length = 15

    /// A new code, in groups of four: `ABCD-EFGH-…`.
    static func make(_ entropy: Entropy) -> Secret {
        let digits = Array(Base32.encode(entropy.bytes(length)).utf8)
        let groups = stride(from: 0, to: digits.count, by: 4).map { digits[$0..<$0 + 4] }
        return Secret(Array(groups.joined(separator: [UInt8(ascii: "-")])))
    }

    /// What is kept of the code `typed`, however its letters are cased and its groups are set off;
    /// nil where it has not the form of one.
    static func digest(of typed: [UInt8]) -> [UInt8]? {
        let digits = typed.filter { $0 != UInt8(ascii: "-") && $0 != UInt8(ascii: " ") }
            .map { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) ? $0 - 32 : $0 }
        guard digits.count == length * 8 / 5, digits.allSatisfy(Base32.isDigit) else { return nil }
        return Array(SHA256.hash(data: Array("watchword recovery code ".utf8) + digits))
    }
}

// What may be a password (NIST SP 800-63B-4 section 3.1.1.2): long enough, not too long, not one
// that is guessed first. No composition rules. The only change ever made to it is NFC, when it is
// set and when it is checked (checklist row 19).
import CPasswordStrength
package import Primitives

/// Why a password may not be set; the raw value is the code of the member error.
package enum PasswordFlaw: String, Error, Sendable {
    /// Fewer code points than the least.
    case tooShort = "password-too-short"
    /// More bytes than the most. It is refused, never cut.
    case tooLong = "password-too-long"
    /// Among the first that are guessed, whole or as a pattern, or made of the account's own names.
    case tooCommon = "password-too-common"
    /// Holds a NUL, or is not Unicode that can be normalised.
    case unusable = "password-unusable"
}

/// A password in the form that is hashed.
package struct Password: Sendable {
    /// NFC of what was received, as UTF-8.
    let normalised: Secret

    /// Whether both are the same password.
    package func isSame(as other: Password) -> Bool {
        normalised.exposed == other.normalised.exposed
    }

    /// The most bytes of a password, before and after normalisation.
    package static let byteLimit = 1024

    /// Takes what was received as it is: no trimming, no change of case.
    package init(_ text: Secret) throws(PasswordFlaw) {
        guard text.exposed.count <= Self.byteLimit else { throw .tooLong }
        guard !text.exposed.contains(0),
            let valid = String(validating: text.exposed, as: UTF8.self),
            let composed = Unicode.normalised(valid, foldingCase: false, compatibility: false)
        else { throw .unusable }
        guard composed.utf8.count <= Self.byteLimit else { throw .tooLong }
        normalised = Secret(composed)
    }
}

/// The rules for new passwords.
package struct PasswordRules: Sendable {
    /// The fewest code points; 15 where the password is the only factor.
    package let minimumLength: Int
    /// The least strength, in bits as zxcvbn counts them: below it a password is among the first
    /// ten million or so that a guesser tries.
    package static let minimumBits = 24.0
    /// Passwords are rated by their first bytes, because rating is quadratic in the length.
    private static let ratedBytes = 64

    /// Rules with this minimum length.
    package init(minimumLength: Int) { self.minimumLength = minimumLength }

    /// Checks a password that is to be set, against the names of whose it will be (row 21).
    package func check(_ password: Password, names: [String]) throws(PasswordFlaw) {
        let text = String(decoding: password.normalised.exposed, as: UTF8.self)
        guard text.unicodeScalars.count >= minimumLength else { throw .tooShort }
        let words = (["watchword"] + names).map { $0.lowercased() }
        let folded = text.lowercased()
        for word in words where word.count >= 3 {
            // Nothing but a name, over and over, with a few characters around it.
            let rest = folded.split(separator: word, omittingEmptySubsequences: true).joined()
            if folded.contains(word), rest.count < min(8, minimumLength) { throw .tooCommon }
        }
        guard Self.bits(of: text) >= Self.minimumBits else { throw .tooCommon }
    }

    /// The strength of `text`.
    ///
    /// zxcvbn knows the words of ASCII and rates that part. Each different character beyond ASCII
    /// adds a few bits; a password with none in ASCII is of a script whose words are not known.
    private static func bits(of text: String) -> Double {
        let ascii = text.utf8.filter { $0 < 128 }
        let others = Set(text.unicodeScalars.filter { !$0.isASCII })
        if ascii.isEmpty { return minimumBits }
        let terminated = (ascii.prefix(ratedBytes) + [0]).map { CChar(bitPattern: $0) }
        let rated = unsafe terminated.withUnsafeBufferPointer {
            unsafe ZxcvbnMatch($0.baseAddress, nil, nil)
        }
        return rated + Double(others.count) * 6
    }
}

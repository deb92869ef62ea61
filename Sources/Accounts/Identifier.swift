// E-mail addresses and user names, and the one canonical form under which each is compared by
// sign-up, sign-in, throttles and everything else (checklist row 2). Normalisation is utf8proc's,
// IDNA is libidn2's.
import CUnicode
import Primitives

/// Why an identifier is refused.
package enum IdentifierFlaw: String, Error, Sendable {
    /// Not `local@domain` in a form we accept.
    case emailInvalid = "email-invalid"
    /// Letters, digits, `.`, `_` and `-`, 3 to 64 of them, beginning with a letter or digit.
    case usernameInvalid = "username-invalid"
}

/// An e-mail address.
package struct EmailAddress: Hashable, Sendable {
    /// As it was typed.
    package let text: String
    /// Lower-cased, with the domain in its ASCII form (RFC 5891).
    package let canonical: String

    /// Reads an address of at most 254 bytes (RFC 5321 section 4.5.3.1), without quoted local
    /// parts, comments or address literals.
    package init(_ text: String) throws(IdentifierFlaw) {
        guard text.utf8.count <= 254, let at = text.lastIndex(of: "@") else { throw .emailInvalid }
        let local = text[..<at]
        let domain = String(text[text.index(after: at)...])
        guard Self.isLocalPart(local), let ascii = Unicode.asciiDomain(domain),
            let folded = Unicode.normalised(String(local), foldingCase: true, compatibility: false)
        else { throw .emailInvalid }
        self.text = text
        canonical = "\(folded)@\(ascii)"
        guard canonical.utf8.count <= 254 else { throw .emailInvalid }
    }

    /// How the canonical form of addresses begins that begin with `text`; nil for what none begins
    /// with.
    ///
    /// A domain in other letters than those of ASCII must be whole to have a canonical form.
    package static func canonicalBeginning(_ text: String) -> String? {
        guard (1...254).contains(text.utf8.count), !text.utf8.contains(0) else { return nil }
        return Unicode.normalised(text, foldingCase: true, compatibility: false)
    }

    /// RFC 5322 `dot-atom-text`, and any letter beyond ASCII (RFC 6531 section 3.3).
    private static func isLocalPart(_ part: Substring) -> Bool {
        guard (1...64).contains(part.utf8.count), !part.hasPrefix("."), !part.hasSuffix("."),
            !part.contains("..")
        else { return false }
        return part.unicodeScalars.allSatisfy { scalar in
            switch scalar {
            case "a"..."z", "A"..."Z", "0"..."9", ".", "!", "#", "$", "%", "&", "'", "*", "+", "-",
                "/", "=", "?", "^", "_", "`", "{", "|", "}", "~":
                true
            default: scalar.value > 0x9F && scalar.properties.isAlphabetic
            }
        }
    }
}

/// A user name.
package struct Username: Hashable, Sendable {
    /// As it was typed.
    package let text: String
    /// NFKC with case folded, so that look-alike spellings are one name.
    package let canonical: String

    /// Reads a user name; one with `@` would pass for an address, so it is refused.
    package init(_ text: String) throws(IdentifierFlaw) {
        guard (3...64).contains(text.unicodeScalars.count),
            let folded = Unicode.normalised(text, foldingCase: true, compatibility: true),
            (3...64).contains(folded.unicodeScalars.count)
        else { throw .usernameInvalid }
        let isGood = folded.unicodeScalars.enumerated().allSatisfy { index, scalar in
            let isWord =
                scalar.properties.isAlphabetic || scalar.properties.numericType == .decimal
            return isWord || (index > 0 && (scalar == "." || scalar == "_" || scalar == "-"))
        }
        guard isGood else { throw .usernameInvalid }
        self.text = text
        canonical = folded
    }
}

/// What somebody signs in with: either of the two in one field.
package enum LoginName: Hashable, Sendable {
    case email(EmailAddress)
    case username(Username)

    /// Reads a login name; nil for text that can be neither, which is an unknown account.
    package init?(_ text: String) {
        // The flaw does not matter: to the outside it is one more wrong name.
        if let email = try? EmailAddress(text) {
            self = .email(email)
        } else if let username = try? Username(text) {
            self = .username(username)
        } else {
            return nil
        }
    }

    /// The canonical form.
    package var canonical: String {
        switch self {
        case .email(let email): email.canonical
        case .username(let username): username.canonical
        }
    }
}

/// Unicode normalisation and domain names, from the C libraries that keep the tables.
enum Unicode {
    /// NFC or NFKC of `text`, optionally with case folded; nil for text that cannot be normalised.
    static func normalised(_ text: String, foldingCase: Bool, compatibility: Bool) -> String? {
        var options = UTF8PROC_COMPOSE.rawValue | UTF8PROC_STABLE.rawValue
        if foldingCase { options |= UTF8PROC_CASEFOLD.rawValue }
        if compatibility { options |= UTF8PROC_COMPAT.rawValue }
        var source = Array(text.utf8)
        // utf8proc allocates the result, which is ours to free; the length is passed, so a NUL in
        // the text is an ordinary character to it.
        var result: UnsafeMutablePointer<UInt8>?
        let count = unsafe source.withUnsafeMutableBufferPointer { buffer in
            unsafe utf8proc_map(
                buffer.baseAddress,
                buffer.count,
                &result,
                utf8proc_option_t(rawValue: options)
            )
        }
        defer { unsafe free(result) }
        guard count >= 0, let result = unsafe result else { return nil }
        return unsafe String(
            decoding: UnsafeBufferPointer(start: result, count: count),
            as: UTF8.self
        )
    }

    /// The ASCII form of a domain name with at least two labels; nil for one that is not valid.
    static func asciiDomain(_ domain: String) -> String? {
        guard (3...253).contains(domain.utf8.count), !domain.utf8.contains(0) else { return nil }
        var result: UnsafeMutablePointer<CChar>?
        let flags = Int32(IDN2_NFC_INPUT.rawValue | IDN2_NONTRANSITIONAL.rawValue)
        let status = unsafe idn2_to_ascii_8z(domain, &result, flags)
        defer { unsafe free(result) }
        guard status == IDN2_OK.rawValue, let result = unsafe result else { return nil }
        let ascii = unsafe String(cString: result)
        let labels = ascii.split(separator: ".", omittingEmptySubsequences: false)
        let isGood = labels.allSatisfy { label in
            (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
                && label.utf8.allSatisfy { byte in
                    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                        || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                        || byte == UInt8(ascii: "-")
                }
        }
        return labels.count >= 2 && isGood && ascii.utf8.count <= 253 ? ascii : nil
    }
}

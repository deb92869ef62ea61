// The link that an authenticator reads from a picture: `otpauth://totp/…`, as all of them know it.
// It holds the seed, so it is shown to its owner once and never kept.
import Primitives

/// Writes such links.
enum AuthenticatorLink {
    /// The link for the seed `secret` in Base32.
    static func text(issuer: String, account: String, secret: String) -> String {
        let issuer = escaped(issuer)
        return "otpauth://totp/\(issuer):\(escaped(account))?secret=\(secret)&issuer=\(issuer)"
            + "&algorithm=SHA1&digits=\(TimeCode.digitCount)&period=\(TimeCode.period)"
    }

    /// Percent-encoded but for the unreserved characters (RFC 3986 section 2.3).
    private static func escaped(_ text: String) -> String {
        var out: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"), UInt8(ascii: "~"):
                out.append(byte)
            default: out += Array("%\(Hex.encode([byte]).uppercased())".utf8)
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}

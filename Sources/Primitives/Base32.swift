// Base32 (RFC 4648 section 6), without padding: what authenticators take seeds in, and what people
// can copy from paper. Only written, never read: who shows such a text shows the one he was given.

/// Writes Base32.
package enum Base32 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8)

    /// Whether `byte` is one of its digits, in upper case.
    package static func isDigit(_ byte: UInt8) -> Bool { alphabet.contains(byte) }

    /// The text of `bytes`, eight digits for five of them.
    package static func encode(_ bytes: some Sequence<UInt8>) -> String {
        var out: [UInt8] = []
        var buffer: UInt32 = 0
        var held = 0
        for byte in bytes {
            buffer = buffer << 8 | UInt32(byte)
            held += 8
            while held >= 5 {
                held -= 5
                out.append(alphabet[Int(buffer >> UInt32(held) & 31)])
            }
        }
        if held > 0 { out.append(alphabet[Int(buffer << UInt32(5 - held) & 31)]) }
        return String(decoding: out, as: UTF8.self)
    }
}

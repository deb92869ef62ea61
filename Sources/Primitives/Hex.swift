// Hexadecimal digits, for ids and digests in text.

/// Reads and writes hexadecimal.
package enum Hex {
    /// The value of one digit of either case; nil for any other byte.
    package static func value(of byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// The lower-case digit of a value below 16.
    package static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }

    /// The lower-case text of `bytes`.
    package static func encode(_ bytes: some Sequence<UInt8>) -> String {
        bytes.withBlock { bytes in
            var out: [UInt8] = []
            out.reserveCapacity(bytes.count * 2)
            for byte in bytes {
                out.append(digit(byte >> 4))
                out.append(digit(byte & 15))
            }
            return String(decoding: out, as: UTF8.self)
        }
    }
}

// Writes JSON bytes. Members keep the order they are written in, so equal values have equal bytes;
// `<`, `>` and `&` are escaped so that an answer shown as HTML by mistake stays inert (row 156).

internal import Primitives

/// Appends JSON tokens to a byte array.
package enum JSONText {
    /// Appends `text` as a JSON string.
    package static func append(_ text: String, to out: inout [UInt8]) {
        out.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                out.append(UInt8(ascii: "\\"))
                out.append(byte)
            case 0x0A: out.append(contentsOf: [UInt8(ascii: "\\"), UInt8(ascii: "n")])
            case 0x00..<0x20, UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "&"), 0x7F:
                out.append(contentsOf: "\\u00".utf8)
                out.append(Hex.digit(byte >> 4))
                out.append(Hex.digit(byte & 15))
            default: out.append(byte)
            }
        }
        out.append(UInt8(ascii: "\""))
    }

    /// Appends a whole number.
    package static func append(_ number: Int64, to out: inout [UInt8]) {
        out.append(contentsOf: String(number).utf8)
    }

    /// Appends `true` or `false`.
    package static func append(_ flag: Bool, to out: inout [UInt8]) {
        out.append(contentsOf: (flag ? "true" : "false").utf8)
    }
}

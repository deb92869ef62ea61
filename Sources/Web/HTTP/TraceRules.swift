// Names that others gave to a request. They go into the log as members of their own, and only when
// they match a strict pattern, so that nobody writes log lines through us.
internal import Primitives

/// Checks request ids and trace contexts from outside.
package enum TraceRules {
    /// Whether `text` is 8 to 128 letters, digits, dots, dashes and underscores.
    package static func isRequestID(_ text: String) -> Bool {
        (8...128).contains(text.utf8.count)
            && text.utf8.allSatisfy {
                switch $0 {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"),
                    UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }

    /// The trace id of a W3C `traceparent`; nil when it is not exactly one.
    package static func traceID(_ text: String) -> String? {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0] == "00", parts.map(\.utf8.count) == [2, 32, 16, 2],
            parts.dropFirst().allSatisfy({ $0.utf8.allSatisfy(isLowerHex) }),
            parts[1].contains(where: { $0 != "0" }), parts[2].contains(where: { $0 != "0" })
        else { return nil }
        return String(parts[1])
    }

    private static func isLowerHex(_ byte: UInt8) -> Bool {
        guard let value = Hex.value(of: byte) else { return false }
        return Hex.digit(value) == byte
    }
}

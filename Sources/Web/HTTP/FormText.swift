// Reads `application/x-www-form-urlencoded` text: queries, and bodies of OAuth requests. Strict: a
// broken escape or bytes that are not UTF-8 refuse the whole text instead of being repaired.
internal import Primitives

/// Takes forms apart.
package enum FormText {
    /// How many pairs one form may hold.
    package static let maximumPairs = 100

    /// Every value under its name, in order; nil when the text is malformed or has too many pairs.
    package static func parse(_ text: some StringProtocol) -> [String: [String]]? {
        var out: [String: [String]] = [:]
        guard !text.isEmpty else { return out }
        var pairs = 0
        for pair in Array(text.utf8).split(separator: UInt8(ascii: "&")) {
            pairs += 1
            guard pairs <= maximumPairs else { return nil }
            let parts = pair.split(
                separator: UInt8(ascii: "="),
                maxSplits: 1,
                omittingEmptySubsequences: false
            )
            guard let name = decode(parts[0]), !name.isEmpty,
                let value = parts.count == 2 ? decode(parts[1]) : ""
            else { return nil }
            out[name, default: []].append(value)
        }
        return out
    }

    private static func decode(_ bytes: ArraySlice<UInt8>) -> String? {
        var out: [UInt8] = []
        var at = bytes.startIndex
        while at < bytes.endIndex {
            switch bytes[at] {
            case UInt8(ascii: "+"): out.append(UInt8(ascii: " "))
            case UInt8(ascii: "%"):
                guard at + 2 < bytes.endIndex, let high = Hex.value(of: bytes[at + 1]),
                    let low = Hex.value(of: bytes[at + 2])
                else { return nil }
                out.append(high << 4 | low)
                at += 2
            case let byte: out.append(byte)
            }
            at += 1
        }
        return String(validating: out, as: UTF8.self)
    }
}

// The path of an original request, as a gateway tells of it, cut into segments that are decoded
// once. What two programs could read differently is refused and never repaired: the one that acts
// on the request need not read it as we would (rows 236, 237; architecture.md section 11).

/// A path, cut into decoded segments.
package struct RoutePath: Hashable, Sendable {
    /// The bytes of all segments, one behind the other.
    private(set) var bytes: [UInt8] = []
    /// Where each segment ends in `bytes`; there is always one, and only the last may be empty.
    private(set) var ends: [Int32] = []

    /// Reads a request target of the plainest form: a path, and perhaps a query, which never
    /// matters.
    ///
    /// Nil for what is ambiguous: dot segments, `//`, `;`, `\`, the same and `%` once more behind
    /// percent-encoding, control characters, bytes that are no UTF-8, absolute form, a fragment.
    package init?(_ target: UnsafeRawBufferPointer) {
        guard target.first == UInt8(ascii: "/") else { return nil }
        bytes.reserveCapacity(target.count)
        var at = 1
        var hasHighBytes = false
        reading: while at < target.count {
            let byte = target[at]
            at += 1
            switch byte {
            case UInt8(ascii: "?"): break reading
            case UInt8(ascii: "/"):
                guard end(isLast: false, hasHighBytes) else { return nil }
                hasHighBytes = false
            case UInt8(ascii: "%"):
                guard at + 1 < target.count, let high = Self.hex(target[at]),
                    let low = Self.hex(target[at + 1])
                else { return nil }
                at += 2
                let decoded = high << 4 | low
                guard Self.mayBeEncoded(decoded) else { return nil }
                if decoded >= 0x80 { hasHighBytes = true }
                bytes.append(decoded)
            default:
                guard Self.isPlain(byte) else { return nil }
                bytes.append(byte)
            }
        }
        // What is left is the query; a fragment never leaves a client that means well.
        while at < target.count {
            guard target[at] != UInt8(ascii: "#") else { return nil }
            at += 1
        }
        guard end(isLast: true, hasHighBytes) else { return nil }
    }

    /// Reads a request target; nil as above.
    package init?(_ target: String) {
        var target = target
        let read = target.withUTF8 { RoutePath(UnsafeRawBufferPointer($0)) }
        guard let read else { return nil }
        self = read
    }

    /// How many segments there are.
    var count: Int { ends.count }

    /// Where a segment lies in `bytes`.
    func range(_ index: Int) -> Range<Int> {
        (index == 0 ? 0 : Int(ends[index - 1]))..<Int(ends[index])
    }

    /// A segment.
    func segment(_ index: Int) -> ArraySlice<UInt8> { bytes[range(index)] }

    /// Ends a segment; false where it may not be one.
    private mutating func end(isLast: Bool, _ hasHighBytes: Bool) -> Bool {
        let start = ends.last.map(Int.init) ?? 0
        let count = bytes.count - start
        guard count > 0 || isLast else { return false }
        let isDots = (1...2).contains(count) && bytes[start...].allSatisfy { $0 == 0x2E }
        guard !isDots else { return false }
        // Segment by segment, so that no character begins in one and ends in the next.
        if hasHighBytes, String(validating: bytes[start...], as: UTF8.self) == nil { return false }
        ends.append(Int32(bytes.count))
        return true
    }

    /// Whether a byte may stand in a path as it is.
    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "#"), UInt8(ascii: "\""), UInt8(ascii: "<"), UInt8(ascii: ">"),
            UInt8(ascii: "\\"), UInt8(ascii: ";"):
            false
        default: byte > 0x20 && byte < 0x7F
        }
    }

    /// Whether a byte may stand in a path behind percent-encoding.
    ///
    /// `%2f` and `%5c` may be separators to the next one, `%3b` begins parameters, `%25` would be
    /// decoded twice by two.
    private static func mayBeEncoded(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "/"), UInt8(ascii: "\\"), UInt8(ascii: "%"), UInt8(ascii: ";"): false
        default: byte >= 0x20 && byte != 0x7F
        }
    }

    private static func hex(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

/// The name of a host as requests spell it, without its port.
package enum RouteHost {
    /// Reads `Host` or its like; nil for what is ambiguous, such as a dot at the end.
    ///
    /// Lower-case afterwards: host names know no case (RFC 9110 section 4.2.3).
    package static func read(_ text: String) -> String? {
        guard (1...255).contains(text.utf8.count) else { return nil }
        var name = Substring(text)
        if text.utf8.first == UInt8(ascii: "[") {
            guard let close = text.firstIndex(of: "]") else { return nil }
            let address = text[text.index(after: text.startIndex)..<close]
            let isAddress = address.utf8.allSatisfy {
                isNameByte($0, true) || $0 == UInt8(ascii: ":")
            }
            guard isAddress, !address.isEmpty, isPort(text[text.index(after: close)...]) else {
                return nil
            }
            return "[" + address.lowercased() + "]"
        }
        if let colon = text.firstIndex(of: ":") {
            guard isPort(text[colon...]) else { return nil }
            name = text[..<colon]
        }
        guard isName(name) else { return nil }
        return name.lowercased()
    }

    /// Whether a name has only letters, digits, `-`, `_` and single dots inside.
    static func isName(_ name: some StringProtocol) -> Bool {
        let labels = name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return (1...253).contains(name.utf8.count)
            && labels.allSatisfy { label in
                !label.isEmpty && label.allSatisfy { isNameByte($0, false) }
            }
    }

    private static func isNameByte(_ byte: UInt8, _ isAddress: Bool) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        case UInt8(ascii: "-"), UInt8(ascii: "_"): !isAddress
        case UInt8(ascii: "."): isAddress
        default: false
        }
    }

    private static func isPort(_ text: Substring) -> Bool {
        if text.isEmpty { return true }
        let digits = text.utf8.dropFirst()
        return text.utf8.first == UInt8(ascii: ":") && (1...5).contains(digits.count)
            && digits.allSatisfy { (0x30...0x39).contains($0) }
    }
}

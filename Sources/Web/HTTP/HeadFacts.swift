// What a request head says about framing, read strictly. All else in it is left to the parser
// behind the guard; this only makes sure that there is one way to read it.
internal import Primitives

/// The framing facts of one head.
struct HeadFacts {
    enum Body: Equatable {
        case none
        case length(Int)
        case chunked
    }
    private(set) var body = Body.none
    private(set) var closes = false

    private typealias Violation = RequestFraming.Violation
    private typealias Bytes = Slice<UnsafeRawBufferPointer>

    private var hosts = 0
    private var lengths = 0
    private var encodings = 0
    private var keepsAlive = false
    private var isOld = false

    /// Reads a whole head; its lines are known to end in CRLF and to hold no NUL.
    init(_ head: UnsafeRawBufferPointer, _ limits: HTTPLimits) throws(RequestFraming.Violation) {
        var start = 0
        var count = 0
        while start + 2 < head.count {
            var end = start
            while head[end] != 0x0D { end += 1 }
            if start == 0 {
                try readRequestLine(head[0..<end], limits)
            } else {
                count += 1
                guard count <= limits.headerCount else {
                    throw .malformed("The request has too many header fields.")
                }
                try readField(head[start..<end], limits)
            }
            start = end + 2
        }
        guard hosts == 1 || (hosts == 0 && isOld) else {
            throw .malformed("There must be exactly one Host field.")
        }
        guard !(lengths > 0 && encodings > 0) else {
            throw .malformed("Content-Length and Transfer-Encoding exclude each other.")
        }
        if isOld, encodings > 0 { throw .malformed("HTTP/1.0 has no Transfer-Encoding.") }
        if isOld, !keepsAlive { closes = true }
        if body == .length(0) { body = .none }
    }

    private mutating func readRequestLine(
        _ line: Bytes,
        _ limits: HTTPLimits
    ) throws(RequestFraming.Violation) {
        let parts = line.split(separator: 0x20, omittingEmptySubsequences: false)
        guard parts.count == 3, !parts[0].isEmpty, parts[0].allSatisfy(HeadRules.isToken) else {
            throw .malformed("The request line is not well-formed.")
        }
        if parts[2].elementsEqual("HTTP/1.0".utf8) {
            isOld = true
        } else if !parts[2].elementsEqual("HTTP/1.1".utf8) {
            throw .malformed("The HTTP version is not 1.1.")
        }
        guard HeadRules.methods.contains(String(decoding: parts[0], as: UTF8.self)) else {
            throw Violation(.methodNotAllowed, "The method is not one we know.")
        }
        guard parts[1].count <= limits.targetBytes else {
            throw .malformed("The request target is too long.")
        }
        let isPath = parts[1].first == UInt8(ascii: "/")
        guard isPath || parts[1].elementsEqual("*".utf8), parts[1].allSatisfy(HeadRules.isTarget)
        else { throw .malformed("The request target must be a path.") }
    }

    private mutating func readField(
        _ line: Bytes,
        _ limits: HTTPLimits
    ) throws(RequestFraming.Violation) {
        // A first byte that is white space would fold the line into the one before it.
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex,
            line[..<colon].allSatisfy(HeadRules.isToken)
        else { throw .malformed("A header field is not well-formed.") }
        var value = line[(colon + 1)...]
        guard value.allSatisfy(HeadRules.isFieldValue) else {
            throw .malformed("A header field holds a control character.")
        }
        while let first = value.first, first == 0x20 || first == 0x09 { value.removeFirst() }
        while let last = value.last, last == 0x20 || last == 0x09 { value.removeLast() }
        let name = line[..<colon]
        // The parser behind takes no tab around the fields that frame a message.
        let isTabbed = line[(colon + 1)...].contains(0x09)
        switch name.count {
        case 14 where isTabbed && Self.equal(name, "content-length"),
            17 where isTabbed && Self.equal(name, "transfer-encoding"):
            throw .malformed("A tab stands in a field that frames the message.")
        case 4 where Self.equal(name, "host"): try readHost(value)
        case 14 where Self.equal(name, "content-length"): try readLength(value, limits)
        case 17 where Self.equal(name, "transfer-encoding"): try readEncoding(value)
        // The parser behind reads the second name, which is in no standard, as the first.
        case 10 where Self.equal(name, "connection"),
            16 where Self.equal(name, "proxy-connection"):
            readConnection(value)
        // Upgrades are not offered; the parser behind stops reading at one, so we end there.
        case 7 where Self.equal(name, "upgrade"): closes = true
        default: break
        }
    }

    private mutating func readHost(_ value: Bytes) throws(RequestFraming.Violation) {
        hosts += 1
        guard !value.isEmpty, value.count <= 255, value.allSatisfy(HeadRules.isHost) else {
            throw .malformed("The Host field is not well-formed.")
        }
    }

    private mutating func readLength(
        _ value: Bytes,
        _ limits: HTTPLimits
    ) throws(RequestFraming.Violation) {
        lengths += 1
        guard lengths == 1 else { throw .malformed("There is more than one Content-Length.") }
        var number = 0
        guard !value.isEmpty, value.count <= 18 else {
            throw .malformed("The Content-Length is not a number.")
        }
        for byte in value {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else {
                throw .malformed("The Content-Length is not a number.")
            }
            number = number * 10 + Int(byte - UInt8(ascii: "0"))
        }
        guard number <= limits.bodyBytes else {
            throw Violation(.bodyTooLarge, "The body is too large.")
        }
        body = .length(number)
    }

    private mutating func readEncoding(_ value: Bytes) throws(RequestFraming.Violation) {
        encodings += 1
        guard encodings == 1, Self.equal(value, "chunked") else {
            throw .malformed("The only Transfer-Encoding read is chunked.")
        }
        body = .chunked
    }

    private mutating func readConnection(_ value: Bytes) {
        for option in value.split(separator: UInt8(ascii: ",")) {
            let name = option.filter { $0 != 0x20 && $0 != 0x09 }
            if Self.equal(name, "close") { closes = true }
            if Self.equal(name, "keep-alive") { keepsAlive = true }
        }
    }

    private static func equal(_ bytes: some Collection<UInt8>, _ lower: StaticString) -> Bool {
        guard bytes.count == lower.utf8CodeUnitCount else { return false }
        var wanted = lower.utf8Start
        for byte in bytes {
            let isUpper: Bool = byte >= 0x41 && byte <= 0x5A
            let folded: UInt8 = isUpper ? byte | 0x20 : byte
            guard folded == wanted.pointee else { return false }
            wanted += 1
        }
        return true
    }
}

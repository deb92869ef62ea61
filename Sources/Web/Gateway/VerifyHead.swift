// The head of a request as the fast path of `/verify` reads it: one pass over the raw bytes, and a
// subset of what `HeadFacts` accepts, so that there is exactly one way to read it. Whatever else
// comes is foreign: the general stack alone judges it, and the rest of its connection (row 256).
// Pure; keeps no bytes, only where they are.
internal import Glibc
internal import HTTPTypes

/// One head, by the places of its parts.
struct VerifyHead {
    /// What the bytes at the front of a connection are.
    enum Reading {
        /// The beginning of something; more bytes will tell.
        case incomplete
        /// Not to be read here.
        case foreign
        case whole(VerifyHead)
    }

    /// What one family of headers says of the original request.
    struct Family {
        var methods = 0
        var locations = 0
        var hosts = 0
        var isMethodOdd = false
        /// Where the last of each is.
        var method = 0..<0
        var location = 0..<0
        var host = 0..<0

        /// Whether anything is said.
        var isPresent: Bool { methods + locations > 0 }
        /// Whether the general path would take the method as it is.
        var isPlain: Bool { methods <= 1 && !isMethodOdd }
    }

    /// How long the head is, its empty line included.
    fileprivate(set) var length = 0
    /// How many bytes of body follow.
    fileprivate(set) var bodyBytes = 0
    /// Whether the answer has no body.
    fileprivate(set) var isHead = false
    /// Whether the connection ends after the answer.
    fileprivate(set) var closes = false
    /// Whether the path is `/verify` or below it.
    fileprivate(set) var isVerify = false
    /// Where the method is, the path, and the value of `Host`.
    fileprivate(set) var method = 0..<0
    fileprivate(set) var path = 0..<0
    fileprivate(set) var host = 0..<0
    /// The query of `/verify` itself, without `?`.
    fileprivate(set) var query: Range<Int>?
    /// The bearer token, if there is one `Authorization` of the plainest form.
    fileprivate(set) var token: Range<Int>?
    /// How often it names an organisation to act in, and where the last one is.
    fileprivate(set) var organisations = 0
    fileprivate(set) var organisation = 0..<0
    fileprivate(set) var forwarded = Family()
    fileprivate(set) var original = Family()
    fileprivate var credentials = 0
    fileprivate var hosts = 0
    fileprivate var lengths = 0
    fileprivate var connections = 0
    fileprivate var expects = false

    /// Whether the general path would take the original request as it is told.
    func isPlain(_ source: OriginalRequestSource) -> Bool {
        switch source {
        case .requestLine: true
        case .forwarded: forwarded.isPlain
        case .original: original.isPlain
        case .auto:
            !(forwarded.isPresent && original.isPresent) && forwarded.isPlain && original.isPlain
        }
    }

    /// The request that `bytes`, a whole head, is; for answers that are rendered the long way.
    static func request(_ bytes: [UInt8]) -> HTTPRequest {
        // A CR stands nowhere but at the end of a line, or the reader would not have taken it.
        let lines = bytes.split(separator: 0x0D).map { $0.first == 0x0A ? $0.dropFirst() : $0 }
        let words = lines[0].split(separator: 0x20)
        var fields = HTTPFields()
        var host: String?
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")),
                let name = HTTPField.Name(String(decoding: line[..<colon], as: UTF8.self))
            else { continue }
            let value = trimmed(line[(colon + 1)...])
            if name.canonicalName == "host" {
                host = value
            } else {
                fields.append(HTTPField(name: name, value: value))
            }
        }
        return HTTPRequest(
            method: HTTPRequest.Method(String(decoding: words[0], as: UTF8.self)) ?? .get,
            scheme: "http",
            authority: host,
            path: String(decoding: words[1], as: UTF8.self),
            headerFields: fields
        )
    }

    /// A value without the space around it.
    private static func trimmed(_ value: ArraySlice<UInt8>) -> String {
        var value = value
        while let first = value.first, first == 0x20 || first == 0x09 { value.removeFirst() }
        while let last = value.last, last == 0x20 || last == 0x09 { value.removeLast() }
        return String(decoding: value, as: UTF8.self)
    }
}

/// Reads heads under the limits of a listener.
struct VerifyHeadReader {
    private typealias Bytes = UnsafePointer<UInt8>

    private let limits: HTTPLimits
    /// A bit for each byte below 64, and from 64 to 127, that may stand in a token.
    private let tokens: (UInt64, UInt64)

    init(_ limits: HTTPLimits) {
        self.limits = limits
        var masks: (UInt64, UInt64) = (0, 0)
        for byte in UInt8(0)..<128 where HeadRules.isToken(byte) {
            if byte < 64 { masks.0 |= 1 << UInt64(byte) } else { masks.1 |= 1 << UInt64(byte - 64) }
        }
        tokens = masks
    }

    /// What stands at the front of `bytes`.
    func read(_ bytes: UnsafeRawBufferPointer) -> VerifyHead.Reading {
        guard let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else {
            return .incomplete
        }
        var head = VerifyHead()
        let limit = min(bytes.count, limits.headBytes)
        var at = 0
        var lines = 0
        while let found = memchr(start + at, 0x0D, limit - at) {
            let end = start.distance(to: found.assumingMemoryBound(to: UInt8.self))
            guard end + 1 < limit else { break }
            guard start[end + 1] == 0x0A else { return .foreign }
            if end == at {
                // Gateways pass `Expect` on without the body that it is about, and then nobody
                // waits (RFC 9110 section 10.1.1).
                let isAwaited = head.expects && head.bodyBytes > 0
                guard lines > 0, head.hosts == 1, !isAwaited else { return .foreign }
                head.length = end + 2
                return .whole(head)
            }
            let isUnderstood =
                lines == 0
                ? readRequestLine(start, end, &head) : readField(start, at, end, &head)
            guard isUnderstood, lines <= limits.headerCount else { return .foreign }
            lines += 1
            at = end + 2
        }
        return isBeginning(start, at, limit) && bytes.count < limits.headBytes
            ? .incomplete : .foreign
    }

    /// Whether the bytes of an unfinished line may still become one; a bare LF, or a NUL, may not.
    private func isBeginning(_ start: Bytes, _ from: Int, _ end: Int) -> Bool {
        for at in from..<end where start[at] == 0x0A || start[at] == 0 { return false }
        return true
    }

    private func readRequestLine(_ line: Bytes, _ end: Int, _ head: inout VerifyHead) -> Bool {
        var at = 0
        while at < end, isToken(line[at]) { at += 1 }
        guard at > 0, at <= 16, end - at > 10, line[at] == 0x20,
            isMethod(line, at, &head.isHead)
        else { return false }
        let start = at + 1
        let stop = end - 9
        guard Self.equal(line + stop, 9, " HTTP/1.1"), stop - start <= limits.targetBytes,
            line[start] == UInt8(ascii: "/")
        else { return false }
        var mark = stop
        for index in start..<stop {
            let byte = line[index]
            guard HeadRules.isTarget(byte) else { return false }
            if byte == UInt8(ascii: "?"), mark == stop { mark = index }
        }
        head.method = 0..<at
        head.path = start..<mark
        guard mark - start >= 7, Self.equal(line + start, 7, "/verify") else { return true }
        if mark - start == 7 {
            head.isVerify = true
            if mark < stop { head.query = (mark + 1)..<stop }
        } else {
            head.isVerify = line[start + 7] == UInt8(ascii: "/")
        }
        return true
    }

    private func isMethod(_ line: Bytes, _ count: Int, _ isHead: inout Bool) -> Bool {
        if count == 3, Self.equal(line, 3, "GET") { return true }
        if count == 4, Self.equal(line, 4, "HEAD") {
            isHead = true
            return true
        }
        let text = String(decoding: UnsafeBufferPointer(start: line, count: count), as: UTF8.self)
        return HeadRules.methods.contains(text) && text != "TRACE"
    }

    private func readField(
        _ line: Bytes,
        _ start: Int,
        _ end: Int,
        _ head: inout VerifyHead
    ) -> Bool {
        var colon = start
        while colon < end, isToken(line[colon]) { colon += 1 }
        guard colon > start, colon < end, line[colon] == UInt8(ascii: ":") else { return false }
        var from = colon + 1
        var to = end
        guard Self.isText(line + from, to - from) else { return false }
        while from < to, line[from] == 0x20 || line[from] == 0x09 { from += 1 }
        while to > from, line[to - 1] == 0x20 || line[to - 1] == 0x09 { to -= 1 }
        return note(line + start, colon - start, line, from..<to, &head)
    }

    /// Whether no byte is a control other than a tab; eight at a time, for a token is long.
    private static func isText(_ bytes: Bytes, _ count: Int) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let tops = ones << 7
        var at = 0
        while at + 8 <= count {
            let word = UnsafeRawPointer(bytes + at).loadUnaligned(as: UInt64.self)
            let erased = word ^ ones &* 0x7F
            // A top bit stays where the byte is below 0x20, or is 0x7F.
            let odd = ((word &- ones &* 0x20) & ~word | (erased &- ones) & ~erased) & tops
            guard odd == 0 || isPlainText(bytes + at, 8) else { return false }
            at += 8
        }
        return isPlainText(bytes + at, count - at)
    }

    private static func isPlainText(_ bytes: Bytes, _ count: Int) -> Bool {
        for at in 0..<count {
            let byte = bytes[at]
            guard byte >= 0x20 || byte == 0x09, byte != 0x7F else { return false }
        }
        return true
    }

    /// Notes a field that matters here; false where it makes the request foreign.
    private func note(
        _ name: Bytes,
        _ count: Int,
        _ line: Bytes,
        _ value: Range<Int>,
        _ head: inout VerifyHead
    ) -> Bool {
        switch count {
        case 4 where Self.folds(name, 4, "host"): return noteHost(line, value, &head)
        case 5 where Self.folds(name, 5, "x-org"):
            head.organisations += 1
            head.organisation = value
        case 6 where Self.folds(name, 6, "expect"): head.expects = true
        case 7 where Self.folds(name, 7, "upgrade"): return false
        case 10 where Self.folds(name, 10, "connection"):
            return noteConnection(line, value, &head)
        case 13 where Self.folds(name, 13, "authorization"): noteCredential(line, value, &head)
        case 14 where Self.folds(name, 14, "content-length"):
            return noteLength(line, value, &head)
        case 14 where Self.folds(name, 14, "x-original-uri"):
            head.original.locations += 1
            head.original.location = value
        case 15 where Self.folds(name, 15, "x-forwarded-uri"):
            head.forwarded.locations += 1
            head.forwarded.location = value
        // The parser of the general path reads it as `Connection`.
        case 16 where Self.folds(name, 16, "proxy-connection"): return false
        case 16 where Self.folds(name, 16, "x-forwarded-host"):
            head.forwarded.hosts += 1
            head.forwarded.host = value
        case 17 where Self.folds(name, 17, "transfer-encoding"): return false
        case 17 where Self.folds(name, 17, "x-original-method"):
            noteMethod(line, value, &head.original)
        case 18 where Self.folds(name, 18, "x-forwarded-method"):
            noteMethod(line, value, &head.forwarded)
        default: break
        }
        return true
    }

    private func noteHost(_ line: Bytes, _ value: Range<Int>, _ head: inout VerifyHead) -> Bool {
        head.hosts += 1
        head.host = value
        return (1...255).contains(value.count) && value.allSatisfy { HeadRules.isHost(line[$0]) }
    }

    private func noteConnection(
        _ line: Bytes,
        _ value: Range<Int>,
        _ head: inout VerifyHead
    ) -> Bool {
        head.connections += 1
        guard head.connections == 1 else { return false }
        if value.count == 5, Self.folds(line + value.lowerBound, 5, "close") {
            head.closes = true
            return true
        }
        return value.count == 10 && Self.folds(line + value.lowerBound, 10, "keep-alive")
    }

    /// `Credential` reads more forms than this one; what it reads otherwise is left to it.
    private func noteCredential(_ line: Bytes, _ value: Range<Int>, _ head: inout VerifyHead) {
        head.credentials += 1
        head.token = nil
        let from = value.lowerBound
        guard head.credentials == 1, value.count > 7, Self.folds(line + from, 6, "bearer"),
            line[from + 6] == 0x20, memchr(line + from + 7, 0x20, value.count - 7) == nil
        else { return }
        head.token = (from + 7)..<value.upperBound
    }

    private func noteLength(_ line: Bytes, _ value: Range<Int>, _ head: inout VerifyHead) -> Bool {
        head.lengths += 1
        guard head.lengths == 1, (1...9).contains(value.count) else { return false }
        // The parser behind the guard takes no tab around it, and the guard refuses it.
        var before = value.lowerBound - 1
        while line[before] == 0x20 { before -= 1 }
        var after = value.upperBound
        while line[after] == 0x20 { after += 1 }
        guard line[before] != 0x09, line[after] != 0x09 else { return false }
        var number = 0
        for at in value {
            let digit = line[at] &- UInt8(ascii: "0")
            guard digit <= 9 else { return false }
            number = number * 10 + Int(digit)
        }
        head.bodyBytes = number
        return number <= limits.bodyBytes
    }

    private func noteMethod(_ line: Bytes, _ value: Range<Int>, _ family: inout VerifyHead.Family) {
        family.methods += 1
        family.method = value
        if value.isEmpty || !value.allSatisfy({ isToken(line[$0]) }) { family.isMethodOdd = true }
    }

    private func isToken(_ byte: UInt8) -> Bool {
        let mask = byte < 64 ? tokens.0 : byte < 128 ? tokens.1 : 0
        return mask >> UInt64(byte & 63) & 1 == 1
    }

    private static func equal(_ bytes: Bytes, _ count: Int, _ text: StaticString) -> Bool {
        memcmp(bytes, text.utf8Start, count) == 0
    }

    /// Whether letters and dashes equal `lower` but for the case of the letters.
    private static func folds(_ bytes: Bytes, _ count: Int, _ lower: StaticString) -> Bool {
        let wanted = lower.utf8Start
        for at in 0..<count {
            let byte = bytes[at]
            let isUpper = byte >= 0x41 && byte <= 0x5A
            guard (isUpper ? byte | 0x20 : byte) == wanted[at] else { return false }
        }
        return true
    }
}

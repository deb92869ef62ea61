// Where one request ends and the next begins, judged before the parser behind it sees a byte. Two
// parsers that disagree about that are request smuggling (row 256), so whatever any of them might
// read in two ways is refused: a length and an encoding together, two lengths, other encodings,
// chunk extensions, trailers, folded lines, bare LF or CR, space before a colon, two or no hosts.
// Pure: takes bytes and says how many are in order; the handler around it acts.
internal import Primitives

/// Follows the requests of one connection.
struct RequestFraming {
    /// What breaks a connection.
    struct Violation: Error, Hashable {
        let code: ProblemCode
        let detail: String
        /// Whether the head had been passed on, so that a handler is already at work.
        var isInBody = false

        init(_ code: ProblemCode, _ detail: String) {
            self.code = code
            self.detail = detail
        }

        static func malformed(_ detail: String) -> Self { Self(.malformedRequest, detail) }
    }

    /// What happened while bytes were taken.
    struct Step: Equatable {
        /// How many bytes may be passed on.
        var accepted = 0
        /// How many heads were completed.
        var heads = 0
        /// How many requests were completed.
        var ends = 0
    }

    /// Where in a message the next byte belongs.
    enum Place: Equatable {
        case head
        case body(Int)
        case chunkSize(digits: Int, value: Int)
        case chunkSizeEnd(Int)
        case chunk(Int)
        case chunkEnd(first: Bool)
        case lastChunkEnd(first: Bool)
    }

    private let limits: HTTPLimits
    private(set) var place = Place.head
    private var bodyBytes = 0
    /// Whether the last head asked for the connection to end after its answer.
    private(set) var closesAfter = false

    init(_ limits: HTTPLimits) { self.limits = limits }

    /// Takes `bytes`, which begin where the last call stopped accepting.
    ///
    /// What is left over is the beginning of a head, to be handed in again with more behind it. A
    /// violation leaves what was accepted before it in `step`.
    mutating func take(_ bytes: UnsafeRawBufferPointer, _ step: inout Step) throws(Violation) {
        var at = 0
        defer { step.accepted = at }
        do throws(Violation) {
            while at < bytes.count {
                // Whatever follows a request that ends the connection is never looked at.
                if place == .head, closesAfter { return }
                if place == .head {
                    guard let end = try findHeadEnd(bytes, from: at) else { return }
                    let facts = try HeadFacts(
                        UnsafeRawBufferPointer(rebasing: bytes[at..<end]),
                        limits
                    )
                    at = end
                    step.heads += 1
                    begin(facts, &step)
                } else {
                    try takeBody(bytes, &at, &step)
                }
            }
        } catch {
            var violation = error
            violation.isInBody = place != .head
            throw violation
        }
    }

    private mutating func begin(_ facts: HeadFacts, _ step: inout Step) {
        closesAfter = facts.closes
        bodyBytes = 0
        switch facts.body {
        case .none: step.ends += 1
        case .length(let count): place = .body(count)
        case .chunked: place = .chunkSize(digits: 0, value: 0)
        }
    }

    /// The end of the head that starts at `start`; nil when it is not all there yet.
    private func findHeadEnd(
        _ bytes: UnsafeRawBufferPointer,
        from start: Int
    ) throws(Violation) -> Int? {
        var at = start
        var lineLength = 0
        while at < bytes.count {
            guard at - start < limits.headBytes else {
                throw .malformed("The request head is too large.")
            }
            switch bytes[at] {
            case 0x0D:
                guard at + 1 < bytes.count else { return nil }
                guard bytes[at + 1] == 0x0A else { throw .malformed("A CR stands alone.") }
                at += 2
                if lineLength == 0 {
                    guard at - start > 2 else { throw .malformed("The request line is empty.") }
                    return at
                }
                lineLength = 0
            case 0x0A: throw .malformed("A LF stands alone.")
            case 0x00: throw .malformed("The head holds a NUL.")
            default:
                lineLength += 1
                at += 1
            }
        }
        return nil
    }

    private mutating func takeBody(
        _ bytes: UnsafeRawBufferPointer,
        _ at: inout Int,
        _ step: inout Step
    ) throws(Violation) {
        switch place {
        case .head: break
        case .body(let left):
            let count = min(left, bytes.count - at)
            at += count
            place = left == count ? .head : .body(left - count)
            if left == count { step.ends += 1 }
        case .chunkSize(let digits, let value):
            try takeChunkSize(bytes[at], digits, value)
            at += 1
        case .chunkSizeEnd(let size):
            guard bytes[at] == 0x0A else { throw .malformed("A chunk size is not well-formed.") }
            at += 1
            place = size == 0 ? .lastChunkEnd(first: true) : .chunk(size)
        case .chunk(let left):
            let count = min(left, bytes.count - at)
            at += count
            place = left == count ? .chunkEnd(first: true) : .chunk(left - count)
        case .chunkEnd(let first):
            guard bytes[at] == (first ? 0x0D : 0x0A) else {
                throw .malformed("A chunk does not end where it should.")
            }
            at += 1
            place = first ? .chunkEnd(first: false) : .chunkSize(digits: 0, value: 0)
        case .lastChunkEnd(let first):
            guard bytes[at] == (first ? 0x0D : 0x0A) else {
                throw .malformed("Trailers are not read.")
            }
            at += 1
            place = first ? .lastChunkEnd(first: false) : .head
            if !first { step.ends += 1 }
        }
    }

    private mutating func takeChunkSize(
        _ byte: UInt8,
        _ digits: Int,
        _ value: Int
    ) throws(Violation) {
        if byte == 0x0D, digits > 0 {
            place = .chunkSizeEnd(value)
            bodyBytes += value
            guard bodyBytes <= limits.bodyBytes else {
                throw Violation(.bodyTooLarge, "The body is too large.")
            }
            return
        }
        guard let digit = Hex.value(of: byte), digits < 8 else {
            throw .malformed("A chunk size is not well-formed.")
        }
        place = .chunkSize(digits: digits + 1, value: value << 4 | Int(digit))
    }
}

// The answers of PostgreSQL about the log: entries of 42 bytes, one behind the other, up to a
// thousand in one value. A million of them come by here when a node starts, so nothing is allocated
// for an entry, and whoever takes them decides how many at a time. It must not interpret them.
import Postgres
import Primitives

/// The entries in one column of an answer, each to be taken once.
struct PackedEntries: Sendable {
    /// The length of `packed` in the log: kind, subject, version, expiry and when it was made.
    ///
    /// Times are PostgreSQL's own.
    private static let width = 42
    /// 2000-01-01T00:00:00Z, from which PostgreSQL counts microseconds, in ours.
    private static let serverEpoch: Int64 = 946_684_800_000_000

    private let answer: PostgresResult
    private let column: Int
    private var row = 0
    private var offset = 0
    /// How many were taken.
    private(set) var taken = 0
    /// Whether a value was not a number of whole entries; nothing may rest on such an answer.
    private(set) var isMalformed = false
    /// When the last of those has expired whose kind this version cannot judge; nil for none.
    private(set) var blindUntil: Timestamp?

    /// All entries in one column of `answer`.
    init(_ answer: PostgresResult, column: Int) {
        self.answer = answer
        self.column = column
    }

    /// Takes the next ones, at most `limit`; false when there are no more.
    ///
    /// A kind of a newer version than ours may cover any token: `blindUntil` tells, and nothing is
    /// judged until it is over, or this node is gone (W10).
    mutating func take(_ limit: Int, _ body: (RevocationEntry, Timestamp) -> Void) -> Bool {
        var left = limit
        while left > 0, row < answer.count {
            let start = offset
            var end = start
            var isOver = true
            answer.withBytes(row: row, column: column) { bytes in
                let whole = bytes.byteCount
                guard whole % Self.width == 0 else {
                    isMalformed = true
                    return
                }
                end = min(whole, start + left * Self.width)
                isOver = end == whole
                bytes.withUnsafeBytes { raw in
                    Self.visit(raw, from: start, to: end, blindUntil: &blindUntil, body)
                }
            }
            taken += (end - start) / Self.width
            left -= (end - start) / Self.width
            (row, offset) = isOver ? (row + 1, 0) : (row, end)
        }
        return row < answer.count
    }

    private static func visit(
        _ bytes: UnsafeRawBufferPointer,
        from start: Int,
        to end: Int,
        blindUntil: inout Timestamp?,
        _ body: (RevocationEntry, Timestamp) -> Void
    ) {
        func word<Word: FixedWidthInteger & BitwiseCopyable>(_ at: Int, _: Word.Type) -> Word {
            Word(bigEndian: bytes.loadUnaligned(fromByteOffset: at, as: Word.self))
        }
        for at in stride(from: start, to: end, by: width) {
            let expiresAt = time(word(at + 26, Int64.self))
            guard let kind = RevocationKind(judged: word(at, Int16.self)) else {
                blindUntil = max(blindUntil ?? expiresAt, expiresAt)
                continue
            }
            let id = ID<Named.Entry>(
                high: word(at + 2, UInt64.self),
                low: word(at + 10, UInt64.self)
            )
            body(
                RevocationEntry(
                    RevocationSubject(kind, id),
                    version: word(at + 18, Int64.self),
                    expiresAt: expiresAt
                ),
                time(word(at + 34, Int64.self))
            )
        }
    }

    /// `infinity` is the end of time.
    private static func time(_ count: Int64) -> Timestamp {
        let (sum, isBeyond) = count.addingReportingOverflow(serverEpoch)
        return Timestamp(microseconds: isBeyond ? .max : sum)
    }
}

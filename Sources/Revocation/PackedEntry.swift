// One revocation as 34 bytes: kind, subject, version and expiry, each big-endian. It is what the
// log gives to the one who appended, what is published to the members, and what nodes read there.
import Primitives

extension RevocationEntry {
    /// The bytes of one.
    static let packedBytes = 34

    /// SQL over a row of `revocation_log`: the same bytes.
    static let packedSQL = """
        int2send(kind) || subject || int8send(ver)
                || int8send((extract(epoch FROM expires_at) * 1000000)::bigint)
        """

    /// Its bytes.
    var packed: [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(Self.packedBytes)
        func append<Word: FixedWidthInteger>(_ word: Word) {
            withUnsafeBytes(of: word.bigEndian) { out.append(contentsOf: $0) }
        }
        append(subject.kind.rawValue)
        append(subject.high)
        append(subject.low)
        append(version)
        append(expiresAt.microseconds)
        return out
    }

    /// The one that these bytes are; nil for another length or a kind that this version cannot
    /// judge, of which only PostgreSQL knows how long it matters.
    init?(packed bytes: ArraySlice<UInt8>) {
        guard bytes.count == Self.packedBytes else { return nil }
        func word<Word: FixedWidthInteger>(_ offset: Int, _ type: Word.Type) -> Word {
            let start = bytes.startIndex + offset
            return bytes[start..<start + Word.bitWidth / 8].reduce(0) { $0 << 8 | Word($1) }
        }
        guard let kind = RevocationKind(judged: Int16(bitPattern: word(0, UInt16.self))) else {
            return nil
        }
        let id = ID<Named.Entry>(high: word(2, UInt64.self), low: word(10, UInt64.self))
        self.init(
            RevocationSubject(kind, id),
            version: Int64(bitPattern: word(18, UInt64.self)),
            expiresAt: Timestamp(microseconds: Int64(bitPattern: word(26, UInt64.self)))
        )
    }

    /// Those that these bytes are, one behind the other.
    static func unpack(_ bytes: [UInt8]) -> [RevocationEntry] {
        stride(from: 0, to: bytes.count, by: packedBytes).compactMap { start in
            RevocationEntry(packed: bytes[start..<min(start + packedBytes, bytes.count)])
        }
    }
}

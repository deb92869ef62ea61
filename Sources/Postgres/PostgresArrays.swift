// The binary form of one-dimensional arrays without NULLs, for `= ANY($1)` and for columns of
// arrays; and `[UInt8]`, which is bytea and no array.
package import Primitives

/// A value that may stand in an array column or parameter.
///
/// `UInt8` is one so that `[UInt8]` is
/// bytea.
package protocol PostgresArrayElement: Sendable {
    /// The type of the array, or of bytes.
    static var postgresArrayType: PostgresType { get }
    /// Appends the binary form of `values`.
    static func encodeArray(_ values: [Self], into out: inout [UInt8])
    /// Reads the binary form of an array; nil when it does not fit.
    static func decodeArray(_ bytes: RawSpan) -> [Self]?
}

extension Array: PostgresBind, PostgresEncodable where Element: PostgresArrayElement {
    package static var postgresType: PostgresType { Element.postgresArrayType }
    package func encode(into out: inout [UInt8]) { Element.encodeArray(self, into: &out) }
}

extension Array: PostgresDecodable where Element: PostgresArrayElement {
    package static func reads(_ type: PostgresType) -> Bool { type == Element.postgresArrayType }
    package init?(postgres bytes: RawSpan, type: PostgresType) {
        guard let values = Element.decodeArray(bytes) else { return nil }
        self = values
    }
}

extension UInt8: PostgresArrayElement {
    package static var postgresArrayType: PostgresType { .bytea }
    package static func encodeArray(_ values: [UInt8], into out: inout [UInt8]) {
        out.append(contentsOf: values)
    }
    package static func decodeArray(_ bytes: RawSpan) -> [UInt8]? { bytes.copied }
}

extension PostgresArrayElement where Self: PostgresEncodable & PostgresDecodable {
    package static func encodeArray(_ values: [Self], into out: inout [UInt8]) {
        out.appendBigEndian(Int32(values.isEmpty ? 0 : 1))
        out.appendBigEndian(Int32(0))
        out.appendBigEndian(postgresType.oid)
        guard !values.isEmpty else { return }
        out.appendBigEndian(Int32(values.count))
        out.appendBigEndian(Int32(1))
        for value in values { out.appendValue(value) }
    }

    package static func decodeArray(_ bytes: RawSpan) -> [Self]? {
        guard bytes.byteCount >= 12 else { return nil }
        let type = PostgresType(oid: bytes.bigEndian(at: 8, as: UInt32.self))
        switch bytes.bigEndian(at: 0, as: Int32.self) {
        case 0: return []
        case 1: break
        default: return nil
        }
        guard bytes.byteCount >= 20, reads(type) else { return nil }
        var values: [Self] = []
        var at = 20
        for _ in 0..<bytes.bigEndian(at: 12, as: Int32.self) {
            guard at + 4 <= bytes.byteCount else { return nil }
            let length = Int(bytes.bigEndian(at: at, as: Int32.self))
            at += 4
            guard length >= 0, length <= bytes.byteCount - at else { return nil }
            let element = bytes.extracting(at..<at + length)
            guard let value = Self(postgres: element, type: type) else { return nil }
            values.append(value)
            at += length
        }
        return values
    }
}

extension String: PostgresArrayElement {
    package static var postgresArrayType: PostgresType { .textArray }
}

extension Int64: PostgresArrayElement {
    package static var postgresArrayType: PostgresType { .int8Array }
}

extension Int: PostgresArrayElement {
    package static var postgresArrayType: PostgresType { .int8Array }
}

extension ID: PostgresArrayElement {
    package static var postgresArrayType: PostgresType { .uuidArray }
}

extension [UInt8] {
    /// Appends a value as the protocol frames it: its length in four bytes, or -1 for NULL, then
    /// its binary form.
    mutating func appendValue(_ value: some PostgresEncodable) {
        guard !value.isPostgresNull else { return appendBigEndian(Int32(-1)) }
        let start = count
        appendBigEndian(Int32(0))
        value.encode(into: &self)
        let length = UInt32(truncatingIfNeeded: count - start - 4)
        for index in 0..<4 {
            self[start + index] = UInt8(truncatingIfNeeded: length >> UInt32(24 - 8 * index))
        }
    }
}

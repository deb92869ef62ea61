// The binary forms of single values. Integers of any width read into any width that holds them;
// everything else reads exactly its own type.
package import Primitives

extension Bool: PostgresEncodable, PostgresDecodable {
    package static var postgresType: PostgresType { .bool }
    package func encode(into out: inout [UInt8]) { out.append(self ? 1 : 0) }
    package static func reads(_ type: PostgresType) -> Bool { type == .bool }
    package init?(postgres bytes: RawSpan, type: PostgresType) {
        guard bytes.byteCount == 1 else { return nil }
        self = bytes.bigEndian(at: 0, as: UInt8.self) != 0
    }
}

/// The signed integers, which differ only in the type they are bound as.
package protocol PostgresInteger: PostgresEncodable, PostgresDecodable, FixedWidthInteger {}

extension PostgresInteger {
    package func encode(into out: inout [UInt8]) { out.appendBigEndian(self) }
    package static func reads(_ type: PostgresType) -> Bool {
        type == .int8 || type == .int4 || type == .int2
    }
    package init?(postgres bytes: RawSpan, type: PostgresType) {
        switch bytes.byteCount {
        case 8: self.init(exactly: bytes.bigEndian(at: 0, as: Int64.self))
        case 4: self.init(exactly: bytes.bigEndian(at: 0, as: Int32.self))
        case 2: self.init(exactly: bytes.bigEndian(at: 0, as: Int16.self))
        default: return nil
        }
    }
}

extension Int: PostgresInteger {
    package static var postgresType: PostgresType { .int8 }
}
extension Int64: PostgresInteger {
    package static var postgresType: PostgresType { .int8 }
}
extension Int32: PostgresInteger {
    package static var postgresType: PostgresType { .int4 }
}
extension Int16: PostgresInteger {
    package static var postgresType: PostgresType { .int2 }
}

extension Double: PostgresEncodable, PostgresDecodable {
    package static var postgresType: PostgresType { .float8 }
    package func encode(into out: inout [UInt8]) { out.appendBigEndian(bitPattern) }
    package static func reads(_ type: PostgresType) -> Bool { type == .float8 || type == .float4 }
    package init?(postgres bytes: RawSpan, type: PostgresType) {
        switch bytes.byteCount {
        case 8: self.init(bitPattern: bytes.bigEndian(at: 0, as: UInt64.self))
        case 4: self.init(Float(bitPattern: bytes.bigEndian(at: 0, as: UInt32.self)))
        default: return nil
        }
    }
}

extension String: PostgresEncodable, PostgresDecodable {
    package static var postgresType: PostgresType { .text }
    package func encode(into out: inout [UInt8]) { out.append(contentsOf: utf8) }
    package static func reads(_ type: PostgresType) -> Bool { type.isTextual }
    package init?(postgres bytes: RawSpan, type: PostgresType) {
        guard let text = bytes.text else { return nil }
        self = text
    }
}

extension Timestamp: PostgresEncodable, PostgresDecodable {
    /// 2000-01-01T00:00:00Z, from which PostgreSQL counts, in microseconds since 1970.
    private static let serverEpoch: Int64 = 946_684_800_000_000

    package static var postgresType: PostgresType { .timestamptz }
    package func encode(into out: inout [UInt8]) {
        out.appendBigEndian(microseconds - Self.serverEpoch)
    }
    package static func reads(_ type: PostgresType) -> Bool { type == .timestamptz }
    /// `infinity` does not fit and reads as an error.
    package init?(postgres bytes: RawSpan, type: PostgresType) {
        guard bytes.byteCount == 8 else { return nil }
        let count = bytes.bigEndian(at: 0, as: Int64.self)
        guard count != .min, count != .max else { return nil }
        let (sum, overflow) = count.addingReportingOverflow(Self.serverEpoch)
        guard !overflow else { return nil }
        self.init(microseconds: sum)
    }
}

extension ID: PostgresEncodable, PostgresDecodable {
    package static var postgresType: PostgresType { .uuid }
    package func encode(into out: inout [UInt8]) {
        out.appendBigEndian(high)
        out.appendBigEndian(low)
    }
    package static func reads(_ type: PostgresType) -> Bool { type == .uuid }
    package init?(postgres bytes: RawSpan, type: PostgresType) {
        guard bytes.byteCount == 16 else { return nil }
        self.init(
            high: bytes.bigEndian(at: 0, as: UInt64.self),
            low: bytes.bigEndian(at: 8, as: UInt64.self)
        )
    }
}

/// A JSON text, bound as `jsonb`; reads `jsonb` and `json`.
package struct PostgresJSON: Hashable, Sendable, PostgresEncodable, PostgresDecodable {
    /// The JSON text; the server refuses it when it is not JSON.
    package let text: String

    /// Takes `text` as JSON.
    package init(_ text: String) { self.text = text }

    package static var postgresType: PostgresType { .jsonb }
    package func encode(into out: inout [UInt8]) {
        out.append(1)
        out.append(contentsOf: text.utf8)
    }
    package static func reads(_ type: PostgresType) -> Bool { type == .jsonb || type == .json }
    package init?(postgres bytes: RawSpan, type: PostgresType) {
        var bytes = bytes
        if type == .jsonb {
            guard bytes.byteCount >= 1, bytes.bigEndian(at: 0, as: UInt8.self) == 1 else {
                return nil
            }
            bytes = bytes.extracting(droppingFirst: 1)
        }
        guard let text = bytes.text else { return nil }
        self.text = text
    }
}

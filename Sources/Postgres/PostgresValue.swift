// How values travel: PostgreSQL's binary formats, which carry ids and digests without hexadecimal
// and never meet a date style or a locale. A type says which server types it reads, so that a
// column of another type is an error and never a misread number.

/// An object id of a server type (`pg_type.oid`); the built-in ones never change.
package struct PostgresType: Hashable, Sendable {
    /// The object id.
    package let oid: UInt32

    /// The type with this object id.
    package init(oid: UInt32) { self.oid = oid }

    package static let bool = Self(oid: 16)
    package static let bytea = Self(oid: 17)
    package static let name = Self(oid: 19)
    package static let int8 = Self(oid: 20)
    package static let int2 = Self(oid: 21)
    package static let int4 = Self(oid: 23)
    package static let text = Self(oid: 25)
    package static let json = Self(oid: 114)
    package static let float4 = Self(oid: 700)
    package static let float8 = Self(oid: 701)
    package static let textArray = Self(oid: 1009)
    package static let int8Array = Self(oid: 1016)
    package static let bpchar = Self(oid: 1042)
    package static let varchar = Self(oid: 1043)
    package static let timestamptz = Self(oid: 1184)
    package static let uuid = Self(oid: 2950)
    package static let uuidArray = Self(oid: 2951)
    package static let jsonb = Self(oid: 3802)

    /// Whether the binary form is the text itself.
    ///
    /// Types of extensions and enums, whose ids start at 16384, are taken for such.
    var isTextual: Bool {
        switch self {
        case .text, .varchar, .bpchar, .name, .json: true
        default: oid >= 16_384
        }
    }
}

/// What a statement is given for one or several of its parameters.
package protocol PostgresBind: Sendable {
    /// The types of the parameters, in order.
    static var parameterTypes: [PostgresType] { get }
    /// Appends the values, each behind its length.
    func appendParameters(into out: inout [UInt8])
}

/// A value that can be bound to a parameter.
package protocol PostgresEncodable: PostgresBind {
    /// The type the parameter is declared with.
    static var postgresType: PostgresType { get }
    /// Whether this is NULL; then `encode` is not asked.
    var isPostgresNull: Bool { get }
    /// Appends the binary form.
    func encode(into out: inout [UInt8])
}

extension PostgresEncodable {
    package static var parameterTypes: [PostgresType] { [postgresType] }
    package var isPostgresNull: Bool { false }
    /// Appends the value as the only one.
    package func appendParameters(into out: inout [UInt8]) { out.appendValue(self) }
}

/// A value that can be read from a column.
package protocol PostgresDecodable: Sendable {
    /// What NULL reads as; nil where NULL is an error.
    static var ofPostgresNull: Self? { get }
    /// Whether columns of `type` can be read.
    static func reads(_ type: PostgresType) -> Bool
    /// Reads the binary form; nil when the bytes do not fit the type.
    init?(postgres bytes: RawSpan, type: PostgresType)
}

extension PostgresDecodable {
    package static var ofPostgresNull: Self? { nil }
}

extension Optional: PostgresBind, PostgresEncodable where Wrapped: PostgresEncodable {
    package static var postgresType: PostgresType { Wrapped.postgresType }
    package var isPostgresNull: Bool { self?.isPostgresNull ?? true }
    package func encode(into out: inout [UInt8]) { self?.encode(into: &out) }
}

extension Optional: PostgresDecodable where Wrapped: PostgresDecodable {
    package static var ofPostgresNull: Self? { .some(nil) }
    package static func reads(_ type: PostgresType) -> Bool { Wrapped.reads(type) }
    package init?(postgres bytes: RawSpan, type: PostgresType) {
        guard let value = Wrapped(postgres: bytes, type: type) else { return nil }
        self = value
    }
}

extension [UInt8] {
    /// Appends an integer in network byte order.
    mutating func appendBigEndian(_ value: some FixedWidthInteger) {
        var big = value.bigEndian
        unsafe Swift.withUnsafeBytes(of: &big) { unsafe append(contentsOf: $0) }
    }
}

extension RawSpan {
    /// The integer in network byte order at `offset`; traps outside the span.
    func bigEndian<Value: FixedWidthInteger & BitwiseCopyable>(
        at offset: Int,
        as type: Value.Type
    ) -> Value {
        precondition(offset >= 0 && offset <= byteCount - MemoryLayout<Value>.size)
        return unsafe Value(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: type))
    }

    /// A copy of the bytes.
    var copied: [UInt8] { unsafe withUnsafeBytes { unsafe Array($0) } }

    /// The bytes as UTF-8; nil when they are not.
    var text: String? {
        unsafe withUnsafeBytes { unsafe String(validating: $0, as: UTF8.self) }
    }
}

// The shape of what goes over the wire, as recorded by the code that reads or writes it. One
// description serves the decoder, openapi.json and the tests, so they cannot disagree.

/// The shape of one JSON value.
package indirect enum Schema: Hashable, Sendable {
    /// A string of so many Unicode scalars.
    case text(ClosedRange<Int>)
    /// A string that is a secret; shown as a password field.
    case secret(ClosedRange<Int>)
    case integer(ClosedRange<Int64>)
    case boolean
    /// One of a fixed set of strings.
    case choice([String])
    /// RFC 3339, UTC, microseconds.
    case timestamp
    /// A UUID in its 36-character form.
    case id
    case list(Schema, ClosedRange<Int>)
    case object(ObjectSchema)
    case nullable(Schema)
    /// Any object; for what administrators store as they like.
    case anything
}

/// The shape of an object; members not listed are refused, unless a protocol says otherwise.
package struct ObjectSchema: Hashable, Sendable {
    /// The name of the Swift type, under which openapi.json lists it.
    package let name: String
    /// Its members, in the order they are read or written.
    package let members: [SchemaMember]
    /// Whether members that are not listed are taken, and not looked at.
    package var acceptsOthers = false
}

/// One member of an object.
package struct SchemaMember: Hashable, Sendable {
    /// Its name on the wire.
    package let name: String
    /// The shape of its value.
    package let schema: Schema
    /// Whether it is always there.
    package let isRequired: Bool
    /// What it means; one sentence.
    package let help: String
}

// A JSON text as a value. Numbers keep their kind: what was written as an integer is one, so that
// `1e3`, `1.0` and `1` are told apart and nothing is rounded on the way to a rule.

/// One JSON value (RFC 8259).
package enum JSONValue: Hashable, Sendable {
    case null
    case boolean(Bool)
    /// A number written without fraction or exponent that fits 64 bits.
    case integer(Int64)
    /// Any other number.
    case real(Double)
    case text(String)
    case list([JSONValue])
    case object([String: JSONValue])
}

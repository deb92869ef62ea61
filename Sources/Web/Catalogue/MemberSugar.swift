// The everyday members by their own names, so that a declaration reads as a line of a manual.
package import Primitives

extension MemberReader {
    /// A string of so many Unicode scalars that must be there.
    package mutating func text(
        _ name: String,
        _ length: ClosedRange<Int>,
        help: String
    ) -> String {
        required(name, .text(length), help: help)
    }

    /// A string that may be left out.
    package mutating func optionalText(
        _ name: String,
        _ length: ClosedRange<Int>,
        help: String
    ) -> String? {
        optional(name, .text(length), help: help)
    }

    /// A secret that must be there.
    package mutating func secretText(
        _ name: String,
        _ length: ClosedRange<Int>,
        help: String
    ) -> Secret {
        required(name, .secret(length), help: help)
    }

    /// One of the cases of an enum, or `fallback` when it is left out.
    package mutating func choice<Value>(
        _ name: String,
        _ type: Value.Type,
        default fallback: Value,
        help: String
    ) -> Value
    where Value: RawRepresentable & CaseIterable & Sendable, Value.RawValue == String {
        defaulted(name, .choice(type), default: fallback, help: help)
    }

    /// An object that must be there.
    package mutating func object<Body: RequestBody>(
        _ name: String,
        _ type: Body.Type,
        help: String
    ) -> Body {
        required(name, .object(type), help: help)
    }

    /// An object that may be left out.
    package mutating func optionalObject<Body: RequestBody>(
        _ name: String,
        _ type: Body.Type,
        help: String
    ) -> Body? {
        optional(name, .object(type), help: help)
    }

    /// The two members of every list, `limit` and `cursor`.
    package mutating func page() -> PageRequest {
        let limit = defaulted(
            "limit",
            .integer(1...Int64(PageRequest.maximumLimit)),
            default: Int64(PageRequest.defaultLimit),
            help: "How many items at most."
        )
        let cursor = optional("cursor", .cursor, help: "Where to go on: `next_cursor` of a page.")
        return PageRequest(limit: Int(limit), cursor: cursor)
    }
}

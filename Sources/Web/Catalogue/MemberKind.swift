// How one value is read and described. Values are checked, never repaired, and never repeated in a
// complaint: what was sent may be a password in the wrong place.
package import Primitives

/// What a member may hold: its schema, and how it is read from JSON or from a form.
package struct MemberKind<Value: Sendable>: Sendable {
    let schema: @Sendable () -> Schema
    let isList: Bool
    let placeholder: @Sendable () -> Value
    let parse: Parse

    typealias Parse = @Sendable (JSONValue, _ at: MemberPlace, inout [MemberError]) -> Value?

    init(
        schema: @autoclosure @escaping @Sendable () -> Schema,
        isList: Bool,
        placeholder: @autoclosure @escaping @Sendable () -> Value,
        parse: @escaping Parse
    ) {
        self.schema = schema
        self.isList = isList
        self.placeholder = placeholder
        self.parse = parse
    }
}

/// Where a value stands, for complaints, and whether scalars are spelled as text (query, form).
package struct MemberPlace: Sendable {
    let path: String
    let isForm: Bool

    func complaint(_ code: String, _ detail: String) -> MemberError {
        MemberError(path, code, detail)
    }

    func wrongType(_ wanted: String) -> MemberError {
        complaint("wrong-type", "must be \(wanted)")
    }
}

extension MemberKind where Value == String {
    /// A string of so many Unicode scalars, without control characters unless they are allowed
    /// (then tab and line feed only).
    package static func text(_ length: ClosedRange<Int>, allowsLines: Bool = false) -> Self {
        Self(schema: .text(length), isList: false, placeholder: "") {
            value,
            place,
            errors in
            MemberRules.text(value, length, allowsLines: allowsLines, place, &errors)
        }
    }
}

extension MemberKind {
    /// The same values, as far as `isGood` takes them.
    package func matching(
        _ code: String,
        _ detail: String,
        _ isGood: @escaping @Sendable (Value) -> Bool
    ) -> Self {
        let parse = parse
        return Self(schema: schema(), isList: isList, placeholder: placeholder()) {
            value,
            place,
            errors in
            guard let found = parse(value, place, &errors) else { return nil }
            guard isGood(found) else {
                errors.append(place.complaint(code, detail))
                return nil
            }
            return found
        }
    }
}

extension MemberKind where Value == Secret {
    /// A string that is a secret: any character but NUL, because a password may hold any.
    package static func secret(_ length: ClosedRange<Int>) -> Self {
        Self(schema: .secret(length), isList: false, placeholder: Secret([])) {
            value,
            place,
            errors in
            guard let text = MemberRules.string(value, place, &errors) else { return nil }
            guard MemberRules.fits(text, length, place, &errors) else { return nil }
            return Secret(text)
        }
    }
}

extension MemberKind where Value == Int64 {
    /// A whole number within `range`.
    package static func integer(_ range: ClosedRange<Int64>) -> Self {
        Self(schema: .integer(range), isList: false, placeholder: range.lowerBound) {
            value,
            place,
            errors in
            guard let number = MemberRules.integer(value, place) else {
                errors.append(place.wrongType("a whole number"))
                return nil
            }
            guard range.contains(number) else {
                errors.append(
                    place.complaint(
                        "out-of-range",
                        "must be \(range.lowerBound) to \(range.upperBound)"
                    )
                )
                return nil
            }
            return number
        }
    }
}

extension MemberKind where Value == Bool {
    /// `true` or `false`.
    package static var boolean: Self {
        Self(schema: .boolean, isList: false, placeholder: false) { value, place, errors in
            switch value {
            case .boolean(let flag): return flag
            case .text("true") where place.isForm: return true
            case .text("false") where place.isForm: return false
            default:
                errors.append(place.wrongType("true or false"))
                return nil
            }
        }
    }
}

extension MemberKind where Value == Timestamp {
    /// An instant of RFC 3339 in UTC, with up to six digits of fraction.
    package static var timestamp: Self {
        Self(schema: .timestamp, isList: false, placeholder: Timestamp(seconds: 0)) {
            value,
            place,
            errors in
            guard let text = MemberRules.string(value, place, &errors) else { return nil }
            guard let instant = Timestamp(text) else {
                errors.append(
                    place.complaint("malformed", "must be a time such as 2026-11-21T06:07:08Z")
                )
                return nil
            }
            return instant
        }
    }
}

extension MemberKind where Value == Cursor {
    /// A place in a list, as the last page named it.
    package static var cursor: Self {
        Self(
            schema: .text(1...Cursor.maximumText),
            isList: false,
            placeholder: Cursor([])
        ) { value, place, errors in
            guard case .text(let text) = value, let cursor = Cursor(text: text) else {
                errors.append(place.complaint("malformed", "must be a cursor of an earlier page"))
                return nil
            }
            return cursor
        }
    }
}

extension MemberKind {
    /// A UUID.
    package static func id<Kind>() -> Self where Value == ID<Kind> {
        Self(schema: .id, isList: false, placeholder: ID(high: 0, low: 0)) {
            value,
            place,
            errors in
            guard let text = MemberRules.string(value, place, &errors) else { return nil }
            guard let id = ID<Kind>(text) else {
                errors.append(place.complaint("malformed", "must be a UUID of 36 characters"))
                return nil
            }
            return id
        }
    }

    /// One of the raw values of an enum.
    package static func choice(_ type: Value.Type) -> Self
    where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
        let names = Value.allCases.map(\.rawValue)
        guard let first = Value.allCases.first else { preconditionFailure("an enum without cases") }
        return Self(schema: .choice(names), isList: false, placeholder: first) {
            value,
            place,
            errors in
            guard let text = MemberRules.string(value, place, &errors) else { return nil }
            guard let choice = Value(rawValue: text) else {
                let list = names.joined(separator: ", ")
                errors.append(place.complaint("unknown-choice", "must be one of: \(list)"))
                return nil
            }
            return choice
        }
    }

    /// A list of so many values.
    package static func list<Item>(_ item: MemberKind<Item>, _ count: ClosedRange<Int>) -> Self
    where Value == [Item] {
        Self(schema: .list(item.schema(), count), isList: true, placeholder: []) {
            value,
            place,
            errors in
            guard case .list(let values) = value else {
                errors.append(place.wrongType("a list"))
                return nil
            }
            guard count.contains(values.count) else {
                let limits = "must have \(count.lowerBound) to \(count.upperBound) items"
                errors.append(place.complaint("wrong-count", limits))
                return nil
            }
            var items: [Item] = []
            for (index, value) in values.enumerated() {
                let here = MemberPlace(path: "\(place.path).\(index)", isForm: place.isForm)
                if let item = item.parse(value, here, &errors) { items.append(item) }
            }
            return items.count == values.count ? items : nil
        }
    }

    /// An object with members of its own.
    package static func object(_ type: Value.Type) -> Self where Value: RequestBody {
        Self(
            schema: MemberReader.describe(Value.self),
            isList: false,
            placeholder: MemberReader.placeholder(Value.self)
        ) { value, place, errors in
            guard case .object(let members) = value else {
                errors.append(place.wrongType("an object"))
                return nil
            }
            return MemberReader.nested(Value.self, members, place, &errors)
        }
    }
}

/// The checks that several kinds share.
enum MemberRules {
    static func string(
        _ value: JSONValue,
        _ place: MemberPlace,
        _ errors: inout [MemberError]
    ) -> String? {
        guard case .text(let text) = value else {
            errors.append(place.wrongType("a string"))
            return nil
        }
        return text
    }

    static func text(
        _ value: JSONValue,
        _ length: ClosedRange<Int>,
        allowsLines: Bool,
        _ place: MemberPlace,
        _ errors: inout [MemberError]
    ) -> String? {
        guard let text = string(value, place, &errors) else { return nil }
        guard fits(text, length, place, &errors) else { return nil }
        let isClean = text.unicodeScalars.allSatisfy {
            $0.properties.generalCategory != .control
                || (allowsLines && ($0 == "\n" || $0 == "\t"))
        }
        guard isClean else {
            errors.append(place.complaint("control-character", "must not hold control characters"))
            return nil
        }
        return text
    }

    static func fits(
        _ text: String,
        _ length: ClosedRange<Int>,
        _ place: MemberPlace,
        _ errors: inout [MemberError]
    ) -> Bool {
        let count = text.unicodeScalars.count
        if count < length.lowerBound {
            let detail =
                count == 0
                ? "must not be empty" : "must have \(length.lowerBound) characters or more"
            errors.append(place.complaint("too-short", detail))
            return false
        }
        if count > length.upperBound {
            let detail = "must have at most \(length.upperBound) characters"
            errors.append(place.complaint("too-long", detail))
            return false
        }
        if text.unicodeScalars.contains("\0") {
            errors.append(place.complaint("control-character", "must not hold NUL"))
            return false
        }
        return true
    }

    static func integer(_ value: JSONValue, _ place: MemberPlace) -> Int64? {
        switch value {
        case .integer(let number): return number
        case .text(let text) where place.isForm:
            // Only the canonical spelling: no sign `+`, no leading zero, no white space.
            guard let number = Int64(text), String(number) == text else { return nil }
            return number
        default: return nil
        }
    }
}

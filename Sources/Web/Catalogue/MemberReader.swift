// Reads the members of a request and, run without values, describes them. It collects every
// complaint instead of stopping at the first, refuses members nobody asked for (row 252), and hands
// out placeholders after a complaint so that an initialiser reads on; what it built is thrown away.
internal import Primitives

/// Hands out members by name.
package struct MemberReader {
    private enum Source {
        case json([String: JSONValue])
        case form([String: [String]])
        case describing
        case placeholder
    }

    private let source: Source
    private let prefix: String
    private var known: Set<String> = []
    private var errors: [MemberError] = []
    private var shape: [SchemaMember] = []
    private var acceptsOthers = false

    private init(_ source: Source, prefix: String = "") {
        self.source = source
        self.prefix = prefix
    }

    /// A member that must be there.
    package mutating func required<Value>(
        _ name: String,
        _ kind: MemberKind<Value>,
        help: String
    ) -> Value {
        record(name, kind, isRequired: true, help)
        guard let value = find(name, kind) else {
            if isReading, !isPresent(name) {
                errors.append(MemberError(prefix + name, "missing", "must be given"))
            }
            return kind.placeholder()
        }
        return value
    }

    /// A member that may be left out; `null` is refused as any wrong type is.
    package mutating func optional<Value>(
        _ name: String,
        _ kind: MemberKind<Value>,
        help: String
    ) -> Value? {
        record(name, kind, isRequired: false, help)
        return find(name, kind)
    }

    /// A member that stands for `fallback` when it is left out.
    package mutating func defaulted<Value>(
        _ name: String,
        _ kind: MemberKind<Value>,
        default fallback: Value,
        help: String
    ) -> Value {
        record(name, kind, isRequired: false, help)
        return find(name, kind) ?? fallback
    }

    /// A member that must be there and may be `null`, for none.
    package mutating func nullable<Value>(
        _ name: String,
        _ kind: MemberKind<Value>,
        help: String
    ) -> Value? {
        switch change(name, kind, isRequired: true, help: help) {
        case .set(let value): return value
        case .clear: return nil
        case .keep:
            if !isPresent(name) { complain(name, "missing", "must be given, or be null") }
            return nil
        }
    }

    /// A member of a PATCH: left out, `null` (clear it), or a new value.
    package mutating func change<Value>(
        _ name: String,
        _ kind: MemberKind<Value>,
        isRequired: Bool = false,
        help: String
    ) -> Change<Value> {
        if case .describing = source {
            shape.append(
                SchemaMember(
                    name: name,
                    schema: .nullable(kind.schema()),
                    isRequired: isRequired,
                    help: help
                )
            )
        }
        if case .json(let members) = source, case .null? = members[name] {
            known.insert(name)
            return .clear
        }
        guard let value = find(name, kind) else { return .keep }
        return .set(value)
    }

    /// A complaint that the initialiser itself finds, such as two members that exclude each other.
    package mutating func complain(_ name: String, _ code: String, _ detail: String) {
        if isReading { errors.append(MemberError(prefix + name, code, detail)) }
    }

    /// Lets the request hold members that nobody asks for, where a protocol says so.
    package mutating func ignoreOthers() { acceptsOthers = true }

    private var isReading: Bool {
        switch source {
        case .json, .form: true
        case .describing, .placeholder: false
        }
    }

    private func isPresent(_ name: String) -> Bool {
        switch source {
        case .json(let members): members[name] != nil
        case .form(let members): members[name] != nil
        case .describing, .placeholder: false
        }
    }

    private mutating func record<Value>(
        _ name: String,
        _ kind: MemberKind<Value>,
        isRequired: Bool,
        _ help: String
    ) {
        guard case .describing = source else { return }
        shape.append(
            SchemaMember(name: name, schema: kind.schema(), isRequired: isRequired, help: help)
        )
    }

    /// The value of a member; nil when it is absent or wrong (then a complaint was recorded).
    private mutating func find<Value>(_ name: String, _ kind: MemberKind<Value>) -> Value? {
        switch source {
        case .describing, .placeholder: return nil
        case .json(let members):
            known.insert(name)
            guard let value = members[name] else { return nil }
            let place = MemberPlace(path: prefix + name, isForm: false)
            return kind.parse(value, place, &errors)
        case .form(let members):
            known.insert(name)
            guard let values = members[name] else { return nil }
            let place = MemberPlace(path: prefix + name, isForm: true)
            if kind.isList {
                return kind.parse(.list(values.map(JSONValue.text)), place, &errors)
            }
            guard values.count == 1, let only = values.first else {
                errors.append(place.complaint("duplicate", "must be given once"))
                return nil
            }
            return kind.parse(.text(only), place, &errors)
        }
    }

    private mutating func refuseUnknown() {
        if acceptsOthers { return }
        let names: [String]
        switch source {
        case .json(let members): names = members.keys.filter { !known.contains($0) }
        case .form(let members): names = members.keys.filter { !known.contains($0) }
        case .describing, .placeholder: names = []
        }
        for name in names.sorted() {
            let shown = prefix + String(String.UnicodeScalarView(name.unicodeScalars.prefix(64)))
            errors.append(MemberError(shown, "unknown", "is not a member of this request"))
        }
    }
}

/// What a PATCH says about one member.
package enum Change<Value: Sendable>: Sendable {
    /// It is not mentioned.
    case keep
    /// It is `null`.
    case clear
    /// It has a new value.
    case set(Value)
}

extension MemberReader {
    /// Decodes a JSON object.
    ///
    /// - Throws: ``ValidationRefusal`` with every complaint.
    package static func decode<Input: OperationInput>(
        _ type: Input.Type,
        json: [String: JSONValue]
    ) throws -> Input {
        try decode(type, MemberReader(.json(json)))
    }

    /// Decodes a query or a form.
    ///
    /// - Throws: ``ValidationRefusal`` with every complaint.
    package static func decode<Input: OperationInput>(
        _ type: Input.Type,
        form: [String: [String]]
    ) throws -> Input {
        try decode(type, MemberReader(.form(form)))
    }

    private static func decode<Input: OperationInput>(
        _ type: Input.Type,
        _ reader: MemberReader
    ) throws -> Input {
        var reader = reader
        let input = try Input(&reader)
        reader.refuseUnknown()
        guard reader.errors.isEmpty else { throw ValidationRefusal(reader.errors) }
        return input
    }

    static func nested<Body: RequestBody>(
        _ type: Body.Type,
        _ members: [String: JSONValue],
        _ place: MemberPlace,
        _ errors: inout [MemberError]
    ) -> Body? {
        var reader = MemberReader(.json(members), prefix: place.path + ".")
        do {
            let body = try Body(&reader)
            reader.refuseUnknown()
            errors += reader.errors
            return reader.errors.isEmpty ? body : nil
        } catch {
            errors.append(place.complaint("malformed", "is not as declared"))
            return nil
        }
    }

    /// The shape of an input, recorded by running its initialiser without values.
    package static func describe<Input: OperationInput>(_ type: Input.Type) -> Schema {
        var reader = MemberReader(.describing)
        _ = build(type, &reader)
        return .object(
            ObjectSchema(
                name: "\(Input.self)",
                members: reader.shape,
                acceptsOthers: reader.acceptsOthers
            )
        )
    }

    static func placeholder<Input: OperationInput>(_ type: Input.Type) -> Input {
        var reader = MemberReader(.placeholder)
        return build(type, &reader)
    }

    private static func build<Input: OperationInput>(
        _ type: Input.Type,
        _ reader: inout MemberReader
    ) -> Input {
        do {
            return try Input(&reader)
        } catch {
            preconditionFailure("\(Input.self) throws on placeholders: \(error)")
        }
    }
}

// Schemas as JSON Schema 2020-12, which is what OpenAPI 3.1 uses. Named objects become components,
// once each; two different objects under one name are a bug that stops the generator.
internal import Primitives

/// Collects the named schemas of a document.
struct SchemaComponents {
    private var named: [String: ObjectSchema] = [:]

    /// The schema, with objects as references to their component.
    mutating func json(_ schema: Schema) -> OrderedJSON {
        switch schema {
        case .text(let length): .object([("type", .text("string"))] + Self.lengths(length))
        case .secret(let length):
            .object(
                [("type", .text("string")), ("format", .text("password"))]
                    + Self.lengths(length)
            )
        case .integer(let range):
            .object(
                [("type", .text("integer")), ("format", .text("int64"))]
                    + (range.lowerBound == .min ? [] : [("minimum", .integer(range.lowerBound))])
                    + (range.upperBound == .max ? [] : [("maximum", .integer(range.upperBound))])
            )
        case .boolean: .object([("type", .text("boolean"))])
        case .choice(let names): .object([("type", .text("string")), ("enum", .texts(names))])
        case .timestamp:
            .object([("type", .text("string")), ("format", .text("date-time"))])
        case .id: .object([("type", .text("string")), ("format", .text("uuid"))])
        case .list(let item, let count):
            .object(
                [("type", .text("array")), ("items", json(item))]
                    + (count.lowerBound == 0
                        ? [] : [("minItems", .integer(Int64(count.lowerBound)))])
                    + (count.upperBound == .max
                        ? [] : [("maxItems", .integer(Int64(count.upperBound)))])
            )
        case .object(let object): reference(object)
        case .nullable(let inner):
            .object([("anyOf", .list([json(inner), .object([("type", .text("null"))])]))])
        case .anything: .object([("type", .text("object"))])
        }
    }

    /// Every component so far, by name.
    mutating func finish() -> [(String, OrderedJSON)] {
        // Describing one component may name others, so go on until none is new.
        var done: [String: OrderedJSON] = [:]
        while let name = named.keys.sorted().first(where: { done[$0] == nil }),
            let object = named[name]
        {
            done[name] = body(of: object)
        }
        return done.sorted { $0.key < $1.key }
    }

    private mutating func reference(_ object: ObjectSchema) -> OrderedJSON {
        if let other = named[object.name] {
            precondition(other == object, "two schemas are named \(object.name)")
        }
        named[object.name] = object
        return .object([("$ref", .text("#/components/schemas/\(object.name)"))])
    }

    private mutating func body(of object: ObjectSchema) -> OrderedJSON {
        var members: [(String, OrderedJSON)] = []
        for member in object.members {
            members.append((member.name, described(member)))
        }
        let required = object.members.filter(\.isRequired).map(\.name)
        return .object(
            [("type", .text("object")), ("additionalProperties", .flag(object.acceptsOthers))]
                + (required.isEmpty ? [] : [("required", .texts(required))])
                + [("properties", .object(members))]
        )
    }

    private mutating func described(_ member: SchemaMember) -> OrderedJSON {
        guard case .object(let parts) = json(member.schema) else { return .null }
        return .object([("description", .text(member.help))] + parts)
    }

    private static func lengths(_ length: ClosedRange<Int>) -> [(String, OrderedJSON)] {
        (length.lowerBound == 0 ? [] : [("minLength", .integer(Int64(length.lowerBound)))])
            + (length.upperBound == .max
                ? [] : [("maxLength", .integer(Int64(length.upperBound)))])
    }
}

// What an operation answers: one function that both writes and describes, in a fixed member order.
// Ids are UUID strings, times RFC 3339 with microseconds; an optional member is `null`, never
// absent, so that clients see the same members each time.
package import Primitives

/// A JSON object in an answer.
package protocol ReplyBody: Sendable {
    /// Writes every member; must write the same names whatever the values.
    func write(_ members: inout MemberWriter)
    /// A sample, for openapi.json and its tests.
    static var example: Self { get }
    /// Samples of every form the object takes, when there are several; the default has one.
    static var examples: [Self] { get }
}

extension ReplyBody {
    package static var examples: [Self] { [example] }
}

/// For answers without content.
package struct NoReply: ReplyBody {
    /// No content.
    package init() {}
    package func write(_ members: inout MemberWriter) {}
    package static var example: Self { Self() }
}

/// Writes the members of one object, in the order of the calls.
package struct MemberWriter {
    private var bytes: [UInt8] = [UInt8(ascii: "{")]
    private var isFirst = true
    private var shape: [SchemaMember]?

    private init(describing: Bool) { shape = describing ? [] : nil }

    /// A string.
    package mutating func text(_ name: String, _ value: String, help: String) {
        begin(name, .text(Self.anyLength), help)
        JSONText.append(value, to: &bytes)
    }

    /// A string or `null`.
    package mutating func text(_ name: String, _ value: String?, help: String) {
        begin(name, .nullable(.text(Self.anyLength)), help)
        if let value { JSONText.append(value, to: &bytes) } else { null() }
    }

    /// One of a fixed set of strings.
    package mutating func choice<Value>(_ name: String, _ value: Value, help: String)
    where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
        begin(name, .choice(Value.allCases.map(\.rawValue)), help)
        JSONText.append(value.rawValue, to: &bytes)
    }

    /// A whole number.
    package mutating func integer(_ name: String, _ value: Int64, help: String) {
        begin(name, .integer(.min ... .max), help)
        JSONText.append(value, to: &bytes)
    }

    /// A whole number or `null`.
    package mutating func integer(_ name: String, _ value: Int64?, help: String) {
        begin(name, .nullable(.integer(.min ... .max)), help)
        if let value { JSONText.append(value, to: &bytes) } else { null() }
    }

    /// `true` or `false`.
    package mutating func boolean(_ name: String, _ value: Bool, help: String) {
        begin(name, .boolean, help)
        JSONText.append(value, to: &bytes)
    }

    /// A time.
    package mutating func timestamp(_ name: String, _ value: Timestamp, help: String) {
        begin(name, .timestamp, help)
        JSONText.append(value.description, to: &bytes)
    }

    /// A time or `null`.
    package mutating func timestamp(_ name: String, _ value: Timestamp?, help: String) {
        begin(name, .nullable(.timestamp), help)
        if let value { JSONText.append(value.description, to: &bytes) } else { null() }
    }

    /// An id.
    package mutating func id<Kind>(_ name: String, _ value: ID<Kind>, help: String) {
        begin(name, .id, help)
        JSONText.append(value.description, to: &bytes)
    }

    /// An id or `null`.
    package mutating func id<Kind>(_ name: String, _ value: ID<Kind>?, help: String) {
        begin(name, .nullable(.id), help)
        if let value { JSONText.append(value.description, to: &bytes) } else { null() }
    }

    /// A list of strings.
    package mutating func texts(_ name: String, _ values: [String], help: String) {
        begin(name, .list(.text(Self.anyLength), Self.anyCount), help)
        list(values) { JSONText.append($0, to: &$1) }
    }

    /// A list of objects.
    package mutating func objects<Item: ReplyBody>(_ name: String, _ items: [Item], help: String) {
        begin(name, .list(Self.describe(Item.self), Self.anyCount), help)
        list(items) { $1 += Self.encode($0) }
    }

    /// An object.
    package mutating func object<Item: ReplyBody>(_ name: String, _ item: Item, help: String) {
        begin(name, Self.describe(Item.self), help)
        bytes += Self.encode(item)
    }

    /// An object or `null`.
    package mutating func object<Item: ReplyBody>(_ name: String, _ item: Item?, help: String) {
        begin(name, .nullable(Self.describe(Item.self)), help)
        if let item { bytes += Self.encode(item) } else { null() }
    }

    /// An object of any shape, given as JSON text that the database has made.
    package mutating func anything(_ name: String, _ json: String, help: String) {
        begin(name, .anything, help)
        bytes += json.utf8
    }

    /// The two members of every list: `items` and `next_cursor`.
    package mutating func page<Item: ReplyBody>(_ page: Page<Item>) {
        objects("items", page.items, help: "The items of this page.")
        text(
            "next_cursor",
            page.nextCursor?.description,
            help: "Send it as `cursor` for the next page; null on the last."
        )
    }

    private static let anyLength = 0...Int.max
    private static let anyCount = 0...Int.max

    private mutating func null() { bytes.append(contentsOf: "null".utf8) }

    private mutating func begin(_ name: String, _ schema: @autoclosure () -> Schema, _ help: String)
    {
        if isFirst { isFirst = false } else { bytes.append(UInt8(ascii: ",")) }
        JSONText.append(name, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        shape?.append(SchemaMember(name: name, schema: schema(), isRequired: true, help: help))
    }

    private mutating func list<Item>(_ items: [Item], _ write: (Item, inout [UInt8]) -> Void) {
        bytes.append(UInt8(ascii: "["))
        for (index, item) in items.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            write(item, &bytes)
        }
        bytes.append(UInt8(ascii: "]"))
    }
}

extension MemberWriter {
    /// The JSON text of a body.
    package static func encode(_ body: some ReplyBody) -> [UInt8] {
        var writer = MemberWriter(describing: false)
        body.write(&writer)
        writer.bytes.append(UInt8(ascii: "}"))
        return writer.bytes
    }

    /// The shape of a body's first example.
    package static func describe<Body: ReplyBody>(_ type: Body.Type) -> Schema {
        describeAll(type)[0]
    }

    /// The shape of each of a body's examples.
    package static func describeAll<Body: ReplyBody>(_ type: Body.Type) -> [Schema] {
        let examples = Body.examples
        precondition(!examples.isEmpty, "\(Body.self) has no example")
        return examples.enumerated().map { index, example in
            var writer = MemberWriter(describing: true)
            example.write(&writer)
            let name = index == 0 ? "\(Body.self)" : "\(Body.self)\(index + 1)"
            return .object(ObjectSchema(name: name, members: writer.shape ?? []))
        }
    }
}

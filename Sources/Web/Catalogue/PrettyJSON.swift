// Writes indented JSON in the order it is given, so that generated files have small diffs.

/// A JSON value that keeps the order of its members.
enum OrderedJSON {
    case text(String)
    case integer(Int64)
    case flag(Bool)
    case null
    case list([OrderedJSON])
    case object([(String, OrderedJSON)])

    /// A list of strings.
    static func texts(_ values: [String]) -> Self { .list(values.map(Self.text)) }

    /// The value as two-space indented text.
    var pretty: String {
        var out: [UInt8] = []
        write(to: &out, indent: 0)
        out.append(UInt8(ascii: "\n"))
        return String(decoding: out, as: UTF8.self)
    }

    private func write(to out: inout [UInt8], indent: Int) {
        switch self {
        case .text(let text): JSONText.append(text, to: &out)
        case .integer(let number): JSONText.append(number, to: &out)
        case .flag(let flag): JSONText.append(flag, to: &out)
        case .null: out += "null".utf8
        case .list(let items):
            Self.nest(items, "[", "]", indent, &out) { item, out in
                item.write(to: &out, indent: indent + 1)
            }
        case .object(let members):
            Self.nest(members, "{", "}", indent, &out) { member, out in
                JSONText.append(member.0, to: &out)
                out += ": ".utf8
                member.1.write(to: &out, indent: indent + 1)
            }
        }
    }

    private static func nest<Item>(
        _ items: [Item],
        _ open: String,
        _ close: String,
        _ indent: Int,
        _ out: inout [UInt8],
        _ write: (Item, inout [UInt8]) -> Void
    ) {
        guard !items.isEmpty else {
            out += (open + close).utf8
            return
        }
        out += open.utf8
        for (index, item) in items.enumerated() {
            out += (index == 0 ? "\n" : ",\n").utf8
            out += String(repeating: "  ", count: indent + 1).utf8
            write(item, &out)
        }
        out += "\n\(String(repeating: "  ", count: indent))\(close)".utf8
    }
}

extension OrderedJSON {
    /// An example body as ordered JSON; objects lose their order here, so names are sorted.
    init(_ value: JSONValue) {
        switch value {
        case .null: self = .null
        case .boolean(let flag): self = .flag(flag)
        case .integer(let number): self = .integer(number)
        case .real(let number): self = .text("\(number)")
        case .text(let text): self = .text(text)
        case .list(let items): self = .list(items.map(OrderedJSON.init))
        case .object(let members):
            self = .object(
                members.sorted { $0.key < $1.key }.map { ($0.key, OrderedJSON($0.value)) }
            )
        }
    }
}

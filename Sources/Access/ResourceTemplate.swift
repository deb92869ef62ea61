// The resource of a rule, with names of path segments in it: `project:{id}`. What a path puts in
// must not change the shape of the resource: no slash, no star, nothing that a scope cannot spell.
internal import Primitives

/// A resource with gaps.
struct ResourceTemplate: Hashable, Sendable {
    private enum Piece: Hashable, Sendable {
        case text([UInt8])
        case name(String)
    }
    private let pieces: [Piece]

    /// Reads `type:name`, where the name may have `{segment}` in it.
    ///
    /// - Throws: a complaint about `resource`.
    init(_ text: String) throws(RouteFlaw) {
        var pieces: [Piece] = []
        var sample: [UInt8] = []
        var rest = Substring(text)
        while !rest.isEmpty {
            if rest.first == "{" {
                guard let close = rest.firstIndex(of: "}"),
                    case let name = rest[rest.index(after: rest.startIndex)..<close],
                    RoutePattern.isName(name)
                else { throw RouteFlaw("has a `{` without the name of a segment and `}`") }
                pieces.append(.name(String(name)))
                sample.append(UInt8(ascii: "x"))
                rest = rest[rest.index(after: close)...]
            } else {
                let piece = Array(rest.prefix { $0 != "{" }.utf8)
                pieces.append(.text(piece))
                sample += piece
                rest = rest.drop { $0 != "{" }
            }
        }
        let type = text.prefix { $0 != ":" }
        guard !type.contains("{"), Self.isResource(sample) else {
            throw RouteFlaw("must be a type, `:` and a name, as `project:{id}`")
        }
        self.pieces = pieces
    }

    /// The segments that it names.
    var names: Set<String> {
        Set(pieces.compactMap { if case .name(let name) = $0 { name } else { nil } })
    }

    /// The resource of a path; nil where the path has something that no resource can be.
    func filled(_ pattern: RoutePattern, _ path: RoutePath) -> String? {
        var out: [UInt8] = []
        for piece in pieces {
            switch piece {
            case .text(let bytes): out += bytes
            case .name(let name):
                guard let value = pattern.value(of: name, in: path), !value.isEmpty,
                    value.allSatisfy({ Self.isNameByte($0) && $0 != UInt8(ascii: "/") })
                else { return nil }
                out += value
            }
        }
        return Self.isResource(out) ? String(decoding: out, as: UTF8.self) : nil
    }

    /// The form of `account_roles.scope`, without `/*`.
    private static func isResource(_ bytes: [UInt8]) -> Bool {
        guard (3...RouteDefinition.resourceBytes).contains(bytes.count),
            let colon = bytes.firstIndex(of: UInt8(ascii: ":"))
        else { return false }
        let type = bytes[..<colon]
        let name = bytes[(colon + 1)...]
        return (1...63).contains(type.count) && (1...190).contains(name.count)
            && (0x61...0x7A).contains(type[0])
            && type.allSatisfy { byte in
                (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte)
                    || ".-_".utf8.contains(byte)
            }
            && name.allSatisfy(isNameByte)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        (0x61...0x7A).contains(byte | 0x20) || (0x30...0x39).contains(byte)
            || ".-_~@/".utf8.contains(byte)
    }
}

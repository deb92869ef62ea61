// The pattern of a route rule: literal segments, `{name}` or `*` for one segment, `**` at the end
// for the rest. Compared byte for byte with decoded segments: case matters, and nothing is folded
// or normalised, because the application behind the gateway would not do it the same way.
package import Primitives

/// A path pattern.
package struct RoutePattern: Hashable, Sendable {
    /// What one segment must be.
    enum Segment: Hashable, Sendable {
        /// These bytes; empty only for the slash at the end.
        case literal([UInt8])
        /// Any one segment that is not empty, with a name or without.
        case one(String?)
        /// Whatever is left, also nothing: `/a/**` is `/a`, `/a/` and all below.
        case rest
    }
    /// The pattern as it was written.
    package let text: String
    let segments: [Segment]

    /// The longest pattern, in bytes.
    package static let byteLimit = 512
    /// The most segments.
    package static let segmentLimit = 32

    /// Reads a pattern.
    ///
    /// - Throws: a complaint about `path`.
    package init(_ text: String) throws(RouteFlaw) {
        guard text.utf8.first == UInt8(ascii: "/"), text.utf8.count <= Self.byteLimit else {
            throw RouteFlaw("must begin with `/` and have at most \(Self.byteLimit) bytes")
        }
        let pieces = text.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        guard pieces.count <= Self.segmentLimit else {
            throw RouteFlaw("must have at most \(Self.segmentLimit) segments")
        }
        var segments: [Segment] = []
        for (index, piece) in pieces.enumerated() {
            segments.append(try Self.segment(piece, isLast: index == pieces.count - 1))
        }
        let names = segments.compactMap(\.name)
        guard Set(names).count == names.count else { throw RouteFlaw("names a segment twice") }
        self.text = text
        self.segments = segments
    }

    private static func segment(
        _ piece: Substring,
        isLast: Bool
    ) throws(RouteFlaw) -> Segment {
        switch piece {
        case "*": return .one(nil)
        case "**":
            guard isLast else { throw RouteFlaw("may have `**` at its end only") }
            return .rest
        case ".", "..": throw RouteFlaw("must not have dot segments, which no request may have")
        case "":
            guard isLast else { throw RouteFlaw("must not have empty segments") }
            return .literal([])
        default: break
        }
        if piece.hasPrefix("{"), piece.hasSuffix("}") {
            let name = piece.dropFirst().dropLast()
            guard isName(name) else {
                throw RouteFlaw("has a name that is not 1 to 32 of a-z, 0-9 and `_`")
            }
            return .one(String(name))
        }
        // Percent-encoding has one form only here: none.
        let odd = piece.unicodeScalars.contains { scalar in
            scalar.properties.generalCategory == .control
                || "*{}%\\;?#".unicodeScalars.contains(scalar)
        }
        guard !odd else {
            throw RouteFlaw("has `*`, `{`, `}`, `%`, `\\`, `;`, `?` or `#` inside a segment")
        }
        return .literal(Array(piece.utf8))
    }

    /// Whether a name may stand between braces.
    static func isName(_ name: Substring) -> Bool {
        (1...32).contains(name.utf8.count)
            && name.utf8.allSatisfy {
                (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F
            }
    }

    /// The names of its segments.
    var names: Set<String> { Set(segments.compactMap(\.name)) }

    /// Whether a path is one of those meant; `RouteTable` finds the rule of a path faster.
    func matches(_ path: RoutePath) -> Bool {
        for (index, segment) in segments.enumerated() {
            if segment == .rest { return true }
            guard index < path.count else { return false }
            switch segment {
            case .literal(let bytes):
                guard path.segment(index).elementsEqual(bytes) else { return false }
            case .one: guard !path.range(index).isEmpty else { return false }
            case .rest: return true
            }
        }
        return path.count == segments.count
    }

    /// What stood for a named segment of a path that matches.
    func value(of name: String, in path: RoutePath) -> ArraySlice<UInt8>? {
        segments.firstIndex { $0.name == name }.map(path.segment)
    }
}

extension RoutePattern.Segment {
    fileprivate var name: String? { if case .one(let name) = self { name } else { nil } }
}

/// Why something may not be part of a rule.
package struct RouteFlaw: Error, Sendable {
    /// A sentence without its subject.
    package let detail: String

    /// A complaint.
    package init(_ detail: String) { self.detail = detail }

    /// The complaint about a member.
    package func error(_ member: String) -> MemberError { MemberError(member, "malformed", detail) }
}

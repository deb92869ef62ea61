// `Prefer: return=minimal` (RFC 7240 section 4.2): a caller that does not need the answer's body.
// A preference is no order: what is not understood is read over, never refused.
internal import HTTPTypes

/// The preferences of a request that are honoured.
struct Preferences: Equatable {
    /// Whether the answer may leave out its body.
    let isMinimal: Bool

    /// Reads all `Prefer` lines; of two for the same thing the first counts (section 2).
    init(_ headers: HTTPFields) {
        for line in headers[values: .prefer] {
            for preference in Self.members(line) {
                // Parameters of a preference follow a semicolon; `return` has none.
                let word = preference.prefix { $0 != ";" }
                let parts = word.split(separator: "=", maxSplits: 1).map(Self.trimmed)
                guard parts.first?.lowercased() == "return" else { continue }
                isMinimal = parts.count == 2 && (parts[1] == "minimal" || parts[1] == "\"minimal\"")
                return
            }
        }
        isMinimal = false
    }

    /// What commas outside of quotes separate.
    private static func members(_ line: String) -> [String] {
        var out = [""]
        var isQuoted = false
        for character in line {
            if character == "\"" { isQuoted.toggle() }
            if character == ",", !isQuoted {
                out.append("")
            } else {
                out[out.count - 1].append(character)
            }
        }
        return out
    }

    private static func trimmed(_ text: Substring) -> String {
        let isBlank = { (character: Character) in character == " " || character == "\t" }
        return String(text.drop(while: isBlank).reversed().drop(while: isBlank).reversed())
    }
}

extension OperationInfo {
    /// The answer without its body, where the caller prefers that and the operation can.
    func preferred(_ reply: Reply, _ headers: HTTPFields) -> Reply {
        guard traits.contains(.mayBeMinimal), reply.status.code == 200 || reply.status.code == 201,
            Preferences(headers).isMinimal
        else { return reply }
        var minimal = Reply(reply.status.code == 201 ? 201 : 204, headers: reply.headers)
        minimal.headers[.contentType] = nil
        minimal.headers[.preferenceApplied] = "return=minimal"
        return minimal
    }
}

// Whether a JSON text names a member of an object twice: decoders take the first, the last or any,
// so that two readers of one token could see two different claims (RFC 7519 section 4, checklist
// row 130). It looks at names and nesting only; that the text is JSON at all, the decoder finds.

/// The names of a JSON text's members.
enum MemberNames {
    /// How deep objects and lists may be nested, the outermost counted.
    static let depthLimit = 8

    /// What the text is inside of.
    private enum Level {
        case list
        case object(names: Set<[UInt8]>, awaitsName: Bool)
    }

    /// Whether no object has two members of one name, every name is spelled without escapes, and
    /// nothing is nested too deep.
    ///
    /// An escape would be a second spelling of a name; we never write one.
    static func areUnique(in text: [UInt8]) -> Bool {
        var levels: [Level] = []
        var at = 0
        while at < text.count {
            switch text[at] {
            case UInt8(ascii: "{"): levels.append(.object(names: [], awaitsName: true))
            case UInt8(ascii: "["): levels.append(.list)
            case UInt8(ascii: "}"), UInt8(ascii: "]"): _ = levels.popLast()
            case UInt8(ascii: ","):
                if case .object(let names, _)? = levels.popLast() {
                    levels.append(.object(names: names, awaitsName: true))
                } else {
                    levels.append(.list)
                }
            case UInt8(ascii: "\""):
                let end = endOfString(in: text, from: at + 1)
                guard take(text[(at + 1)..<end], into: &levels) else { return false }
                at = end
            default: break
            }
            guard levels.count <= depthLimit else { return false }
            at += 1
        }
        return true
    }

    /// Notes a string if it is a name; false for a name that was there or is written oddly.
    private static func take(_ string: ArraySlice<UInt8>, into levels: inout [Level]) -> Bool {
        guard case .object(_, true)? = levels.last,
            // Taken out, so that the set is not copied for each name.
            case .object(var names, _)? = levels.popLast()
        else { return true }
        guard !string.contains(UInt8(ascii: "\\")), names.insert(Array(string)).inserted else {
            return false
        }
        levels.append(.object(names: names, awaitsName: false))
        return true
    }

    /// The place of the quotation mark that ends a string, or the end of the text.
    private static func endOfString(in text: [UInt8], from start: Int) -> Int {
        var at = start
        while at < text.count, text[at] != UInt8(ascii: "\"") {
            at += text[at] == UInt8(ascii: "\\") ? 2 : 1
        }
        return min(at, text.count)
    }
}

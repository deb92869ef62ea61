// What a line of Swift declares, told from its words alone; the formatter makes that possible.

/// A line that declares something.
enum Declaration {
    private static let kinds: Set<String> = [
        "actor", "class", "enum", "protocol", "struct", "typealias",
    ]
    private static let banned = [
        "Base", "Common", "Core", "Helper", "Helpers", "Impl", "Legacy", "Manager", "New", "Util",
        "Utility", "Utils", "V2",
    ]
    /// Names that end in a banned word, and why they may.
    private static let allowed = [
        "ReadIndexCore": "the pure state machine beside its shell ReadIndex",
        "AuthorityCore": "the pure state machine beside ReadIndexCore, of the same shell",
        "RevokerCore": "the pure state machine beside its shell Revoker",
    ]
    /// Requirements of protocols, whose comment is the protocol's.
    private static let witnesses = [
        "init(_ members: inout MemberReader)", "func write(_ members: inout MemberWriter)",
        "func encode(into out: inout [UInt8])", "static func reads(_ type: PostgresType)",
        "init?(postgres bytes: RawSpan, type: PostgresType)", "static func encodeArray(",
        "static func decodeArray(", "static func < (", "static func == (", "func result(",
        "func enqueue(", "func asUnownedTaskExecutor(", "init(stringLiteral", "func hash(into",
        "init(integerLiteral", "func setup(channel: any Channel", "func run() async throws",
        "func handle(value: Value",
    ]

    /// Whether the line begins a function or an initializer.
    static func isFunction(_ text: String) -> Bool {
        guard text.contains("func ") || text.contains("init") else { return false }
        for word in text.split(separator: " ") {
            if word == "func" { return true }
            if word.hasPrefix("init(") || word.hasPrefix("init?(") || word.hasPrefix("init<") {
                return true
            }
            let isModifier =
                word.hasPrefix("@")
                || [
                    "package", "private", "fileprivate", "internal", "static", "mutating",
                    "nonisolated", "override", "final", "consuming", "borrowing", "convenience",
                ].contains(word)
            guard isModifier else { return false }
        }
        return false
    }

    /// Whether the line is a package type or function that must say what it is for.
    static func needsComment(_ line: Substring) -> Bool {
        let text = line.trimmed
        guard text.hasPrefix("package "), !text.hasPrefix("package import") else { return false }
        let rest = text.dropFirst("package ".count)
        guard !witnesses.contains(where: { rest.hasPrefix($0) }) else { return false }
        return typeName(line) != nil || isFunction(text)
    }

    /// The name of the type that the line declares.
    static func typeName(_ line: Substring) -> String? {
        guard kinds.contains(where: { line.contains($0) }) else { return nil }
        let text = line.trimmed
        guard !text.hasPrefix("//"), !text.hasPrefix("\"") else { return nil }
        let words = text.split(separator: " ")
        for (index, word) in words.enumerated() {
            if kinds.contains(String(word)), index + 1 < words.count {
                let name = words[index + 1].prefix { $0.isLetter || $0.isNumber || $0 == "_" }
                return name.first?.isUppercase == true ? String(name) : nil
            }
            guard word.allSatisfy({ $0.isLowercase || "@()_".contains($0) }) else { return nil }
        }
        return nil
    }

    /// What is wrong with the name of a type or a file.
    static func complaint(_ name: String) -> String? {
        guard allowed[name] == nil, let word = banned.first(where: name.hasSuffix) else {
            return nil
        }
        return "\(name): \"\(word)\" says nothing; name what it is or does (docs/vocabulary.md)"
    }
}

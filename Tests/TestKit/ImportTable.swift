// Package.swift read as text: every target of Sources with what it may import, in order. The table
// in ARCHITECTURE.md is written from it, and the import lines are compared with it.

/// Who may import whom.
package enum ImportTable {
    /// Where the table stands in ARCHITECTURE.md.
    package static let begin = "<!-- imports: `make regenerate` -->\n"
    /// Where it ends.
    package static let end = "<!-- /imports -->"

    /// The modules each target of `Sources` may import.
    package static let declared = Dictionary(
        uniqueKeysWithValues: targets.map { ($0.name, $0.modules) }
    )

    /// Every target with Swift in it, in the order of Package.swift.
    package static let targets: [(name: String, modules: [String])] = {
        let text = Repository.text("Package.swift")
        let names = products(text)
        var found: [(name: String, modules: [String])] = []
        for part in text.split(separator: "arget(").dropFirst() {
            guard let name = quoted(part, after: "name: "), Repository.has("Sources/\(name)") else {
                continue
            }
            found.append((name, dependencies(part, names)))
        }
        return found
    }()

    /// The table as Markdown: ours, then others'.
    package static var markdown: String {
        let ours = Set(targets.map(\.name))
        var out = "| Target | Ours | From outside |\n|---|---|---|\n"
        for (name, modules) in targets where name != "CLinux" {
            let own = modules.filter { ours.contains($0) }
            let other = modules.filter { !ours.contains($0) }
            out += "| \(name) | \(own.isEmpty ? "–" : own.joined(separator: ", ")) | "
            out += "\(other.isEmpty ? "–" : other.joined(separator: ", ")) |\n"
        }
        return out
    }

    /// `let crypto: Target.Dependency = .product(name: "Crypto", …)` by the name of the constant.
    private static func products(_ text: String) -> [String: String] {
        var found: [String: String] = [:]
        for part in text.split(separator: "\nlet ").dropFirst() {
            guard part.contains("Target.Dependency = .product(") else { continue }
            found[String(part.prefix { $0 != ":" })] = quoted(part, after: "name: ")
        }
        return found
    }

    private static func dependencies(
        _ target: Substring,
        _ products: [String: String]
    ) -> [String] {
        guard let start = target.firstRange(of: "dependencies: [") else { return [] }
        let rest = target[start.upperBound...]
        var list = rest[..<(rest.firstIndex(of: "]") ?? rest.endIndex)]
        var found: [String] = []
        // Products that are spelled out in place.
        while let product = list.firstRange(of: ".product(") {
            let tail = list[product.upperBound...]
            let close = tail.firstIndex(of: ")") ?? tail.endIndex
            if let name = quoted(tail[..<close], after: "name: ") { found.append(name) }
            list = list[..<product.lowerBound] + tail[close...].dropFirst()
        }
        let words = list.split { ", \n".contains($0) }.map { word in
            word.hasPrefix("\"") ? String(word.dropFirst().dropLast()) : products["\(word)"]
        }
        return words.compactMap(\.self) + found
    }

    private static func quoted(_ text: Substring, after mark: String) -> String? {
        guard let start = text.firstRange(of: mark + "\"") else { return nil }
        return String(text[start.upperBound...].prefix { $0 != "\"" })
    }
}

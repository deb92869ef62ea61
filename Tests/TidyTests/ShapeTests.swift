// The size and shape of files: columns, lines, headers, doc comments, names.
import TestKit
import Testing

@Suite struct ShapeTests {
    private static let columns = 100
    private static let functionLines = 70
    private static let fileLines = 500
    private static let testFileLines = 800
    /// The composition root builds everything in one function, on purpose (STYLE.md, wiring).
    private static let longFunctions: Set<String> = ["Sources/Watchword/Node.swift"]

    @Test func `no line is longer than 100 columns`() {
        var findings: [String] = []
        let others = Repository.files("sql/migrations") + Repository.files("scripts") + ["Makefile"]
        for file in SourceFile.sources + SourceFile.tests + others.map(SourceFile.init)
        where !file.isGenerated {
            for (index, line) in file.lines.enumerated() where line.count > Self.columns {
                findings.append("\(file.path):\(index + 1): \(line.count) columns; break the line")
            }
        }
        expectNone(findings)
    }

    @Test func `no file holds two ideas`() {
        var findings: [String] = []
        for file in SourceFile.sources + SourceFile.tests where !file.isGenerated {
            let limit = file.path.hasPrefix("Tests/") ? Self.testFileLines : Self.fileLines
            if file.lines.count > limit {
                findings.append(
                    "\(file.path): \(file.lines.count) lines, \(limit) are allowed; it holds two "
                        + "ideas: give each a file"
                )
            }
        }
        expectNone(findings)
    }

    @Test func `no function is longer than 70 lines`() {
        var findings: [String] = []
        for file in SourceFile.sources + SourceFile.tests
        where !Self.longFunctions.contains(file.path) {
            for (name, line, length) in file.functions where length > Self.functionLines {
                findings.append(
                    "\(file.path):\(line): \(name) has \(length) lines; name its steps and call "
                        + "them"
                )
            }
        }
        expectNone(findings)
    }

    @Test func `every file begins by saying what it is`() {
        let findings = (SourceFile.sources + SourceFile.tests).compactMap { file -> String? in
            let header = file.lines.prefix { $0.hasPrefix("//") && !$0.hasPrefix("///") }
            guard header.isEmpty || header[0].count < 20 || header.count > 8 else { return nil }
            return "\(file.path): begin with one to eight lines of // that say what this is, what "
                + "it guarantees and what it must not do"
        }
        expectNone(findings)
    }

    @Test func `every package type and function has a doc comment`() {
        var findings: [String] = []
        for file in SourceFile.sources {
            for (index, line) in file.lines.enumerated() where Declaration.needsComment(line) {
                var above = index - 1
                while above >= 0, file.lines[above].trimmed.hasPrefix("@") { above -= 1 }
                guard above < 0 || !file.lines[above].trimmed.hasPrefix("///") else { continue }
                findings.append("\(file.path):\(index + 1): a /// sentence above: \(line.trimmed)")
            }
        }
        expectNone(findings)
    }

    @Test func `names say what a thing is`() {
        var findings: [String] = []
        for file in SourceFile.sources + SourceFile.tests {
            let name = file.path.split(separator: "/").last?.prefix { $0 != "." } ?? ""
            findings += Declaration.complaint(String(name)).map { ["\(file.path): \($0)"] } ?? []
            for (index, line) in file.lines.enumerated() {
                guard let type = Declaration.typeName(line),
                    let complaint = Declaration.complaint(type)
                else { continue }
                findings.append("\(file.path):\(index + 1): \(complaint)")
            }
        }
        expectNone(findings)
    }
}

extension SourceFile {
    /// Each function with a body of several lines: its first line, where, and how long it is.
    ///
    /// The formatter puts the closing brace under the beginning of the declaration.
    var functions: [(name: String, line: Int, length: Int)] {
        var found: [(String, Int, Int)] = []
        for (index, line) in lines.enumerated() {
            let text = line.trimmed
            guard !text.hasPrefix("//"), !text.hasSuffix("}"), Declaration.isFunction(text) else {
                continue
            }
            let indent = String(line.prefix { $0 == " " })
            for end in lines.indices[(index + 1)...] where !lines[end].isEmpty {
                if lines[end].hasPrefix(indent + "}") {
                    found.append((text, index + 1, end - index + 1))
                    break
                }
                // Something else of the same depth, but the `)` that ends the parameters.
                let depth = lines[end].prefix { $0 == " " }.count
                guard depth > indent.count || lines[end].hasPrefix(indent + ")") else { break }
            }
        }
        return found
    }
}

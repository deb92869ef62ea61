// Who may import whom. Package.swift is the table, ARCHITECTURE.md shows it, the sources keep it.
import TestKit
import Testing

@Suite struct ImportTests {
    private static let toolchain: Set<String> = [
        "FoundationEssentials", "Glibc", "Musl", "Synchronization",
    ]
    private static let domains = [
        "Revocation", "Audit", "Messaging", "Tokens", "Access", "Accounts", "Sessions", "OAuth",
        "Federation",
    ]

    @Test func `every import is in the table of Package.swift`() {
        let table = ImportTable.declared
        #expect(table.count >= 12)
        var findings: [String] = []
        for file in SourceFile.sources {
            guard let allowed = table[file.target] else {
                findings.append("\(file.path): \(file.target) is not a target of Package.swift")
                continue
            }
            for module in file.imports where !allowed.contains(module) {
                guard !Self.toolchain.contains(module) else { continue }
                findings.append(
                    "\(file.path): import \(module): \(file.target) may import only "
                        + "\(allowed.joined(separator: ", ")); move the code to where it belongs, "
                        + "or change Package.swift and say why in docs/decisions"
                )
            }
        }
        expectNone(findings)
    }

    @Test func `the web never sees a database, and a domain never sees HTTP`() {
        let stores: Set<String> = ["Postgres", "Redis", "CPostgres", "CRedis"]
        var findings: [String] = []
        for file in SourceFile.sources {
            for module in file.imports {
                if file.target == "Web", stores.contains(module) {
                    findings.append(
                        "\(file.path): import \(module): ask a use case of a domain instead"
                    )
                }
                let isHTTP =
                    module == "Web" || module.hasPrefix("HTTPTypes")
                    || module.hasPrefix("NIOHTTP") || module.hasPrefix("Hummingbird")
                if isHTTP, Self.domains.contains(file.target) {
                    findings.append("\(file.path): import \(module): HTTP belongs in Sources/Web")
                }
            }
        }
        expectNone(findings)
    }

    @Test func `the table in ARCHITECTURE.md is the one of Package.swift`() {
        #expect(
            Repository.text("ARCHITECTURE.md").contains(ImportTable.markdown),
            "the import table of ARCHITECTURE.md is not Package.swift's: run `make regenerate`"
        )
    }
}

extension SourceFile {
    /// The modules that the file imports.
    var imports: [String] {
        lines.compactMap { line in
            var words = line.split(separator: " ")
            if let first = words.first, first.hasPrefix("@") { words.removeFirst() }
            if let first = words.first, ["package", "internal", "public"].contains(first) {
                words.removeFirst()
            }
            guard words.count >= 2, words[0] == "import" else { return nil }
            return String(words[1].prefix { $0 != "." })
        }
    }
}

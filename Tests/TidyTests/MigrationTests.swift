// The steps of the schema: numbered without gaps, and never edited once merged. CHECKSUMS has the
// form of `sha256sum`; `make regenerate` adds a line for a new step and never changes one.
import Crypto
import Primitives
import TestKit
import Testing

@Suite struct MigrationTests {
    private static let folder = "sql/migrations"
    private static let names = Repository.files(folder, endings: [".sql"]).map { path in
        String(path.split(separator: "/")[2])
    }

    @Test func `steps are numbered 1, 2, 3 without gaps and named in lower case`() {
        #expect(!Self.names.isEmpty)
        var findings: [String] = []
        for (index, name) in Self.names.enumerated() {
            let number = String(index + 1)
            let wanted = String(repeating: "0", count: 4 - number.count) + number + "_"
            let words = name.dropFirst(5).dropLast(4)
            let isPlain = words.allSatisfy { $0.isLowercase || $0.isNumber || $0 == "_" }
            if !name.hasPrefix(wanted) || words.isEmpty || !isPlain {
                findings.append("\(Self.folder)/\(name): name it \(wanted)what_it_does.sql")
            }
        }
        expectNone(findings)
    }

    @Test func `a merged step keeps its text`() {
        var recorded: [String: String] = [:]
        for line in Repository.text("\(Self.folder)/CHECKSUMS").split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2 { recorded[String(words[1])] = String(words[0]) }
        }
        var findings: [String] = []
        for name in Self.names {
            let bytes = Array(Repository.text("\(Self.folder)/\(name)").utf8)
            let checksum = Hex.encode(SHA256.hash(data: bytes))
            switch recorded.removeValue(forKey: name) {
            case nil: findings.append("\(name) has no line in CHECKSUMS: run `make regenerate`")
            case checksum: break
            default:
                findings.append(
                    "\(name) was edited after it was merged: restore it and write the next step"
                )
            }
        }
        findings += recorded.keys.sorted().map { "\($0) is in CHECKSUMS but gone: restore it" }
        expectNone(findings)
    }

    @Test func `every step begins by saying why`() {
        expectNone(
            Self.names.filter { !Repository.text("\(Self.folder)/\($0)").hasPrefix("-- ") }
                .map { "\($0): begin with a comment that says what it brings and why" }
        )
    }
}

// docs/requirements.md, from what the tests cite: an id that a test names or explains is proven
// there; one that a page alone speaks of is decided otherwise; any other must say what it waits
// for. Ids that do not exist are found here too, because they would prove nothing.
import TestKit
import Testing

@Suite struct RequirementTests {
    private static let page = "docs/differences.md"

    /// What is not built yet, and the ids that wait for it; built things leave this list.
    private static let waiting = [
        "mail, confirmation and recovery":
            "S0-2 S0-5 S0-26 S0-29 S0-30 S0-31 S0-T2 S0-T3 S0-T7 S1-3 S2-1 S2-9",
        "changing and deleting one's account": "S1-19 S2-4",
        "the OAuth and OpenID provider": "S1-11 S1-12 S1-21 S1-22 S2-8",
        "the gateway matrix": "S3-19",
    ]

    /// How many features and traps each of the five services has.
    private static let families = [
        ("S0", 31, 12), ("S1", 24, 0), ("S2", 10, 0), ("S3", 19, 9), ("S4", 20, 16),
    ]

    private static let ids: [String] = families.flatMap { name, features, traps in
        (1...features).map { "\(name)-\($0)" } + (0..<traps).map { "\(name)-T\($0 + 1)" }
    }

    /// Files that speak of ids without proving any.
    private static let silent = ["RequirementTests.swift"]

    @Test func `the table of requirements`() async throws {
        let proofs = try await Blocking.run {
            var proofs: [String: [String]] = [:]
            for path in Repository.files("Tests", endings: [".swift"])
            where !Self.silent.contains(where: path.hasSuffix) {
                for id in Self.cited(in: Repository.text(path)) {
                    proofs[id, default: []].append(path)
                }
            }
            return proofs
        }
        let decided = Self.cited(in: Repository.text(Self.page))
        var reasons: [String: String] = [:]
        for (reason, ids) in Self.waiting {
            for id in ids.split(separator: " ") { reasons[String(id)] = reason }
        }
        for id in Set(proofs.keys).union(decided).union(reasons.keys).sorted() {
            #expect(Self.ids.contains(id), "\(id) is cited and is no requirement")
        }
        for id in Self.ids {
            let isAnswered = proofs[id] != nil || decided.contains(id)
            #expect(
                isAnswered != (reasons[id] != nil),
                isAnswered
                    ? "\(id) has its answer: take it off the list of what waits"
                    : "\(id): cite it where it is proven, or say what it waits for"
            )
        }
        try GeneratedFile.check(
            "docs/requirements.md",
            Self.table { id in
                let otherwise = decided.contains(id) ? "[otherwise](differences.md)" : nil
                if let files = proofs[id] {
                    let places = files.prefix(3).map { "`\($0)`" } + (otherwise.map { [$0] } ?? [])
                    return "test | \(places.joined(separator: ", "))"
                }
                return otherwise.map { "page | \($0)" } ?? "open | \(reasons[id] ?? "?")"
            }
        )
    }

    private static func table(_ row: (String) -> String) -> String {
        var out = """
            # Requirements

            Generated from the citations in the tests; `make regenerate` rewrites it. Each id names
            a feature or a defect of the five services that Watchword replaces. A row points at the
            tests that prove what Watchword does about it (*otherwise*: not as that service did, and
            the page says how), or says what it waits for.

            | Id | State | Where |
            |---|---|---|

            """
        for id in ids { out += "| \(id) | \(row(id)) |\n" }
        return out
    }

    /// The ids that a text cites: `S`, a digit, a hyphen, perhaps a `T`, and a number.
    private static func cited(in text: String) -> Set<String> {
        var found: Set<String> = []
        for word in text.split(whereSeparator: { !($0.isLetter || $0.isNumber || $0 == "-") }) {
            let parts = word.split(separator: "-")
            guard parts.count == 2, parts[0].count == 2, parts[0].first == "S",
                parts[0].last?.isNumber == true, Int(parts[1].trimmingPrefix("T")) != nil
            else { continue }
            found.insert(String(word))
        }
        return found
    }
}

// The pages name metrics, which people put into their alerts: each of them is in `/metrics` of a
// running node, or an alert would be silent for ever.
import TestKit
import Testing

@Suite struct MetricNameTests {
    /// The metrics that pages name, each with the pages.
    private static func named() -> [String: Set<String>] {
        var found: [String: Set<String>] = [:]
        for page in Repository.files("docs", endings: [".md"]) + ["README.md"] {
            for match in Repository.text(page).matches(of: #/watchword_[a-z_]*[a-z]/#) {
                found[String(match.output), default: []].insert(page)
            }
        }
        return found
    }

    /// The names that a node shows, of histograms those of their parts as well.
    private static func shown(_ exposition: String) -> Set<String> {
        var found: Set<String> = []
        for line in exposition.split(separator: "\n") where line.hasPrefix("# TYPE ") {
            let words = line.split(separator: " ").map(String.init)
            guard words.count == 4 else { continue }
            found.insert(words[2])
            guard words[3] == "histogram" else { continue }
            for part in ["bucket", "sum", "count"] { found.insert("\(words[2])_\(part)") }
        }
        return found
    }

    @Test func `every metric that a page names is one that nodes show`() async throws {
        var plan = Cluster.Plan()
        plan.nodes = 1
        // What is shown only where it is switched on.
        plan.variables["WATCHWORD_REVOCATION_MIRROR"] = "true"
        let cluster = try await Cluster.start(plan)
        let answer = try await cluster.nodes[0].management.send("GET", "/metrics")
        #expect(answer.status == 200)
        let shown = Self.shown(answer.body)
        let named = Self.named()
        #expect(shown.count > 40)
        #expect(named.count > 20)
        for (name, pages) in named.sorted(by: { $0.key < $1.key }) where !shown.contains(name) {
            Issue.record("\(pages.sorted().joined(separator: ", ")): there is no \(name)")
        }
    }
}

// docs/operations/metrics.md says of every metric what it is, and of no other.
import TestKit
import Testing

@Suite struct MetricPageTests {
    private static let page = "docs/operations/metrics.md"

    @Test func `the page of metrics names every metric and no other`() {
        let metrics = Self.metrics()
        #expect(metrics.count > 60)
        let named = Set(Self.words(of: Repository.text(Self.page), after: "`watchword_"))
        expectNone(
            metrics.subtracting(named).sorted().map {
                "\(Self.page): say what watchword_\($0) is"
            }
                + named.subtracting(metrics).sorted().map {
                    "\(Self.page): there is no watchword_\($0)"
                }
        )
    }

    /// The names of all metrics, without what all begin with.
    private static func metrics() -> Set<String> {
        var found: Set<String> = []
        for file in SourceFile.sources where file.text.contains("\"watchword_") {
            found.formUnion(words(of: file.text, after: "\"watchword_"))
        }
        // Those of Redis are put together of a word each.
        found.remove("redis_")
        let redis = Repository.text("Sources/Redis/RedisMetrics.swift")
        found.formUnion(words(of: redis, after: "= counter(\"").map { "redis_\($0)_total" })
        found.formUnion(words(of: redis, after: "= gauge(\"").map { "redis_\($0)" })
        return found
    }

    private static func words(of text: String, after mark: String) -> [String] {
        text.split(separator: mark).dropFirst().map { part in
            String(part.prefix { $0.isLowercase || $0 == "_" })
        }
    }
}

// The counters of one node: windows, give-back and the bound on entries; time is an argument.
import Primitives
import Testing

@testable import Access

@Suite struct ThrottleCountersTests {
    private let rule = ThrottleRule(name: "account", limit: 2, window: .seconds(60))
    private let start = MonotonicInstant(nanoseconds: 0)

    private func subject(_ key: String) -> ThrottleSubject { ThrottleSubject(rule: rule, key: key) }

    @Test func `a window refuses beyond its limit until it ends`() {
        var counters = ThrottleCounters(entriesLimit: 10)
        for _ in 0..<2 {
            guard case .allowed = counters.reserve([subject("a")], at: start) else {
                Issue.record("refused within the limit")
                return
            }
        }
        #expect(
            counters.reserve([subject("a")], at: start + .seconds(59))
                == .refused(retryAfter: .seconds(1), rule: "account")
        )
        guard case .allowed = counters.reserve([subject("a")], at: start + .seconds(60)) else {
            Issue.record("refused in a new window")
            return
        }
    }

    @Test func `giving back never goes below zero nor into a later window`() {
        var counters = ThrottleCounters(entriesLimit: 10)
        guard case .allowed(let first) = counters.reserve([subject("a")], at: start) else { return }
        for _ in 0..<5 { counters.giveBack(first.windows) }
        var passed = 0
        for _ in 0..<5 {
            if case .allowed = counters.reserve([subject("a")], at: start) { passed += 1 }
        }
        #expect(passed == 2)
        let later = start + .seconds(61)
        _ = counters.reserve([subject("a")], at: later)
        _ = counters.reserve([subject("a")], at: later)
        counters.giveBack(first.windows)
        #expect(
            counters.reserve([subject("a")], at: later)
                == .refused(retryAfter: .seconds(60), rule: "account")
        )
    }

    @Test func `the number of entries is bounded and the oldest goes first`() {
        var counters = ThrottleCounters(entriesLimit: 3)
        for key in ["a", "b", "c", "c"] { _ = counters.reserve([subject(key)], at: start) }
        for number in 0..<1000 {
            _ = counters.reserve([subject("x\(number % 5)")], at: start + .seconds(Int64(number)))
            #expect(counters.count <= 3)
        }
        var fresh = ThrottleCounters(entriesLimit: 3)
        for key in ["a", "a", "b", "c"] { _ = fresh.reserve([subject(key)], at: start) }
        guard case .refused = fresh.reserve([subject("a")], at: start) else {
            Issue.record("forgotten too early")
            return
        }
        _ = fresh.reserve([subject("d")], at: start)
        guard case .allowed = fresh.reserve([subject("a")], at: start) else {
            Issue.record("the oldest was kept")
            return
        }
    }
}

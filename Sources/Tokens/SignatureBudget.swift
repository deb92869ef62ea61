// How many failed checks of signatures an address may cause. A check holds an event loop up, so who
// sends forged tokens would have the loop for himself (revocation.md 1.9, decision 18). API keys
// that open nothing, each of which asks PostgreSQL, have a budget of their own beside it.
// Memory is fixed, and nothing waits: no lock, no store. It must not be asked about tokens that are
// remembered.
package import Primitives
import Synchronization

/// Budgets by address, in two rows of cells that addresses share by chance.
///
/// An address is known by the better of its two cells, so that it suffers for another only where it
/// meets forgers in both. A cell is one number: until when what was spent is being paid back.
package final class SignatureBudget: Sendable {
    private final class Cell: Sendable {
        let paidUntil = Atomic<Int64>(0)
    }

    /// What a budget is for: one that is spent leaves the other.
    package enum Kind: Hashable, Sendable {
        case token
        case key
    }

    /// How many cells a row has: a power of two.
    private static let rowLength = 4096

    /// Tokens and API keys that were refused without a look at them.
    package let refused: Counter
    private let rows: (first: [Cell], second: [Cell])
    /// How long one failed check is being paid back, and how much may be owed, in nanoseconds.
    private let price: Int64
    private let credit: Int64

    /// Budgets of so many failed checks a minute, a third of them at once; zero is no limit.
    package init(perMinute: Int, metrics: MetricsRegistry) {
        price = perMinute > 0 ? 60_000_000_000 / Int64(perMinute) : 0
        credit = price * Int64(max(1, perMinute / 3) - 1)
        rows = (
            first: (0..<Self.rowLength).map { _ in Cell() },
            second: (0..<Self.rowLength).map { _ in Cell() }
        )
        refused = metrics.counter(
            "watchword_signature_budget_refused_total",
            help: "Tokens and API keys nobody looked at: too many forged ones came from there."
        )
    }

    /// Whether there is a limit at all.
    package var isOn: Bool { price > 0 }

    /// How many cells there are, however many addresses have come.
    package var cellCount: Int { rows.first.count + rows.second.count }

    /// How long an address has to wait for its next check; nil for not at all.
    package func wait(
        for address: [UInt8],
        _ kind: Kind = .token,
        at now: MonotonicInstant
    ) -> Duration? {
        guard isOn else { return nil }
        let (first, second) = cells(of: address, kind)
        let left = Self.debt(first, second) - credit - now.nanoseconds
        return left > 0 ? .nanoseconds(left) : nil
    }

    /// Takes a failed check from the budget of an address.
    package func spend(_ address: [UInt8], _ kind: Kind = .token, at now: MonotonicInstant) {
        guard isOn else { return }
        let (first, second) = cells(of: address, kind)
        // What two loops spend in the same nanoseconds may count once.
        let until = max(Self.debt(first, second), now.nanoseconds) + price
        _ = first.paidUntil.max(until, ordering: .relaxed)
        _ = second.paidUntil.max(until, ordering: .relaxed)
    }

    private static func debt(_ first: Cell, _ second: Cell) -> Int64 {
        min(first.paidUntil.load(ordering: .relaxed), second.paidUntil.load(ordering: .relaxed))
    }

    /// By a hash whose key is drawn at start, so that nobody can choose whom he meets; of IPv6 by
    /// the /64, because a client may choose the rest as it likes.
    private func cells(of address: [UInt8], _ kind: Kind) -> (first: Cell, second: Cell) {
        var hasher = Hasher()
        hasher.combine(kind)
        hasher.combine(address.count)
        for byte in address.prefix(8) { hasher.combine(byte) }
        let hash = UInt(bitPattern: hasher.finalize())
        let mask = UInt(Self.rowLength - 1)
        return (rows.first[Int(hash & mask)], rows.second[Int((hash >> 32) & mask)])
    }
}

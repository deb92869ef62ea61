// The budget of failed signature checks by itself: how much an address may cause, that it comes
// back, whom it meets and how much memory it takes; time is an argument (revocation.md 1.9).
import Primitives
import TestKit
import Testing

@testable import Tokens

@Suite struct SignatureBudgetTests {
    private static let start = MonotonicInstant(nanoseconds: 5_000_000_000_000)
    private static let forger: [UInt8] = [203, 0, 113, 9]

    private static func budget(_ perMinute: Int) -> SignatureBudget {
        SignatureBudget(perMinute: perMinute, metrics: MetricsRegistry())
    }

    /// The address of a number, of all bits.
    private static func address(_ number: Int) -> [UInt8] {
        [10, UInt8(number >> 16 & 0xFF), UInt8(number >> 8 & 0xFF), UInt8(number & 0xFF)]
    }

    /// How many failed checks an address may still cause at once; spends them.
    private static func exhaust(
        _ budget: SignatureBudget,
        _ address: [UInt8],
        at now: MonotonicInstant
    ) -> Int {
        var count = 0
        while count < 1_000_000, budget.wait(for: address, at: now) == nil {
            budget.spend(address, at: now)
            count += 1
        }
        return count
    }

    @Test func `an address may fail a hundred times at once, and then comes back with time`() {
        let budget = Self.budget(300)
        #expect(Self.exhaust(budget, Self.forger, at: Self.start) == 100)
        #expect(budget.wait(for: Self.forger, at: Self.start) == .milliseconds(200))
        let early = Self.start + .milliseconds(199)
        #expect(budget.wait(for: Self.forger, at: early) == .milliseconds(1))
        let next = Self.start + .milliseconds(200)
        #expect(Self.exhaust(budget, Self.forger, at: next) == 1)
        #expect(Self.exhaust(budget, Self.forger, at: Self.start + .seconds(2)) == 9)
        // Nothing is saved up beyond that, however long it waits.
        #expect(Self.exhaust(budget, Self.forger, at: Self.start + .seconds(3600)) == 100)
    }

    @Test func `a minute brings as many as the setting says, and zero is no limit`() {
        for setting in [1, 3, 60, 300, 6000] {
            let budget = Self.budget(setting)
            let burst = Self.exhaust(budget, Self.forger, at: Self.start)
            #expect(burst == max(1, setting / 3), "\(setting)")
            var count = 0
            for second in 1...60 {
                count += Self.exhaust(budget, Self.forger, at: Self.start + .seconds(second))
            }
            #expect(count == setting, "\(setting)")
        }
        let off = Self.budget(0)
        #expect(!off.isOn)
        for _ in 0..<1000 { off.spend(Self.forger, at: Self.start) }
        #expect(off.wait(for: Self.forger, at: Self.start) == nil)
    }

    @Test func `an IPv6 address has the budget of its 64 bits, and IPv4 one of its own`() {
        let budget = Self.budget(30)
        let network: [UInt8] = [0x20, 0x01, 0x0D, 0xB8, 0, 7, 0, 1]
        let here = network + [UInt8](repeating: 1, count: 8)
        let there = network + [UInt8](repeating: 2, count: 8)
        var beside = here
        beside[7] = 2
        #expect(Self.exhaust(budget, here, at: Self.start) == 10)
        #expect(budget.wait(for: there, at: Self.start) != nil)
        #expect(budget.wait(for: beside, at: Self.start) == nil)
        // The first bytes alone are no IPv6 address.
        #expect(budget.wait(for: Array(network.prefix(4)), at: Self.start) == nil)
    }

    @Test func `a million addresses take no memory, and cost each other nothing (W8)`()
        async throws
    {
        let budget = Self.budget(300)
        let size = budget.cellCount
        // Seconds of work on a thread of the pool would hold up the tests beside this one.
        let refused = try await Blocking.run {
            var refused = 0
            for number in 0..<1_000_000 {
                // A thousand in each second: a cell gets a quarter of a failure, gives back five.
                let now = Self.start + .milliseconds(number)
                if budget.wait(for: Self.address(number), at: now) != nil { refused += 1 }
                budget.spend(Self.address(number), at: now)
            }
            return refused
        }
        #expect(refused == 0)
        #expect(budget.cellCount == size)
        #expect(size <= 8192)
    }

    @Test func `two hundred forgers have next to nobody else refused`() {
        let budget = Self.budget(300)
        for number in 0..<200 {
            _ = Self.exhaust(budget, Self.address(number), at: Self.start)
        }
        for number in 0..<200 {
            #expect(budget.wait(for: Self.address(number), at: Self.start) != nil, "\(number)")
        }
        var refused = 0
        for number in 1000..<11_000
        where budget.wait(for: Self.address(number), at: Self.start) != nil {
            refused += 1
        }
        // Who meets forgers in both rows: 23 of them by chance; of one row it would be 480.
        #expect(refused < 150)
    }
}

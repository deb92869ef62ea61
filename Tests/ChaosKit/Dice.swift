// Chance with a seed, so that a campaign's faults can be asked for again.
import Glibc

/// A generator that gives the same numbers for the same seed (SplitMix64).
package struct Dice: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// A generator that starts from `seed`.
    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }

    /// One of `choices`, each as often as its weight says.
    package mutating func choose<Choice>(_ choices: [(Choice, weight: Int)]) -> Choice {
        var left = Int.random(in: 0..<choices.reduce(0) { $0 + $1.weight }, using: &self)
        for (choice, weight) in choices {
            left -= weight
            if left < 0 { return choice }
        }
        preconditionFailure("the weights add up to more than their sum")
    }

    /// A number of milliseconds.
    package mutating func milliseconds(_ range: ClosedRange<Int>) -> Int {
        Int.random(in: range, using: &self)
    }
}

/// Nanoseconds of the monotonic clock, which all records of a history share.
package func nanoseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}

// Randomness. Unguessable values have at least 128 bits from the kernel's generator (checklist
// rows 96, 272). The seeded source exists only in the test kit.

/// Where random bits come from.
package struct Entropy: Sendable {
    private let word: @Sendable () -> UInt64

    /// A source that draws 64 bits at a time from `word`.
    package init(_ word: @escaping @Sendable () -> UInt64) { self.word = word }

    /// The kernel's generator (`getrandom`).
    package static let system = Entropy {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }

    /// 64 random bits.
    package func next() -> UInt64 { word() }

    /// `count` random bytes.
    package func bytes(_ count: Int) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(count + 7)
        while out.count < count {
            var bits = word()
            for _ in 0..<8 {
                out.append(UInt8(truncatingIfNeeded: bits))
                bits >>= 8
            }
        }
        out.removeLast(out.count - count)
        return out
    }
}

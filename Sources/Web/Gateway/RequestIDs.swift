// Names for requests at the rate of the fast path. Ids are names, never secrets.
internal import Primitives

/// Ids in the order of their making; belongs to one event loop.
struct RequestIDs {
    private let entropy: Entropy
    private var low: UInt64 = 0
    private var count: UInt64 = 0

    init(_ entropy: Entropy) { self.entropy = entropy }

    /// A UUIDv7 by counter (RFC 9562 section 6.2, method 1): the random part is drawn anew now and
    /// then instead of for each, since every draw asks the kernel.
    mutating func next(_ now: Timestamp) -> RequestID {
        if count == 0 {
            count = 1024
            low = RequestID(at: now, entropy: entropy).low & ~0x3FF
        }
        count -= 1
        low += 1
        let milliseconds = UInt64(max(0, now.microseconds / 1000))
        return RequestID(high: milliseconds << 16 | 0x7000, low: low)
    }
}

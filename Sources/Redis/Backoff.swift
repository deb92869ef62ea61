// The pause before connecting again: doubles up to a maximum, with jitter, so that the nodes of a
// cluster do not all knock at a Redis that has just come back.
internal import Primitives

/// Pauses between attempts.
struct Backoff {
    private let minimum: Int64
    private let maximum: Int64
    private var next: Int64

    init(minimum: Duration, maximum: Duration) {
        self.minimum = max(1, minimum.wholeMicroseconds)
        self.maximum = max(self.minimum, maximum.wholeMicroseconds)
        next = self.minimum
    }

    /// The pause before the next attempt: between half of the current step and all of it.
    mutating func pause(entropy: Entropy) -> Duration {
        let step = next
        next = min(maximum, step * 2)
        let half = step / 2
        return .microseconds(half + Int64(entropy.next() % UInt64(step - half + 1)))
    }

    /// Starts over, after a success.
    mutating func reset() { next = minimum }
}

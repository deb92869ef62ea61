// The one file that reads the machine's clocks. Wall-clock time is a value handed down as `now:`;
// waiting and deadlines use the monotonic clock, which a step of the wall clock does not move.
import Synchronization

#if canImport(Glibc)
import Glibc
#else
import Musl
#endif

/// Where wall-clock time comes from.
///
/// Tests hand in one they can move.
package struct WallClock: Sendable {
    private let read: @Sendable () -> Timestamp

    /// A clock that asks `read`.
    package init(_ read: @escaping @Sendable () -> Timestamp) { self.read = read }

    /// The time now.
    package func now() -> Timestamp { read() }

    /// The machine's clock, as a high-water mark: it never runs back within a process, so that a
    /// step backwards cannot make an expired token valid again (revocation.md H13).
    package static let system = WallClock {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let read = Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
        let before = highWater.max(read, ordering: .relaxed).oldValue
        return Timestamp(microseconds: max(read, before))
    }

    private static let highWater = Atomic<Int64>(0)
}

/// An instant of the monotonic clock, in nanoseconds; meaningful only within one boot.
package struct MonotonicInstant: Hashable, Comparable, Sendable {
    /// Nanoseconds of `CLOCK_BOOTTIME`, which goes on while the machine sleeps.
    package let nanoseconds: Int64

    /// An instant so many nanoseconds after boot.
    package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// The instant now.
    package static var now: Self {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return Self(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    package static func < (left: Self, right: Self) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// The instant so much later.
    package static func + (left: Self, right: Duration) -> Self {
        let parts = right.components
        return Self(
            nanoseconds: left.nanoseconds + parts.seconds * 1_000_000_000
                + parts.attoseconds / 1_000_000_000
        )
    }

    /// The time from one instant to another.
    package static func - (left: Self, right: Self) -> Duration {
        .nanoseconds(left.nanoseconds - right.nanoseconds)
    }
}

/// The latest moment at which an answer is still wanted.
///
/// Every outward call takes one.
package struct Deadline: Hashable, Comparable, Sendable {
    /// When time is up.
    package let instant: MonotonicInstant

    /// A deadline at `instant`.
    package init(_ instant: MonotonicInstant) { self.instant = instant }

    /// A deadline so long from now.
    package static func after(_ duration: Duration) -> Self { Self(.now + duration) }

    /// What is left; zero or less once it has passed.
    package var remaining: Duration { instant - .now }

    /// Whether it has passed.
    package var hasPassed: Bool { instant <= .now }

    package static func < (left: Self, right: Self) -> Bool { left.instant < right.instant }
}

// A fault: something broke, as against a refusal, which is an expected "no". Faults travel
// untouched to the edge, which answers 503 with `Retry-After` when the same call may work a moment
// later, else 500, and logs them once.

/// An error of a store or of the machine.
package protocol Fault: Error, CustomStringConvertible {
    /// Whether the same call may succeed shortly: a lost connection, a full queue, a passed
    /// deadline.
    var isTransient: Bool { get }
}

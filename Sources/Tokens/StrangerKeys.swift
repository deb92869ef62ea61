// Keys that tokens name and the node's ring lacks: another node has made them a moment ago, or
// somebody has made them up. The ring is read for them once a second at most, so that made-up names
// cost the database nothing, and no good token is refused because such a name came before it. So
// many wait for a reading and no more: forgers hold up few connections (W8).
internal import Primitives
import Synchronization

/// What has been looked for, and who waits for the next look.
final class StrangerKeys: Sendable {
    private enum Everything { case everything }
    private struct State {
        /// When the last reading was begun, and the last that came to something.
        var askedAt: MonotonicInstant?
        var answeredAt: MonotonicInstant?
        var absent: Set<KeyID> = []
    }

    /// How long after a reading the next may begin.
    static let pause: Duration = .seconds(1)
    /// The most that wait for it.
    private static let waiterLimit = 256
    /// The most keys of which it is remembered that they are not there.
    private static let absentLimit = 1000

    private let reads = SharedRead<Everything>(limit: StrangerKeys.waiterLimit)
    private let state = Mutex(State())

    /// Whether a key was looked for and is not there.
    ///
    /// It will not be either: nobody can name a key before it is made.
    func isAbsent(_ id: KeyID) -> Bool { state.withLock { $0.absent.contains(id) } }

    /// Remembers that a key is not there; after `read`.
    func noteAbsence(of id: KeyID) {
        state.withLock { state in
            if state.absent.count >= Self.absentLimit { state.absent = [] }
            state.absent.insert(id)
        }
    }

    /// Returns when a reading has ended that was begun after the call; one for all who wait.
    ///
    /// - Returns: false where too many wait already; then nobody has looked.
    func read(_ reload: () async throws -> Void) async throws -> Bool {
        let came = MonotonicInstant.now
        // A reading that is under way may be older than the key; the one behind it is not.
        for _ in 0..<2 {
            do {
                let isMine = try await reads.run(.everything) { try await readWhenDue(reload) }
                if isMine { return true }
            } catch SharedReadFault.overloaded {
                return false
            }
            if let begun = state.withLock({ $0.answeredAt }), begun >= came { return true }
        }
        return true
    }

    private func readWhenDue(_ reload: () async throws -> Void) async throws {
        if let asked = state.withLock({ $0.askedAt }) {
            let left = Self.pause - (MonotonicInstant.now - asked)
            if left > .zero { try await Task.sleep(for: left) }
        }
        let begun = MonotonicInstant.now
        state.withLock { $0.askedAt = begun }
        try await reload()
        state.withLock { $0.answeredAt = begun }
    }
}

// One caller at a time reads what many want, and the others wait for it instead of asking the
// database the same. Who has waited looks again: what was read may be older than his question.
internal import Synchronization

/// Why a reading that somebody waited for did not come.
package enum SharedReadFault: Fault {
    /// The one who read failed.
    case unread
    /// Too many wait.
    case overloaded

    package var isTransient: Bool { true }
    package var description: String {
        switch self {
        case .unread: "what others read could not be read"
        case .overloaded: "too many requests wait for what another reads"
        }
    }
}

/// Readings under way, by what is read.
package final class SharedRead<Key: Hashable & Sendable>: Sendable {
    private typealias Waiter = CheckedContinuation<Bool, any Error>
    private struct State {
        var waiting: [Key: [Waiter]] = [:]
        var waiters = 0
    }
    /// The most that wait for others' reads.
    private let limit: Int
    private let state = Mutex(State())

    /// Nothing is under way yet.
    package init(limit: Int = 4096) { self.limit = limit }

    /// Runs `read`, or waits until the one that is under way has ended; whether it ran.
    package func run(_ key: Key, _ read: () async throws -> Void) async throws -> Bool {
        let isMine = try await withCheckedThrowingContinuation { (waiter: Waiter) in
            let verdict: Result<Bool, any Error>? = state.withLock { state in
                guard state.waiting[key] != nil else {
                    state.waiting[key] = []
                    return .success(true)
                }
                guard state.waiters < limit else { return .failure(SharedReadFault.overloaded) }
                state.waiters += 1
                state.waiting[key]?.append(waiter)
                return nil
            }
            if let verdict { waiter.resume(with: verdict) }
        }
        guard isMine else { return false }
        do {
            try await read()
        } catch {
            for waiter in end(key) { waiter.resume(throwing: SharedReadFault.unread) }
            throw error
        }
        for waiter in end(key) { waiter.resume(returning: false) }
        return true
    }

    private func end(_ key: Key) -> [Waiter] {
        state.withLock { state in
            let waiting = state.waiting.removeValue(forKey: key) ?? []
            state.waiters -= waiting.count
            return waiting
        }
    }
}

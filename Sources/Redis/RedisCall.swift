// One command under way: what is sent, until when, and who is told. It is told exactly once.
internal import Primitives

/// A command and its waiter.
///
/// `@unchecked Sendable`: `waiter` is set by the caller before the call is handed to its link
/// through `EventLoop.execute`, and from then on everything mutable is touched on that event loop
/// alone. A cancellation that overtakes the hand-over touches `isCancelled` only, on the loop.
final class RedisCall: @unchecked Sendable {
    typealias Reply = Result<RedisValue, any Error>

    /// Who waits for the reply.
    enum Waiter {
        case task(CheckedContinuation<RedisValue, any Error>)
        case callback(@Sendable (Reply) -> Void)
        /// Nobody yet, or nobody any more.
        case none
    }

    let command: RedisCommand
    let deadline: Deadline
    var waiter: Waiter = .none
    var ticket: Pipeline<RedisCall>.Ticket?
    var isCancelled = false

    init(_ command: RedisCommand, until deadline: Deadline) {
        self.command = command
        self.deadline = deadline
    }

    /// Tells the waiter; only the first call has an effect.
    func complete(_ reply: Reply) {
        let waiter = waiter
        self.waiter = .none
        switch waiter {
        case .task(let continuation): continuation.resume(with: reply)
        case .callback(let callback): callback(reply)
        case .none: break
        }
    }
}

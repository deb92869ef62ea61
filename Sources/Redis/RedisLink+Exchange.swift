// Several commands in one write, and their replies together: all of them or none, from one
// connection whose number is told. What a read-index needs, where a reply that belongs to another
// question would be worse than none (revocation.md H16).
internal import NIOCore
internal import Primitives
internal import Synchronization

/// The replies to one exchange, in the order of its commands.
package struct RedisExchange: Sendable {
    /// The number of the connection they came by.
    package let connection: UInt64
    /// One for each command; an error where Redis answered with one.
    package let replies: [Result<RedisValue, RedisError>]
}

extension RedisLink {
    /// How many connections the process has made.
    static let connectionsMade = Atomic<UInt64>(0)

    /// Collects the replies of one exchange; belongs to the event loop.
    private final class Collector {
        var replies: [Result<RedisValue, RedisError>?]
        var awaited: Int
        var failure: RedisError?

        init(count: Int) {
            replies = Array(repeating: nil, count: count)
            awaited = count
        }
    }

    /// Sends what `commands` gives and tells `completion` all replies, or why there are none.
    func exchange(
        until deadline: Deadline,
        _ commands: (UInt64) -> [RedisCommand],
        _ completion: @escaping @Sendable (Result<RedisExchange, RedisError>) -> Void
    ) {
        guard case .ready = state else {
            metrics.refused.increment()
            return completion(.failure(lastFailure))
        }
        let number = connection
        let list = commands(number)
        let collector = Collector(count: list.count)
        let bound = NIOLoopBound((link: self, collector: collector), eventLoop: loop)
        for (index, command) in list.enumerated() {
            let call = RedisCall(command, until: deadline)
            call.waiter = .callback { reply in
                let (link, collector) = bound.value
                guard link.take(reply, at: index, for: collector) else { return }
                if let failure = collector.failure {
                    // A part of it is on the wire still, or nobody knows.
                    link.drop(number)
                    completion(.failure(failure))
                } else {
                    let replies = collector.replies.compactMap(\.self)
                    completion(.success(RedisExchange(connection: number, replies: replies)))
                }
            }
            enqueue(call)
        }
    }

    /// Gives up the connection of this number.
    func drop(_ number: UInt64) {
        guard number == connection, case .ready(let channel) = state else { return }
        lose(channel, because: RedisError(.connection("it was out of step and was given up")))
    }

    /// Keeps one reply; true when it was the last.
    private func take(
        _ reply: RedisCall.Reply,
        at index: Int,
        for collector: Collector
    ) -> Bool {
        switch reply {
        case .success(let value): collector.replies[index] = .success(value)
        case .failure(let error as RedisError) where error.code != nil:
            collector.replies[index] = .failure(error)
        case .failure(let error):
            collector.failure = error as? RedisError ?? RedisError(.connection("\(error)"))
        }
        collector.awaited -= 1
        return collector.awaited == 0
    }
}

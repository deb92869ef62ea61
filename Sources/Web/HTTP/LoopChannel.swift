// A connection's pipeline: what the listener puts in front, the guard, then Hummingbird's HTTP/1
// handlers; and its task, which prefers the connection's event loop.
package import HummingbirdCore
package import Logging
package import NIOCore

/// Sets connections up.
package struct LoopChannel: ServerChildChannel {
    /// What a connection is set up with.
    package typealias Value = HTTP1Channel.Value

    let inner: HTTP1Channel
    let prepare: @Sendable (any Channel) throws -> Void

    package func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture { try prepare(channel) }
            .flatMap { inner.setup(channel: channel, logger: logger) }
    }

    package func handle(value: Value, logger: Logger) async {
        await withTaskExecutorPreference(EventLoopTaskExecutor(value.channel.eventLoop)) {
            await inner.handle(value: value, logger: logger)
        }
    }
}

// What a node does with the database by itself, again and again, until it is to end. What fails is
// told, and done again when its time comes; nothing but the end of the node ends it.
import ServiceLifecycle

/// Does `work` every so often until shutdown; at first at once, or when the time has passed.
package func untilShutdown(
    every interval: Duration,
    atOnce: Bool = false,
    _ work: () async throws -> Void,
    onFailure: (any Error) -> Void
) async {
    var isDue = atOnce
    while !Task.isShuttingDownGracefully {
        do {
            if !isDue {
                try await cancelWhenGracefulShutdown { try await Task.sleep(for: interval) }
            }
            isDue = false
            try await work()
        } catch is CancellationError where Task.isShuttingDownGracefully || Task.isCancelled {
            return
        } catch {
            onFailure(error)
        }
    }
}

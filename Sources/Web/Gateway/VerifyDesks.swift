// The fast path of `/verify` on a node: a desk on every event loop, each with one task of its own
// that confirms what waits there, batch by batch. It is a service: where it does not run, the
// desks are closed and everything goes the general way.
package import NIOCore
package import Primitives
internal import ServiceLifecycle

/// Which way `/verify` was answered.
package struct VerifyCounters: Sendable {
    /// By the fast path.
    package let fast: Counter
    /// By the general stack.
    package let general: Counter
    /// How many requests a desk brought at once.
    package let batches: Histogram

    /// Counters in `metrics`.
    package init(_ metrics: MetricsRegistry) {
        fast = metrics.counter(
            "watchword_verify_fast_total",
            help: "Requests to /verify answered from their raw bytes."
        )
        general = metrics.counter(
            "watchword_verify_general_total",
            help: "Requests to /verify answered by the general HTTP stack."
        )
        batches = metrics.sizes(
            "watchword_verify_batch_requests",
            help: "Requests to /verify that one event loop had confirmed at once."
        )
    }
}

/// The desks of a node.
package final class VerifyDesks: Service {
    private let desks: [VerifyDesk]

    /// Desks for the loops of `group`, closed until `run`.
    ///
    /// - Parameter cacheLimit: how many checked tokens all desks together remember.
    package init(
        _ services: WebServices,
        group: any EventLoopGroup,
        cacheLimit: Int,
        entropy: Entropy = .system
    ) {
        let loops = Array(group.makeIterator())
        desks = loops.map { loop in
            VerifyDesk(
                services,
                loop: loop,
                cacheLimit: max(100, cacheLimit / loops.count),
                entropy: entropy
            )
        }
    }

    /// The desk of `loop`; nil for a loop of another group.
    func desk(on loop: any EventLoop) -> VerifyDesk? { desks.first { $0.loop === loop } }

    /// Opens the desks until shutdown.
    package func run() async throws {
        await withTaskGroup(of: Void.self) { group in
            for desk in desks {
                group.addTask {
                    await withTaskExecutorPreference(EventLoopTaskExecutor(desk.loop)) {
                        await cancelWhenGracefulShutdown { await desk.run() }
                    }
                }
            }
            await group.waitForAll()
        }
    }
}

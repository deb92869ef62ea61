// The pool's numbers, named `watchword_postgres_…`, for the node's metrics page.
import Primitives

/// Counters and gauges shared by the lanes of one pool.
final class PoolMetrics: Sendable {
    let inFlight: Gauge
    let waiting: Gauge
    let open: Gauge
    let leased: Gauge
    let connects: Counter
    let connectFailures: Counter
    let lost: Counter
    let late: Counter
    let repeated: Counter
    let refused: Counter

    init(_ registry: MetricsRegistry) {
        inFlight = registry.gauge(
            "watchword_postgres_in_flight",
            help: "Statements sent and not answered."
        )
        waiting = registry.gauge(
            "watchword_postgres_waiting",
            help: "Statements and transactions waiting for a connection."
        )
        open = registry.gauge("watchword_postgres_connections", help: "Open connections.")
        leased = registry.gauge(
            "watchword_postgres_transactions",
            help: "Connections held by transactions."
        )
        connects = registry.counter(
            "watchword_postgres_connects_total",
            help: "Connections made."
        )
        connectFailures = registry.counter(
            "watchword_postgres_connect_failures_total",
            help: "Attempts to connect that failed."
        )
        lost = registry.counter(
            "watchword_postgres_reconnects_total",
            help: "Connections lost, which are made again."
        )
        late = registry.counter(
            "watchword_postgres_late_total",
            help: "Statements whose deadline passed before their answer."
        )
        repeated = registry.counter(
            "watchword_postgres_repeated_total",
            help: "Statements sent again because a neighbour failed."
        )
        refused = registry.counter(
            "watchword_postgres_refused_total",
            help: "Calls refused because the queue was full or the wait too long."
        )
    }
}

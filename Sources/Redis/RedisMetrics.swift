// The numbers one pool publishes, all named `watchword_redis_*` and labelled with the pool's name.
internal import Primitives

/// The instruments of one pool.
struct RedisMetrics: Sendable {
    let commands: Counter
    let faults: Counter
    let late: Counter
    let refused: Counter
    let connects: Counter
    let losses: Counter
    let scriptLoads: Counter
    let connections: Gauge
    let inFlight: Gauge
    let waiting: Gauge
    let roundTrip: Histogram

    init(_ registry: MetricsRegistry, pool: String) {
        let labels = ["pool": pool]
        func counter(_ name: String, _ help: String) -> Counter {
            registry.counter("watchword_redis_\(name)_total", help: help, labels: labels)
        }
        func gauge(_ name: String, _ help: String) -> Gauge {
            registry.gauge("watchword_redis_\(name)", help: help, labels: labels)
        }
        commands = counter("commands", "Commands put on the wire.")
        faults = counter("error_replies", "Error replies of Redis.")
        late = counter("late", "Commands given up by deadline or cancellation.")
        refused = counter("refused", "Commands refused: no connection, or a limit.")
        connects = counter("connects", "Connections made.")
        losses = counter("connection_losses", "Connections lost, or attempts that failed.")
        scriptLoads = counter("script_loads", "Scripts loaded because Redis had lost them.")
        connections = gauge("connections", "Connections ready for use.")
        inFlight = gauge("in_flight", "Commands sent and not answered.")
        waiting = gauge("waiting", "Commands not yet sent.")
        roundTrip = registry.histogram(
            "watchword_redis_round_trip_seconds",
            help: "Time from command to reply, of one command per read.",
            labels: labels
        )
    }
}

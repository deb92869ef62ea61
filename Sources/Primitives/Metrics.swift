// Counters, gauges and histograms, and their text for Prometheus (exposition format 0.0.4). One
// registry per node, built by the composition root and handed down; there is no global one.
import Synchronization

/// A number that only grows.
package final class Counter: Sendable {
    private let value = Atomic<Int>(0)

    /// A counter at zero.
    package init() {}

    /// Adds to it.
    package func increment(by amount: Int = 1) { value.wrappingAdd(amount, ordering: .relaxed) }

    /// The count so far.
    package var count: Int { value.load(ordering: .relaxed) }
}

/// A number that goes up and down.
package final class Gauge: Sendable {
    private let value = Atomic<Int>(0)

    /// A gauge at zero.
    package init() {}

    /// Moves it by `amount`, which may be negative.
    package func add(_ amount: Int) { value.wrappingAdd(amount, ordering: .relaxed) }

    /// Sets it.
    package func set(_ new: Int) { value.store(new, ordering: .relaxed) }

    /// Where it stands.
    package var level: Int { value.load(ordering: .relaxed) }
}

/// How often durations, or numbers, fell into each of a fixed set of buckets.
package final class Histogram: Sendable {
    /// The upper bounds of durations, in microseconds.
    package static let boundsInMicroseconds: [Int64] = [
        100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
        1_000_000, 2_500_000, 5_000_000, 10_000_000,
    ]
    /// The upper bounds of numbers of things.
    package static let boundsOfSizes: [Int64] = [
        1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192,
    ]
    private let bounds: [Int64]
    /// How many units of a bound make one of what is shown: a second has so many microseconds.
    private let scale: Double
    private let counts: Mutex<(buckets: [Int], sum: Int64)>

    /// An empty histogram of durations.
    package convenience init() { self.init(bounds: Self.boundsInMicroseconds, scale: 1e6) }

    /// An empty histogram of whatever these bounds bound.
    package init(bounds: [Int64], scale: Double) {
        self.bounds = bounds
        self.scale = scale
        counts = Mutex((Array(repeating: 0, count: bounds.count + 1), 0))
    }

    /// Records one duration.
    package func record(_ duration: Duration) { record(units: duration.wholeMicroseconds) }

    /// Records one number of things.
    package func record(size: Int) { record(units: Int64(size)) }

    private func record(units: Int64) {
        let at = bounds.firstIndex { units <= $0 } ?? bounds.count
        counts.withLock {
            $0.buckets[at] += 1
            $0.sum += units
        }
    }

    /// The bounds as they are shown; the last bucket has none.
    fileprivate var shownBounds: [String] {
        bounds.map { scale == 1 ? "\($0)" : "\(Double($0) / scale)" } + ["+Inf"]
    }

    /// A sum as it is shown.
    fileprivate func shown(_ sum: Int64) -> String {
        scale == 1 ? "\(sum)" : "\(Double(sum) / scale)"
    }

    /// The counts per bucket (the last one unbounded) and the sum in units of the bounds.
    package var snapshot: (buckets: [Int], sum: Int64) { counts.withLock { $0 } }
}

/// The metrics of one node, by name and label.
package final class MetricsRegistry: Sendable {
    private enum Instrument {
        case counter(Counter)
        case gauge(Gauge)
        case computed(@Sendable () -> Double)
        case histogram(Histogram)
    }
    private struct Family {
        var help: String
        var instruments: [(labels: String, instrument: Instrument)]
    }
    private let families = Mutex<[String: Family]>([:])

    /// An empty registry.
    package init() {}

    /// A new counter; by convention its name ends in `_total`.
    package func counter(_ name: String, help: String, labels: [String: String] = [:]) -> Counter {
        let counter = Counter()
        add(name, help, labels, .counter(counter))
        return counter
    }

    /// A new gauge.
    package func gauge(_ name: String, help: String, labels: [String: String] = [:]) -> Gauge {
        let gauge = Gauge()
        add(name, help, labels, .gauge(gauge))
        return gauge
    }

    /// A gauge that is asked for its value when the metrics are read.
    package func computed(
        _ name: String,
        help: String,
        labels: [String: String] = [:],
        _ read: @escaping @Sendable () -> Double
    ) {
        add(name, help, labels, .computed(read))
    }

    /// A new histogram of durations; by convention its name ends in `_seconds`.
    package func histogram(
        _ name: String,
        help: String,
        labels: [String: String] = [:]
    ) -> Histogram {
        let histogram = Histogram()
        add(name, help, labels, .histogram(histogram))
        return histogram
    }

    /// A new histogram of sizes, of batches say.
    package func sizes(_ name: String, help: String) -> Histogram {
        let histogram = Histogram(bounds: Histogram.boundsOfSizes, scale: 1)
        add(name, help, [:], .histogram(histogram))
        return histogram
    }

    private func add(
        _ name: String,
        _ help: String,
        _ labels: [String: String],
        _ instrument: Instrument
    ) {
        let text = labels.sorted { $0.key < $1.key }.map { "\($0.key)=\"\($0.value)\"" }
            .joined(separator: ",")
        families.withLock {
            $0[name, default: Family(help: help, instruments: [])].instruments
                .append((text, instrument))
        }
    }

    /// All metrics in Prometheus' text format, sorted by name.
    package func exposition() -> String {
        var out = ""
        for (name, family) in families.withLock({ $0 }).sorted(by: { $0.key < $1.key }) {
            out += "# HELP \(name) \(family.help)\n# TYPE \(name) \(Self.type(of: family))\n"
            for (labels, instrument) in family.instruments {
                Self.write(name, labels, instrument, to: &out)
            }
        }
        return out
    }

    private static func type(of family: Family) -> String {
        switch family.instruments.first?.instrument {
        case .counter: "counter"
        case .histogram: "histogram"
        case .gauge, .computed, nil: "gauge"
        }
    }

    private static func write(
        _ name: String,
        _ labels: String,
        _ instrument: Instrument,
        to out: inout String
    ) {
        let braces = labels.isEmpty ? "" : "{\(labels)}"
        switch instrument {
        case .counter(let counter): out += "\(name)\(braces) \(counter.count)\n"
        case .gauge(let gauge): out += "\(name)\(braces) \(gauge.level)\n"
        case .computed(let read): out += "\(name)\(braces) \(read())\n"
        case .histogram(let histogram):
            let (buckets, sum) = histogram.snapshot
            let prefix = labels.isEmpty ? "" : labels + ","
            var total = 0
            for (bound, count) in zip(histogram.shownBounds, buckets) {
                total += count
                out += "\(name)_bucket{\(prefix)le=\"\(bound)\"} \(total)\n"
            }
            out += "\(name)_sum\(braces) \(histogram.shown(sum))\n"
            out += "\(name)_count\(braces) \(total)\n"
        }
    }
}

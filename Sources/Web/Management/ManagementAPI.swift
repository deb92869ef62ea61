// The management listener: is this node alive, can it answer, what are its numbers. It listens on
// an address of its own, which is not for the public (row 286).
import HTTPTypes
package import Primitives

/// Whether a node can do its work.
package struct Readiness: Sendable {
    /// The state of one thing a node depends on.
    package struct Check: Sendable {
        /// The dependency.
        package let name: String
        /// Nil where all is well; else why not.
        package let complaint: String?
        /// Whether `/verify` cannot answer without it.
        package let isRequired: Bool

        /// A check of `name`.
        package init(_ name: String, complaint: String?, isRequired: Bool) {
            self.name = name
            self.complaint = complaint
            self.isRequired = isRequired
        }
    }
    /// Each dependency.
    package let checks: [Check]

    /// The result of these checks.
    package init(_ checks: [Check]) { self.checks = checks }

    /// Whether requests may be sent here.
    package var isReady: Bool { checks.allSatisfy { $0.complaint == nil || !$0.isRequired } }

    /// `ready`, `degraded` or `not-ready`.
    package var status: String {
        if !isReady { return "not-ready" }
        return checks.allSatisfy { $0.complaint == nil } ? "ready" : "degraded"
    }
}

/// The management operations.
package enum ManagementAPI {
    static let live = RawOperation(
        "management.livez",
        .only([.get, .head]),
        "/livez",
        summary: "200 while the process runs.",
        tag: "Management",
        gate: .listener,
        contentType: "text/plain; charset=utf-8"
    )
    static let ready = RawOperation(
        "management.readyz",
        .only([.get, .head]),
        "/readyz",
        summary: "200 while requests may be sent here; names each dependency, and why not.",
        tag: "Management",
        gate: .listener,
        contentType: "application/json; charset=utf-8"
    )
    static let metrics = RawOperation(
        "management.metrics",
        .only([.get, .head]),
        "/metrics",
        summary: "The node's metrics in Prometheus' text format.",
        tag: "Management",
        gate: .listener,
        contentType: "text/plain; version=0.0.4; charset=utf-8"
    )

    /// The catalogue of the management listener.
    package static let catalogue = Catalogue([live.info, ready.info, metrics.info])

    /// Its routes.
    package static func routes(
        metrics registry: MetricsRegistry,
        readiness: @escaping @Sendable () async -> Readiness
    ) -> [Route] {
        var bindings = Bindings(catalogue) { _, _, _ in nil }
        bindings.bind(live) { _, _ in .text(200, "alive\n") }
        bindings.bind(ready) { _, _ in
            let found = await readiness()
            var body: [UInt8] = Array("{\"status\":\"\(found.status)\",\"checks\":{".utf8)
            for (index, check) in found.checks.enumerated() {
                if index > 0 { body.append(UInt8(ascii: ",")) }
                JSONText.append(check.name, to: &body)
                body.append(UInt8(ascii: ":"))
                JSONText.append(check.complaint ?? "ok", to: &body)
            }
            body += Array("}}\n".utf8)
            return .json(found.isReady ? 200 : 503, body)
        }
        bindings.bind(metrics) { _, _ in
            Reply(
                200,
                contentType: "text/plain; version=0.0.4; charset=utf-8",
                body: Array(registry.exposition().utf8)
            )
        }
        return bindings.finish()
    }
}

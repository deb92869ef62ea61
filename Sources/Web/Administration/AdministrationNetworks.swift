// From where administration is answered, where the operator has named networks: a layer beside the
// credential and never instead of it (row 176, the network half). It is looked at first: whoever
// calls from elsewhere learns nothing of a token that he has stolen or guessed, neither whether it
// lives nor what it may, and no store is asked for him; he does learn that there is such a rule.
// Where nobody can tell who calls, the answer is no (W10).
package import Primitives

/// The networks that administration is answered in.
package struct AdministrationNetworks: Sendable {
    private let networks: [IPNetwork]
    private let proxies: [IPNetwork]
    private let refused: Counter

    /// `networks`, none of which means everywhere, with `proxies` in front of the listener.
    package init(
        _ networks: [IPNetwork],
        behind proxies: [IPNetwork],
        _ metrics: MetricsRegistry
    ) {
        self.networks = networks
        self.proxies = proxies
        refused = metrics.counter(
            "watchword_administration_network_refused_total",
            help: "Calls of administration refused for the network they came from."
        )
    }

    /// Lets a call of `client` go on to the gate, or refuses and counts it.
    ///
    /// - Throws: `GateRefusal.networkNotAllowed`, at the gates of administration alone.
    func check(_ gate: Gate, from client: IPAddress) throws(GateRefusal) {
        guard gate.isAdministration, !networks.isEmpty, !admits(client) else { return }
        refused.increment()
        throw .networkNotAllowed
    }

    /// Whether `client` is in one of the networks.
    ///
    /// `ClientAddress` ends at a proxy where that does not say for whom it asks, so the address of
    /// a proxy is anybody's: a gateway inside that forwards no address would open them to all.
    private func admits(_ client: IPAddress) -> Bool {
        guard !proxies.contains(where: { $0.contains(client) }) else { return false }
        return networks.contains { $0.contains(client) }
    }
}

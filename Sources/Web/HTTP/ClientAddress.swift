// Whose request this is, for limits and for the login history. The socket's peer, unless that peer
// is a proxy the configuration trusts; then `X-Forwarded-For` is read from the right, hop by hop,
// to the first address that is not trusted. What the client wrote on the left is never reached.

/// Finds the client's address.
package struct ClientAddress: Sendable {
    /// How many hops are looked at; more is either a loop or an attack.
    package static let maximumHops = 32

    private let trusted: [IPNetwork]

    /// A finder that believes the proxies in `trusted`.
    package init(trusted: [IPNetwork]) { self.trusted = trusted }

    /// The client behind `peer`, given the values of every `X-Forwarded-For` line, in order.
    ///
    /// A value that is no address ends the walk at the last trusted hop: the check is never
    /// skipped and the unreadable value is never used.
    package func find(peer: IPAddress, forwardedFor lines: [String]) -> IPAddress {
        var current = peer
        guard !trusted.isEmpty, !lines.isEmpty, isTrusted(current) else { return current }
        let hops = lines.joined(separator: ",").split(
            separator: ",",
            omittingEmptySubsequences: false
        )
        for hop in hops.reversed().prefix(Self.maximumHops) {
            guard let address = IPAddress(Self.trimmed(hop)) else { return current }
            current = address
            guard isTrusted(current) else { return current }
        }
        return current
    }

    /// Whether `address` is a configured proxy.
    package func isTrusted(_ address: IPAddress) -> Bool {
        trusted.contains { $0.contains(address) }
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text
        while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return text
    }
}

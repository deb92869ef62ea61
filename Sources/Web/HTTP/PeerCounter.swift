// How many connections each address has at a listener (checklist row 258). One address must not
// use up the connections of all. Configured proxies are exempt: everybody comes through them. An
// IPv6 client is counted by its /64, because it may choose the rest as it likes.
internal import NIOCore
internal import Synchronization

/// Counts open connections by where they come from.
final class PeerCounter: Sendable {
    /// What becomes of a new connection.
    enum Verdict: Equatable {
        /// It is served.
        case served
        /// It is told that there are too many, and ends.
        case refused
        /// It ends at once: as many again are being told already.
        case dropped
    }

    /// How many connections an address may have; zero is no limit.
    private let limit: Int
    private let exempt: ClientAddress
    private let counts = Mutex<[[UInt8]: Int]>([:])

    init(limit: Int, exempt: [IPNetwork]) {
        self.limit = limit
        self.exempt = ClientAddress(trusted: exempt)
    }

    /// Counts `channel`, which comes from `peer`, until it is closed.
    func admit(_ channel: any Channel, from peer: IPAddress) -> Verdict {
        guard limit > 0, !exempt.isTrusted(peer) else { return .served }
        let key = peer.bytes.count == 4 ? peer.bytes : Array(peer.bytes.prefix(8))
        let count = counts.withLock { counts in
            counts[key, default: 0] += 1
            return counts[key] ?? 0
        }
        channel.closeFuture.whenComplete { [self] _ in
            counts.withLock { counts in
                let left = (counts[key] ?? 1) - 1
                counts[key] = left > 0 ? left : nil
            }
        }
        if count <= limit { return .served }
        return count <= 2 * limit ? .refused : .dropped
    }
}

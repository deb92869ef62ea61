// A TCP proxy that misbehaves on command: it delays, holds one direction while the other flows,
// lets what it held go late, resets, and refuses. It stands between nodes and their stores, because
// the kernel here has no netem, and because a held reply that comes late is a fault of its own
// (revocation.md H16). One thread for all routes; bytes are never lost or reordered within a
// connection, as TCP never would.
import Glibc
import Synchronization
import TestKit

/// A running proxy with a number of routes.
package final class FaultProxy: Sendable {
    /// From the client's point of view.
    package enum Direction: Int, Sendable, CaseIterable {
        case requests
        case replies
    }

    /// How a route misbehaves; a new one behaves.
    package struct Fault: Sendable, Equatable {
        /// Directions that carry nothing until they are let go.
        package var holds: Set<Direction> = []
        /// What each byte waits, in milliseconds, by direction.
        package var delay: [Direction: Int] = [:]
        /// Whether new connections are closed at once.
        package var refuses = false

        /// No fault.
        package init() {}
    }

    struct Shared {
        var faults: [Fault] = []
        var upstream: [Int] = []
        /// Routes whose connections are to be reset, once.
        var resets: Set<Int> = []
        /// The same for those of them that have carried scripts, or that have not.
        var scriptResets: Set<Int> = []
        var plainResets: Set<Int> = []
        /// Routes whose clients are told that the server has nothing more to say.
        var halfCloses: Set<Int> = []
        /// Connections of which it has been found out whose they are.
        var arrivals: [(client: Int32, route: Int?)] = []
        var isStopped = false
    }
    /// A port, and the routes that begin there: one, or one for each client.
    struct Entrance: Sendable {
        let descriptor: Int32
        let routes: Range<Int>
    }
    let shared = Mutex(Shared())
    /// The ports that the routes listen on.
    package let ports: [Int]
    let entrances: [Entrance]
    /// Which client has the socket with this local port.
    let client: @Sendable (Int) -> Int?

    /// Starts a proxy with a route to each of `upstream`, ports of 127.0.0.1.
    ///
    /// `shared` are servers that all clients must reach at the same address: each has one port and
    /// a route for each of `clients`, which follow those of `upstream`. `client` tells which of
    /// them a connection comes from, by the port it comes from; nobody's is closed.
    package init(
        upstream: [Int],
        shared servers: [Int] = [],
        clients: Int = 1,
        client: @escaping @Sendable (Int) -> Int? = { _ in 0 }
    ) throws {
        var ports: [Int] = []
        var entrances: [Entrance] = []
        for count in upstream.map({ _ in 1 }) + servers.map({ _ in clients }) {
            let (descriptor, port) = try Sockets.listen()
            entrances.append(
                Entrance(descriptor: descriptor, routes: ports.count..<ports.count + count)
            )
            ports += Array(repeating: port, count: count)
        }
        self.ports = ports
        self.entrances = entrances
        self.client = client
        let all = upstream + servers.flatMap { Array(repeating: $0, count: clients) }
        shared.withLock {
            $0.upstream = all
            $0.faults = Array(repeating: Fault(), count: all.count)
        }
        Blocking.detach { ProxyLoop(self).run() }
    }

    /// Makes a route misbehave so until it is told otherwise.
    package func set(_ fault: Fault, on route: Int) {
        shared.withLock { $0.faults[route] = fault }
    }

    /// Leads new connections of a route to another server, a port of 127.0.0.1; those that are
    /// there stay where they are.
    package func lead(_ route: Int, to port: Int) {
        shared.withLock { $0.upstream[route] = port }
    }

    /// Resets all connections of a route.
    package func reset(_ route: Int) { shared.withLock { _ = $0.resets.insert(route) } }

    /// Resets those connections of a route that have carried scripts of Redis, or those that have
    /// not: nodes have some for what they write and others for what they ask.
    package func reset(_ route: Int, withScripts: Bool) {
        shared.withLock { shared in
            if withScripts {
                _ = shared.scriptResets.insert(route)
            } else {
                _ = shared.plainResets.insert(route)
            }
        }
    }

    /// Ends the replies of a route's connections, while requests still flow.
    package func halfClose(_ route: Int) { shared.withLock { _ = $0.halfCloses.insert(route) } }

    /// Ends the proxy.
    package func stop() { shared.withLock { $0.isStopped = true } }
}

/// Sockets of 127.0.0.1.
package enum Sockets {
    /// Something a socket did not do.
    package struct Failure: Error { let what: String }

    /// A non-blocking listener on a port of the kernel's choice.
    package static func listen() throws -> (Int32, Int) {
        let descriptor = make()
        var one: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(4))
        var address = address(port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isFound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard isFound, Glibc.listen(descriptor, 256) == 0 else { throw Failure(what: "listen") }
        return (descriptor, Int(UInt16(bigEndian: address.sin_port)))
    }

    /// A non-blocking connection that is being made; nil where it was refused at once.
    package static func connect(port: Int) -> Int32? {
        let descriptor = make()
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(4))
        var address = address(port: port)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if result == 0 || errno == EINPROGRESS { return descriptor }
        close(descriptor)
        return nil
    }

    private static func make() -> Int32 {
        let kind = SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue
        return socket(AF_INET, Int32(kind), 0)
    }

    private static func address(port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }
}

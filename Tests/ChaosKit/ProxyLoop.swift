// The thread of the fault proxy: poll, read, hold or pass on, write. Owns every descriptor of the
// proxy; the commands reach it through `FaultProxy.shared`, which it looks at each time round.
import Glibc
import Synchronization
import TestKit

/// One direction of one connection.
private struct Stream {
    /// What was read and not yet written, and when it may be.
    var chunks: [(ready: Int64, bytes: [UInt8])] = []
    /// How much of the first chunk was written.
    var offset = 0
    /// Whether the source has ended.
    var isOver = false
    /// Whether the end was passed on.
    var isShut = false
}

private final class Link {
    let route: Int
    let client: Int32
    let server: Int32
    /// Whether a script of Redis was sent or called on it.
    var hasScripts = false
    var streams = [Stream(), Stream()]
    var isDead = false

    init(route: Int, client: Int32, server: Int32) {
        self.route = route
        self.client = client
        self.server = server
    }
}

final class ProxyLoop {
    /// The commands of Redis that send scripts and call them.
    private static let words = ["SCRIPT", "EVALSHA"].map { Array($0.utf8) }

    private let proxy: FaultProxy
    private var links: [Link] = []
    private var buffer = [UInt8](repeating: 0, count: 65_536)

    init(_ proxy: FaultProxy) { self.proxy = proxy }

    func run() {
        while true {
            let shared = proxy.shared.withLock { shared in
                defer {
                    shared.resets = []
                    shared.scriptResets = []
                    shared.plainResets = []
                    shared.halfCloses = []
                }
                return shared
            }
            if shared.isStopped { break }
            breakLinks(shared)
            let faults = shared.faults
            wait(faults)
            accept(faults, shared.upstream)
            let now = nanoseconds()
            for link in links {
                for direction in FaultProxy.Direction.allCases {
                    move(link, direction, faults, now)
                }
                if link.streams.allSatisfy({ $0.isShut }) { link.isDead = true }
            }
            for link in links where link.isDead {
                close(link.client)
                close(link.server)
            }
            links.removeAll { $0.isDead }
        }
        for link in links {
            close(link.client)
            close(link.server)
        }
        for entrance in proxy.entrances { close(entrance.descriptor) }
    }

    private func breakLinks(_ shared: FaultProxy.Shared) {
        for link in links {
            let others = link.hasScripts ? shared.scriptResets : shared.plainResets
            if shared.resets.union(others).contains(link.route) { reset(link) }
            if shared.halfCloses.contains(link.route) {
                link.streams[FaultProxy.Direction.replies.rawValue].isShut = true
                shutdown(link.client, Int32(SHUT_WR))
            }
        }
    }

    /// Sleeps until something can be read, or for a millisecond where something is held back.
    private func wait(_ faults: [FaultProxy.Fault]) {
        var isHolding = false
        var list = proxy.entrances.map {
            pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0)
        }
        for link in links {
            for (stream, source) in zip(link.streams, [link.client, link.server]) {
                if !stream.chunks.isEmpty { isHolding = true }
                if !stream.isOver, stream.chunks.count < 256 {
                    list.append(pollfd(fd: source, events: Int16(POLLIN), revents: 0))
                }
            }
        }
        poll(&list, nfds_t(list.count), isHolding ? 1 : 5)
    }

    private func accept(_ faults: [FaultProxy.Fault], _ upstream: [Int]) {
        for entrance in proxy.entrances {
            while true {
                var address = sockaddr_in()
                var length = socklen_t(MemoryLayout<sockaddr_in>.size)
                let client = withUnsafeMutablePointer(to: &address) {
                    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        Glibc.accept(entrance.descriptor, $0, &length)
                    }
                }
                guard client >= 0 else { break }
                _ = fcntl(client, F_SETFL, O_NONBLOCK)
                _ = fcntl(client, F_SETFD, FD_CLOEXEC)
                var one: Int32 = 1
                setsockopt(client, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(4))
                if entrance.routes.count == 1 {
                    begin(client, entrance.routes.first, faults, upstream)
                } else {
                    find(client, Int(UInt16(bigEndian: address.sin_port)), entrance)
                }
            }
        }
        let arrivals = proxy.shared.withLock { shared in
            defer { shared.arrivals = [] }
            return shared.arrivals
        }
        for arrival in arrivals { begin(arrival.client, arrival.route, faults, upstream) }
    }

    /// Finds out whose a connection is, which may take a while, on a thread of its own.
    private func find(_ client: Int32, _ port: Int, _ entrance: FaultProxy.Entrance) {
        let proxy = proxy
        Blocking.detach {
            let route = proxy.client(port).map { entrance.routes.lowerBound + $0 }
            proxy.shared.withLock { $0.arrivals.append((client, route)) }
        }
    }

    private func begin(
        _ client: Int32,
        _ route: Int?,
        _ faults: [FaultProxy.Fault],
        _ upstream: [Int]
    ) {
        guard let route, !faults[route].refuses,
            let server = Sockets.connect(port: upstream[route])
        else {
            close(client)
            return
        }
        links.append(Link(route: route, client: client, server: server))
    }

    private func move(
        _ link: Link,
        _ direction: FaultProxy.Direction,
        _ faults: [FaultProxy.Fault],
        _ now: Int64
    ) {
        let index = direction.rawValue
        let fault = faults[link.route]
        let isRequests = direction == .requests
        let (source, sink) =
            isRequests ? (link.client, link.server) : (link.server, link.client)
        read(link, index, source, ready: now + Int64(fault.delay[direction] ?? 0) * 1_000_000)
        guard !fault.holds.contains(direction) else { return }
        while let first = link.streams[index].chunks.first, first.ready <= now {
            let offset = link.streams[index].offset
            let count = first.bytes.withUnsafeBytes {
                send(
                    sink,
                    $0.baseAddress.map { $0 + offset },
                    $0.count - offset,
                    Int32(MSG_NOSIGNAL)
                )
            }
            guard count > 0 else {
                // A connection that is still being made says EAGAIN or ENOTCONN.
                if errno != EAGAIN, errno != ENOTCONN { link.isDead = true }
                return
            }
            link.streams[index].offset += count
            if link.streams[index].offset == first.bytes.count {
                link.streams[index].chunks.removeFirst()
                link.streams[index].offset = 0
            }
        }
        let stream = link.streams[index]
        if stream.isOver, stream.chunks.isEmpty, !stream.isShut {
            link.streams[index].isShut = true
            shutdown(sink, Int32(SHUT_WR))
        }
    }

    private func read(_ link: Link, _ index: Int, _ source: Int32, ready: Int64) {
        while !link.streams[index].isOver, link.streams[index].chunks.count < 256 {
            let count = recv(source, &buffer, buffer.count, 0)
            if count > 0 {
                let bytes = Array(buffer[..<count])
                if index == FaultProxy.Direction.requests.rawValue, !link.hasScripts {
                    link.hasScripts = Self.words.contains { bytes.firstRange(of: $0) != nil }
                }
                link.streams[index].chunks.append((ready, bytes))
            } else if count == 0 {
                link.streams[index].isOver = true
            } else {
                if errno == ENOTCONN || errno == EAGAIN || errno == EINTR { return }
                link.isDead = true
                return
            }
        }
    }

    private func reset(_ link: Link) {
        var linger = Glibc.linger(l_onoff: 1, l_linger: 0)
        let size = socklen_t(MemoryLayout<linger>.size)
        setsockopt(link.client, SOL_SOCKET, SO_LINGER, &linger, size)
        setsockopt(link.server, SOL_SOCKET, SO_LINGER, &linger, size)
        link.isDead = true
    }
}

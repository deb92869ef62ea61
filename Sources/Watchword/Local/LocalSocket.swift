// Blocking sockets, for the few questions asked at the start and by `watchword health`: is Redis
// there, is a node ready, is a port free. Never called on the cooperative pool.
import Glibc
import Primitives

/// Asks local servers one question.
enum LocalSocket {
    /// Where a server listens.
    enum Address: Sendable {
        /// A socket in the file system.
        case file(String)
        /// A port of 127.0.0.1.
        case port(Int)
        /// A port of a host, by name or address.
        case host(String, Int)
    }

    private static let longestAnswer = 65_536

    /// Sends `question` and returns the first bytes of the answer, or all up to the end of the
    /// connection where `untilClosed`; nil where nobody answers in time.
    static func exchange(
        _ question: String,
        with address: Address,
        patience: Duration,
        untilClosed: Bool = false
    ) -> String? {
        guard let connection = connect(address, patience) else { return nil }
        defer { close(connection) }
        guard FileIO.writeAll(Array(question.utf8), to: connection) else { return nil }
        var answer: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        repeat {
            let count = read(connection, &chunk, chunk.count)
            guard count > 0 else { break }
            answer.append(contentsOf: chunk[..<count])
        } while untilClosed && answer.count < longestAnswer
        return answer.isEmpty ? nil : String(decoding: answer, as: UTF8.self)
    }

    /// Whether a server could listen on this port of `host` now; nil if it could, else the reason.
    static func reasonPortIsTaken(_ port: Int) -> String? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return FileIO.reason }
        defer { close(descriptor) }
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        let bound = withAddress(port: port) { bind(descriptor, $0, $1) }
        guard bound == 0, listen(descriptor, 1) == 0 else { return FileIO.reason }
        return nil
    }

    private static func connect(_ address: Address, _ patience: Duration) -> Int32? {
        switch address {
        case .file(let path):
            connect(AF_UNIX, patience) { descriptor in
                withAddress(path: path) { Glibc.connect(descriptor, $0, $1) }
            }
        case .port(let port):
            connect(AF_INET, patience) { descriptor in
                withAddress(port: port) { Glibc.connect(descriptor, $0, $1) }
            }
        case .host(let host, let port): connect(host, port, patience)
        }
    }

    /// The first of the host's addresses that answers.
    private static func connect(_ host: String, _ port: Int, _ patience: Duration) -> Int32? {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_NUMERICSERV
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, String(port), &hints, &found) == 0 else { return nil }
        defer { freeaddrinfo(found) }
        var next = found
        while let candidate = next?.pointee {
            let descriptor = connect(candidate.ai_family, patience) {
                Glibc.connect($0, candidate.ai_addr, candidate.ai_addrlen)
            }
            if let descriptor { return descriptor }
            next = candidate.ai_next
        }
        return nil
    }

    private static func connect(
        _ family: Int32,
        _ patience: Duration,
        _ reach: (Int32) -> Int32
    ) -> Int32? {
        let descriptor = socket(family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        let micros = patience.wholeMicroseconds
        var limit = timeval(tv_sec: Int(micros / 1_000_000), tv_usec: Int(micros % 1_000_000))
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
        guard reach(descriptor) == 0 else {
            close(descriptor)
            return nil
        }
        return descriptor
    }

    private static func withAddress(
        port: Int,
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    private static func withAddress(
        path: String,
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return -1 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}

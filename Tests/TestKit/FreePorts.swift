// Ports for servers that cannot be told to choose one themselves.
import Glibc
import Synchronization

/// Ports that nobody uses at the moment, and that no outgoing connection is given before the server
/// listens.
///
/// They lie below those that the kernel gives to connections (`ip_local_port_range`), begin at a
/// random one in each process, and come around again only when all have been given.
package enum FreePorts {
    private static let first = 10_240
    private static let beyond = firstOfConnections()
    private static let next = Atomic(Int.random(in: first..<beyond))

    /// So many different ports of 127.0.0.1; all are held until all are known.
    package static func take(_ count: Int) throws -> [Int] {
        var held: [Int32] = []
        defer { for descriptor in held { close(descriptor) } }
        return try (0..<count).map { _ in
            for _ in first..<beyond {
                let turn = next.wrappingAdd(1, ordering: .relaxed).oldValue
                let port = first + turn % (beyond - first)
                guard let descriptor = hold(port) else { continue }
                held.append(descriptor)
                return port
            }
            throw TestServerError("no free port")
        }
    }

    /// A socket bound to `port`; nil where somebody has it.
    private static func hold(_ port: Int) -> Int32? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        address.sin_port = UInt16(port).bigEndian
        let isBound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard isBound else {
            close(descriptor)
            return nil
        }
        return descriptor
    }

    /// Where the ports for outgoing connections begin; 32,768 as Linux comes.
    private static func firstOfConnections() -> Int {
        let text = PrivateFolder.read("/proc/sys/net/ipv4/ip_local_port_range")
        let bound = text.split(whereSeparator: \.isWhitespace).first.flatMap { Int($0) }
        return max(first + 1_000, bound ?? 32_768)
    }
}

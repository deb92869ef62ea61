// Runs installed programs: psql, pg_dump, redis-cli, openssl, curl.
import Glibc
import TestKit

/// Programs that end by themselves.
enum Shell {
    /// Runs a program and returns what it wrote, on both streams.
    ///
    /// - Throws: what it wrote, when it ended with another status than 0.
    @discardableResult static func run(_ words: [String]) async throws -> String {
        let folder = try PrivateFolder.make("ww-shell")
        let janitor = try PrivateFolder.removeAtExit(folder)
        defer { PrivateFolder.release(janitor) }
        let output = "\(folder)/output"
        let status = try await Blocking.run {
            try ChildProcess.launch(words, log: output).wait()
        }
        let text = PrivateFolder.read(output)
        guard status == 0 else { throw ClusterError("\(words[0]) ended with \(status): \(text)") }
        return text
    }
}

/// Ports that nobody uses at the moment.
enum FreePorts {
    /// `count` different ports of 127.0.0.1.
    static func take(_ count: Int) throws -> [Int] {
        var held: [Int32] = []
        defer { for descriptor in held { close(descriptor) } }
        return try (0..<count).map { _ in
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            held.append(descriptor)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let isFound = withUnsafeMutablePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
                }
            }
            guard isFound else { throw ClusterError("no free port") }
            return Int(UInt16(bigEndian: address.sin_port))
        }
    }
}

/// Waits until `condition` holds.
///
/// - Throws: `what` where it does not within `patience`.
func eventually(
    _ what: String,
    patience: Duration = .seconds(60),
    _ condition: () async throws -> Bool
) async throws {
    let start = ContinuousClock.now
    while try await !condition() {
        guard ContinuousClock.now - start < patience else { throw ClusterError("never: \(what)") }
        try await Task.sleep(for: .milliseconds(20))
    }
}

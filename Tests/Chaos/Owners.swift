// Whose a connection of 127.0.0.1 is. All nodes must name a member by the same address, and a
// fault is to hit the way of one node only, so the proxy asks which process has the other end:
// /proc/net/tcp tells the socket of a port, /proc/PID/fd who has it open.
import Glibc
import Synchronization
import TestKit

/// The processes that connections may belong to.
final class Owners: Sendable {
    private let processes: Mutex<[Int32]>

    /// So many, none of which is known yet.
    init(_ count: Int) { processes = Mutex(Array(repeating: 0, count: count)) }

    /// The process of this number is now this one.
    func set(_ process: Int32, at index: Int) { processes.withLock { $0[index] = process } }

    /// Which of them has the socket that is bound to `port`; nil where none has.
    func owner(of port: Int) -> Int? {
        guard let socket = Self.socket(port) else { return nil }
        let processes = processes.withLock { $0 }
        return processes.firstIndex { Self.has($0, "socket:[\(socket)]") }
    }

    private static func socket(_ port: Int) -> Substring? {
        let digits = String(port, radix: 16, uppercase: true)
        let local = "0100007F:" + String(repeating: "0", count: 4 - digits.count) + digits
        let table = readFile("/proc/net/tcp")
        for line in table.split(separator: "\n") {
            let fields = line.split(separator: " ")
            if fields.count > 9, fields[1] == local, fields[9] != "0" { return fields[9] }
        }
        return nil
    }

    private static func has(_ process: Int32, _ socket: String) -> Bool {
        let folder = "/proc/\(process)/fd"
        guard process > 0, let list = opendir(folder) else { return false }
        defer { closedir(list) }
        var buffer = [CChar](repeating: 0, count: 64)
        while let entry = readdir(list) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            let count = readlink("\(folder)/\(name)", &buffer, buffer.count)
            guard count > 0 else { continue }
            let bytes = buffer[..<count].map(UInt8.init(bitPattern:))
            if String(decoding: bytes, as: UTF8.self) == socket { return true }
        }
        return false
    }
}

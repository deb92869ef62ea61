// A small blocking HTTP/1.1 client, written by hand so that a test can send exactly the bytes it
// means: duplicate headers, forged ones, bodies that are not what they claim to be. Every secret
// that an answer holds is remembered, for the tests that look for them where they must not be, and
// every answer is looked at for what none may hold.
import Glibc
import Primitives
import TestKit

@testable import Web

/// Where a client speaks to: a node or the gateway.
struct HTTPClient: Sendable {
    /// The port on 127.0.0.1.
    let port: Int
    /// Where the secrets of answers are kept; nil where nobody looks for them.
    let secrets: KnownSecrets?

    /// Sends one request on a connection of its own and reads its answer.
    func send(
        _ method: String,
        _ target: String,
        _ fields: [(String, String)] = [],
        json: String? = nil,
        bytes: [UInt8]? = nil
    ) async throws -> HTTPAnswer {
        var all = fields
        if json != nil { all.append(("Content-Type", "application/json")) }
        let body = bytes ?? json.map { Array($0.utf8) }
        let port = port
        let head = Self.head(method, target, all, body, closes: true)
        let answer = try await Blocking.run {
            let connection = try Connection(port: port)
            defer { connection.close() }
            try connection.write(head + (body ?? []))
            return try connection.readAnswer(hasBody: method != "HEAD")
        }
        secrets?.remember(answer)
        NeverAnswered.look(at: answer, to: "\(method) \(target.prefix { $0 != "?" })")
        return answer
    }

    /// The bytes of a request's head.
    static func head(
        _ method: String,
        _ target: String,
        _ fields: [(String, String)],
        _ body: [UInt8]?,
        closes: Bool
    ) -> [UInt8] {
        var text = "\(method) \(target) HTTP/1.1\r\nHost: auth.example.test\r\n"
        for (name, value) in fields { text += "\(name): \(value)\r\n" }
        if let body { text += "Content-Length: \(body.count)\r\n" }
        if closes { text += "Connection: close\r\n" }
        return Array((text + "\r\n").utf8)
    }
}

/// A connection that blocks its thread.
final class Connection: @unchecked Sendable {
    // Sendable: a test uses it from one thread at a time, and awaits each use.

    private let descriptor: Int32
    private var received: [UInt8] = []

    /// Connects, with a limit of a minute on each wait.
    init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
        // A second piece of a request must not wait until the first is acknowledged.
        var isEager: Int32 = 1
        let width = socklen_t(MemoryLayout<Int32>.size)
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &isEager, width)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else {
            let reason = errno
            Glibc.close(descriptor)
            throw ClusterError("connect to \(port): errno \(reason)")
        }
    }

    /// Closes it.
    func close() { Glibc.close(descriptor) }

    /// Writes all of `bytes`, as far as the other side takes them.
    func write(_ bytes: [UInt8]) throws {
        var start = 0
        while start < bytes.count {
            let count = bytes.withUnsafeBytes { raw in
                Glibc.send(
                    descriptor,
                    raw.baseAddress.map { $0 + start },
                    raw.count - start,
                    Int32(MSG_NOSIGNAL)
                )
            }
            // A server may answer and close before it has read everything: the answer counts.
            guard count > 0 else { return }
            start += count
        }
    }

    /// Says that nothing more will be sent.
    func finish() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Everything until the other side ends.
    func readToEnd() -> String {
        while true {
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { break }
            received += buffer[..<count]
        }
        defer { received = [] }
        return String(decoding: received, as: UTF8.self)
    }

    /// Reads one answer.
    func readAnswer(hasBody: Bool = true) throws -> HTTPAnswer {
        while true {
            if let (answer, used) = HTTPAnswer.parse(received, hasBody: hasBody) {
                received.removeFirst(used)
                return answer
            }
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else {
                throw ClusterError(
                    "no whole answer, but: " + String(decoding: received, as: UTF8.self)
                )
            }
            received += buffer[..<count]
        }
    }
}

/// An answer, taken apart.
struct HTTPAnswer: Sendable {
    let status: Int
    let fields: [(name: String, value: String)]
    let body: String

    /// All values of a field.
    func values(_ name: String) -> [String] {
        fields.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
    }

    /// The first value of a field.
    subscript(_ name: String) -> String? { values(name).first }

    /// The names of all fields, sorted.
    var names: [String] { fields.map { $0.name.lowercased() }.sorted() }

    /// The body as JSON; null where it is none.
    var json: JSONValue {
        do {
            return try JSONReader.read(Array(body.utf8))
        } catch {
            return .null
        }
    }

    /// A text member of the body, by its path: `account.id`.
    func text(_ path: String) -> String? {
        guard case .text(let text)? = json.at(path) else { return nil }
        return text
    }

    /// The stable code of a problem.
    var code: String? { text("code") }

    /// The cookies that are set, by name.
    var cookies: [String: String] {
        var found: [String: String] = [:]
        for line in values("Set-Cookie") {
            let pair = line.prefix { $0 != ";" }
            guard let mark = pair.firstIndex(of: "=") else { continue }
            found[String(pair[..<mark])] = String(pair[pair.index(after: mark)...])
        }
        return found
    }

    /// The `Set-Cookie` line of a cookie.
    func cookieLine(_ name: String) -> String? {
        values("Set-Cookie").first { $0.hasPrefix(name + "=") }
    }

    static func parse(_ bytes: [UInt8], hasBody: Bool) -> (HTTPAnswer, used: Int)? {
        guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
        let head = String(decoding: bytes[..<end.lowerBound], as: UTF8.self)
        let lines = head.split(separator: "\r\n")
        guard let first = lines.first, first.hasPrefix("HTTP/1.1 "),
            let status = Int(first.dropFirst(9).prefix(3))
        else { return nil }
        let fields = lines.dropFirst().map { line in
            let parts = line.split(separator: ":", maxSplits: 1)
            return (
                name: String(parts[0]),
                value: String(parts.count > 1 ? parts[1].drop { $0 == " " } : "")
            )
        }
        let announced = fields.first { $0.name.lowercased() == "content-length" }
        let length = hasBody ? announced.flatMap { Int($0.value) } ?? 0 : 0
        guard bytes.count >= end.upperBound + length else { return nil }
        let body = bytes[end.upperBound..<(end.upperBound + length)]
        return (
            HTTPAnswer(status: status, fields: fields, body: String(decoding: body, as: UTF8.self)),
            end.upperBound + length
        )
    }
}

extension JSONValue {
    /// The value at a path of member names.
    func at(_ path: String) -> JSONValue? {
        var value = self
        for name in path.split(separator: ".") {
            guard case .object(let members) = value, let next = members[String(name)] else {
                return nil
            }
            value = next
        }
        return value
    }

    /// The items of a list.
    var items: [JSONValue] { if case .list(let items) = self { items } else { [] } }

    /// The text of a string.
    var string: String? { if case .text(let text) = self { text } else { nil } }

    /// The names of an object's members.
    var names: Set<String> {
        if case .object(let members) = self { Set(members.keys) } else { [] }
    }
}

/// Something that a test needs did not work.
struct ClusterError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

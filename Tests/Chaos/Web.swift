// A blocking HTTP client of a few lines for what people do: sign in, log out. One connection for
// each request, with a limit on each wait, so that a frozen node costs time and nothing else.
import Glibc
import Primitives

/// An answer.
struct Reply {
    let status: Int
    let body: String

    /// A text member of the body, found by its name alone.
    func text(_ name: String) -> String? {
        guard let key = body.firstRange(of: "\"\(name)\":\"") else { return nil }
        return String(body[key.upperBound...].prefix { $0 != "\"" })
    }
}

/// A bearer token, looked into.
enum Bearer {
    /// A text claim of it.
    static func claim(_ name: String, of bearer: String) -> String {
        let parts = bearer.split(separator: ".")
        let bytes = parts.count == 3 ? Base64URL.decode(Array(parts[1].utf8)) ?? [] : []
        return Reply(status: 200, body: String(decoding: bytes, as: UTF8.self)).text(name) ?? ""
    }
}

/// Sends requests to one port.
enum Web {
    /// Sends a request and reads the answer; nil where there is none.
    static func send(
        _ port: Int,
        _ method: String,
        _ path: String,
        bearer: String? = nil,
        organisation: String? = nil,
        json: String? = nil,
        limit: Int = 15
    ) -> Reply? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        var wait = timeval(tv_sec: limit, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &wait, size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &wait, size)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let isConnected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard isConnected else { return nil }
        var text = "\(method) \(path) HTTP/1.1\r\nHost: auth.example.test\r\nConnection: close\r\n"
        if let bearer { text += "Authorization: Bearer \(bearer)\r\n" }
        if let organisation { text += "X-Org: \(organisation)\r\n" }
        // Whatever version it is of: the campaign races with itself, on purpose.
        if method == "PATCH" { text += "If-Match: *\r\n" }
        if let json {
            text += "Content-Type: application/json\r\nContent-Length: \(json.utf8.count)\r\n"
        } else if method == "POST" {
            text += "Content-Length: 0\r\n"
        }
        let bytes = Array((text + "\r\n" + (json ?? "")).utf8)
        guard Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
            return nil
        }
        return read(descriptor)
    }

    private static func read(_ descriptor: Int32) -> Reply? {
        var input: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count < 0 { return nil }
            if count == 0 { break }
            input += buffer[..<count]
        }
        let text = String(decoding: input, as: UTF8.self)
        guard text.hasPrefix("HTTP/1.1 "), let status = Int(text.dropFirst(9).prefix(3)),
            let end = text.firstRange(of: "\r\n\r\n")
        else { return nil }
        return Reply(status: status, body: String(text[end.upperBound...]))
    }
}

// A reply as HTTP/1.1 bytes, for answers that no parser stands behind.
internal import HTTPTypes
internal import NIOCore

extension Reply {
    /// The whole message; no field can hold CR or LF, because `HTTPField` replaces them.
    var http1Bytes: ByteBuffer {
        var out = ByteBuffer()
        out.writeString("HTTP/1.1 \(status.code) \(status.reasonPhrase)\r\n")
        for field in headers { out.writeString("\(field.name.rawName): \(field.value)\r\n") }
        out.writeString("\r\n")
        out.writeBytes(body)
        return out
    }
}

extension IPAddress {
    /// The address of a socket's other end; a Unix socket's is this machine.
    init(_ address: SocketAddress?) {
        self = address?.ipAddress.flatMap { IPAddress($0) } ?? .loopback
    }
}

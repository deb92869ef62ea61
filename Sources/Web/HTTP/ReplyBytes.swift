// A reply as HTTP/1.1 bytes, for answers that no parser stands behind.
internal import HTTPTypes
internal import NIOCore
internal import NIOHTTP1

extension Reply {
    /// The whole message; no field can hold CR or LF, because `HTTPField` replaces them.
    var http1Bytes: ByteBuffer {
        var out = ByteBuffer()
        // The phrase that the encoder of every other answer writes.
        let phrase = HTTPResponseStatus(statusCode: status.code).reasonPhrase
        out.writeString("HTTP/1.1 \(status.code) \(phrase)\r\n")
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

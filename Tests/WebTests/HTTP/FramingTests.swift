// What must never reach a handler, tried with raw bytes over a real socket (row 256).
import Testing

@Suite struct FramingTests {
    /// Each is refused with 400, the connection ends, and nothing behind it is answered.
    static let refused: [(name: String, bytes: String)] = [
        (
            "a length and an encoding",
            "POST /v1/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
                + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        (
            "two lengths",
            "POST /v1/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
                + "Content-Length: 4\r\n\r\nabcd"
        ),
        (
            "a list of lengths",
            "POST /v1/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4, 4\r\n\r\nabcd"
        ),
        ("a signed length", "POST /v1/echo HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\nabcd"),
        (
            "an unknown encoding",
            "POST /v1/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n"
        ),
        (
            "two encodings",
            "POST /v1/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"
        ),
        (
            "an encoding twice",
            "POST /v1/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                + "Transfer-Encoding: identity\r\n\r\n0\r\n\r\n"
        ),
        (
            "an encoding with a strange space",
            "POST /v1/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\u{0B}chunked\r\n\r\n0\r\n\r\n"
        ),
        (
            "a tab behind a length",
            "POST /v1/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\t\r\n\r\n"
        ),
        (
            "a tab behind an encoding",
            "POST /v1/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\t\r\n\r\n"
                + "0\r\n\r\n"
        ),
        ("a folded line", "GET /verify HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n"),
        ("a folded first line", "GET /verify HTTP/1.1\r\n Host: a\r\n\r\n"),
        ("a bare LF", "GET /verify HTTP/1.1\nHost: a\n\n"),
        ("a bare LF in the fields", "GET /verify HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"),
        ("a bare CR", "GET /verify HTTP/1.1\r\nHost: a\r\nX: b\rY: c\r\n\r\n"),
        ("a space before the colon", "GET /verify HTTP/1.1\r\nHost : a\r\n\r\n"),
        ("a nameless field", "GET /verify HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n"),
        ("a field without colon", "GET /verify HTTP/1.1\r\nHost: a\r\nnothing\r\n\r\n"),
        ("a NUL", "GET /verify HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n"),
        ("no host", "GET /verify HTTP/1.1\r\n\r\n"),
        ("an empty host", "GET /verify HTTP/1.1\r\nHost:\r\n\r\n"),
        ("two hosts", "GET /verify HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
        ("a host with a path", "GET /verify HTTP/1.1\r\nHost: a/b\r\n\r\n"),
        ("HTTP 0.9", "GET /verify\r\n\r\n"),
        ("HTTP 2 without upgrade", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("HTTP 1.2", "GET /verify HTTP/1.2\r\nHost: a\r\n\r\n"),
        ("two spaces", "GET  /verify HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a space in the target", "GET /verify /x HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a target beyond ASCII", "GET /verify/ä HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("a fragment", "GET /verify#x HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("absolute form", "GET http://a/verify HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("an empty line first", "\r\nGET /verify HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("an encoding in HTTP 1.0", "POST /v1/echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ]

    static let brokenChunks: [(name: String, bytes: String)] = [
        ("not a number", "zz\r\n"), ("an empty size", "\r\n"),
        ("an extension", "4;a=b\r\nabcd\r\n"),
        ("a bare LF", "4\nabcd\r\n"), ("too much data", "4\r\nabcdX\r\n"),
        ("a minus", "-4\r\nabcd"),
        ("a huge size", "fffffffff\r\n"), ("a trailer", "0\r\nX-A: b\r\n\r\n"),
        ("a hex prefix", "0x4\r\nabcd\r\n"), ("a space", "4 \r\nabcd\r\n"),
    ]

    @Test(arguments: refused)
    func `ambiguous bytes are refused and the connection ends (W10)`(
        sample: (name: String, bytes: String)
    ) async throws {
        try await withServer(routes: SampleAPI.routes) { server in
            let smuggled = "GET /verify HTTP/1.1\r\nHost: a\r\n\r\n"
            let answer = try RawAnswer.only(try await server.exchange(sample.bytes + smuggled))
            #expect(answer.status == 400, "\(sample.name)")
            #expect(answer["Connection"] == "close")
            #expect(answer.body.contains("malformed-request"))
            #expect(answer["X-Content-Type-Options"] == "nosniff")
        }
    }

    @Test(arguments: brokenChunks)
    func `a broken chunk is refused and the connection ends`(
        sample: (name: String, bytes: String)
    ) async throws {
        try await withServer(routes: SampleAPI.routes) { server in
            let head =
                "POST /v1/echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                + "Transfer-Encoding: chunked\r\n\r\n"
            let smuggled = "GET /verify HTTP/1.1\r\nHost: a\r\n\r\n"
            let text = try await server.exchange(head + sample.bytes + smuggled)
            let answer = try RawAnswer.only(text)
            #expect(answer.status == 400, "\(sample.name)")
            #expect(answer["Connection"] == "close")
        }
    }

    @Test func `a request before broken bytes is answered first`() async throws {
        try await withServer(routes: SampleAPI.routes) { server in
            let good = "GET /verify HTTP/1.1\r\nHost: a\r\n\r\n"
            let text = try await server.exchange(good + "GET /verify HTTP/1.1\nHost: a\n\n" + good)
            #expect(RawAnswer.all(text).map(\.status) == [200, 400])
        }
    }

    @Test func `well-formed requests of every framing are answered on one connection`() async throws
    {
        try await withServer(routes: SampleAPI.routes) { server in
            try await server.connect { client in
                let body = #"{"login":"ada","password":"longenough"}"#
                let json = "Content-Type: application/json; charset=UTF-8\r\n"
                try await client.send("GET /verify HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(try await client.readAnswer().status == 200)
                try await client.send(
                    "POST /v1/echo HTTP/1.1\r\nHost: a\r\n\(json)Content-Length: \(body.utf8.count)"
                        + "\r\n\r\n\(body)"
                )
                #expect(try await client.readAnswer().status == 200)
                try await client.send(
                    "POST /v1/echo HTTP/1.1\r\nHost: a\r\n\(json)Transfer-Encoding: Chunked\r\n\r\n"
                )
                for piece in [body.prefix(7), body.dropFirst(7)] {
                    let size = String(piece.utf8.count, radix: 16)
                    try await client.send("\(size)\r\n\(piece)\r\n")
                }
                try await client.send("0\r\n\r\n")
                #expect(try await client.readAnswer().status == 200)
                // Two at once, the second torn in the middle of a field.
                let next = "GET /verify HTTP/1.1\r\nHost: a\r\n\r\n"
                try await client.send(next + next.prefix(25))
                #expect(try await client.readAnswer().status == 200)
                try await client.send(String(next.dropFirst(25)))
                #expect(try await client.readAnswer().status == 200)
            }
        }
    }

    @Test(arguments: [
        "GET /verify HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /verify HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n",
        "GET /verify HTTP/1.1\r\nHost: a\r\nConnection: x, close\r\n\r\n",
        "GET /verify HTTP/1.0\r\n\r\n",
        "GET /verify HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ])
    func `the connection ends when the client asks for it`(request: String) async throws {
        try await withServer(routes: SampleAPI.routes) { server in
            let text = try await server.exchange(
                request + "GET /verify HTTP/1.1\r\nHost: a\r\n\r\n"
            )
            #expect(try RawAnswer.only(text).status == 200)
        }
    }
}

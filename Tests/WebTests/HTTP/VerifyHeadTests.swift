// The reader of the fast path, against the framing that judges everything else: whatever it reads
// as whole, the guard reads as the same bytes, and what any parser might read in two ways it does
// not read at all (row 256).
import Primitives
import TestKit
import Testing

@testable import Web

@Suite struct VerifyHeadTests {
    static let token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJ4In0.c2lnbmF0dXJl"
    /// What gateways send.
    static let heads = [
        "GET /verify HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(token)\r\n\r\n",
        "GET /verify HTTP/1.1\r\nX-Original-URI: /app/x?q=1\r\nX-Original-Method: POST\r\n"
            + "X-Forwarded-For: 192.0.2.1\r\nHost: a:80\r\nUser-Agent: curl/7.88.1\r\nAccept: */*"
            + "\r\nAuthorization: Bearer \(token)\r\nX-Auth-User: forged\r\n\r\n",
        "POST /verify/app/x?q=1 HTTP/1.1\r\nhost: app.example\r\nauthorization: Bearer \(token)\r\n"
            + "content-length: 0\r\nx-envoy-internal: true\r\n\r\n",
        "HEAD /verify?permission=a:b HTTP/1.1\r\nHost: [::1]:80\r\nConnection: Keep-Alive\r\n"
            + "Authorization:bearer \(token)  \r\n\r\n",
        // Captured from nginx 1.22, HAProxy 2.6 and Caddy 2.6 with the samples in docs/gateways.
        "GET /verify HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Original-URI: /app/x?q=1\r\n"
            + "X-Original-Method: POST\r\nX-Forwarded-For: 127.0.0.1\r\n"
            + "Accept-Encoding: identity\r\nAuthorization: Bearer \(token)\r\n"
            + "User-Agent: curl/7.88.1\r\n\r\n",
        "GET /verify HTTP/1.1\r\nx-original-uri: /app/x?q=1\r\nx-original-method: POST\r\n"
            + "x-forwarded-for: 127.0.0.1\r\nauthorization: Bearer \(token)\r\n"
            + "host: 127.0.0.1:54067\r\naccept: */*\r\nuser-agent: HAProxy\r\n\r\n",
        "GET /verify?q=1 HTTP/1.1\r\nHost: 127.0.0.1:58937\r\nUser-Agent: curl/7.88.1\r\n"
            + "Accept-Encoding: identity\r\nAuthorization: Bearer \(token)\r\n"
            + "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: 127.0.0.1:58937\r\n"
            + "X-Forwarded-Method: POST\r\nX-Forwarded-Proto: http\r\n"
            + "X-Forwarded-Uri: /app/x?q=1\r\n\r\n",
        // Captured from Traefik 3.7, Envoy 1.40 and Caddy 2.11 with the samples in docs/gateways.
        "GET /verify HTTP/1.1\r\nHost: 127.0.0.1:57941\r\nUser-Agent: curl/7.88.1\r\n"
            + "Accept-Encoding: identity\r\nAuthorization: Bearer \(token)\r\n"
            + "X-Auth-User: forged\r\nX-Forwarded-For: 127.0.0.1\r\n"
            + "X-Forwarded-Host: 127.0.0.1:57767\r\nX-Forwarded-Method: POST\r\n"
            + "X-Forwarded-Port: 57767\r\nX-Forwarded-Proto: http\r\n"
            + "X-Forwarded-Uri: /app/x?q=1\r\n\r\n",
        "POST /verify/app/x?q=1 HTTP/1.1\r\nhost: 127.0.0.1:43559\r\ncontent-length: 0\r\n"
            + "x-forwarded-for: 192.0.2.2\r\nauthorization: Bearer \(token)\r\n"
            + "x-envoy-internal: true\r\nx-envoy-expected-rq-timeout-ms: 2000\r\n\r\n",
        "GET /verify?q=1 HTTP/1.1\r\nHost: 127.0.0.1:57585\r\nUser-Agent: curl/7.88.1\r\n"
            + "Accept-Encoding: identity\r\nAuthorization: Bearer \(token)\r\n"
            + "Via: 1.1 Caddy\r\nX-Forwarded-For: 127.0.0.1\r\n"
            + "X-Forwarded-Host: 127.0.0.1:57585\r\nX-Forwarded-Method: POST\r\n"
            + "X-Forwarded-Proto: http\r\nX-Forwarded-Uri: /app/x?q=1\r\n\r\n",
        "OPTIONS /verify HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAccept-Encoding: gzip\r\n\r\n",
        "PUT /v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
    ]

    private func read(_ bytes: [UInt8], _ limits: HTTPLimits = HTTPLimits()) -> VerifyHead.Reading {
        bytes.withUnsafeBytes { VerifyHeadReader(limits).read($0) }
    }

    private func name(_ reading: VerifyHead.Reading) -> String {
        switch reading {
        case .incomplete: "incomplete"
        case .foreign: "foreign"
        case .whole: "whole"
        }
    }

    private func whole(_ text: String) throws -> VerifyHead {
        guard case .whole(let head) = read(Array(text.utf8)) else {
            throw RawError(text: "not whole: \(text)")
        }
        return head
    }

    @Test
    func `a head cut at every byte is incomplete, and whole with its last byte`() throws {
        for text in Self.heads {
            let bytes = Array(text.utf8)
            for count in 0..<bytes.count {
                let found = name(read(Array(bytes[..<count])))
                #expect(found == "incomplete", "\(count) of \(text)")
            }
            let more = try whole(text + "GET /verify HTTP/1.1\r\n")
            #expect(more.length == bytes.count)
        }
    }

    @Test
    func `token, query, path and end of the connection are found where they are`() throws {
        let parsed = try Self.heads.map(whole)
        for (head, text) in zip(parsed, Self.heads).prefix(10) {
            let bytes = Array(text.utf8)
            let found = head.token.map { String(decoding: bytes[$0], as: UTF8.self) }
            #expect(found == Self.token, "\(text)")
        }
        #expect(parsed.map(\.isVerify) == [Bool](repeating: true, count: 11) + [false])
        #expect(parsed.map(\.isHead) == (0..<12).map { $0 == 3 })
        #expect(parsed.map(\.closes) == (0..<12).map { $0 == 10 })
        #expect(parsed.map(\.bodyBytes) == (0..<12).map { $0 == 11 ? 5 : 0 })
        #expect(parsed.map { $0.query == nil } == (0..<12).map { ![3, 6, 9].contains($0) })
        #expect(parsed[1].original.isPlain && !parsed[1].forwarded.isPresent)
        for target in ["/verifyx", "/Verify", "/v1/verify", "/", "/verif"] {
            let head = try whole("GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n")
            #expect(!head.isVerify, "\(target)")
        }
    }

    @Test
    func `what the general path might refuse or read otherwise has no token here`() throws {
        for fields in [
            "", "Authorization: Bearer\r\n", "Authorization: Bearer \r\n",
            "Authorization: Bearer  a.b.c\r\n", "Authorization: Bearer a b\r\n",
            "Authorization: Basic YTpi\r\n", "Authorization:\r\n", "Cookie: ww_access=x\r\n",
            "Authorization: Bearer a.b.c\r\nAuthorization: Bearer a.b.c\r\n",
            "Authorization: Bearer a.b.c\r\nauthorization: x\r\n",
        ] {
            let head = try whole("GET /verify HTTP/1.1\r\nHost: a\r\n\(fields)\r\n")
            #expect(head.token == nil, "\(fields)")
        }
        for (fields, sources) in [
            ("X-Original-Method: GET\r\nX-Original-Method: GET\r\n", [.forwarded, .requestLine]),
            ("X-Original-Method: G T\r\n", [.forwarded, .requestLine]),
            ("X-Forwarded-Method:\r\n", [.original, .requestLine]),
            (
                "X-Forwarded-Uri: /\r\nX-Original-URI: /\r\n",
                [.forwarded, .original, .requestLine]
            ),
            ("X-Forwarded-Uri: /\r\nX-Forwarded-Method: PUT\r\n", OriginalRequestSource.allCases),
        ] as [(String, [OriginalRequestSource])] {
            let head = try whole("GET /verify HTTP/1.1\r\nHost: a\r\n\(fields)\r\n")
            let plain = OriginalRequestSource.allCases.filter { head.isPlain($0) }
            #expect(Set(plain) == Set(sources), "\(fields)")
        }
    }

    @Test
    func `what two parsers might read differently is foreign (row 256)`() {
        let good = "GET /verify HTTP/1.1\r\nHost: a\r\n"
        for (label, text) in FramingTests.refused {
            let found = name(read(Array(text.utf8)))
            #expect(found != "whole" || text.contains("POST"), "\(label)")
        }
        for text in [
            good + "Content-Length: 4\r\nContent-Length: 4\r\n\r\n",
            good + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
            good + "Transfer-Encoding: chunked\r\n\r\n", good + "Content-Length: +4\r\n\r\n",
            good + "Content-Length: 0x1\r\n\r\n", good + "Content-Length:\r\n\r\n",
            good + "Content-Length: 1, 1\r\n\r\n", good + "Content-Length: 99999999\r\n\r\n",
            good + "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n",
            good + "Content-Length: 4\r\nExpect: 100-continue\r\n\r\n",
            good + "Upgrade: h2c\r\n\r\n",
            good + "Connection: keep-alive, Authorization\r\n\r\n",
            good + "Connection: keep-alive\r\nConnection: close\r\n\r\n",
            good + "Authorization: Bearer a\r\n b\r\n\r\n",
            good + "Authorization : Bearer a\r\n\r\n",
            good + "X: a\nAuthorization: Bearer b\r\n\r\n", good + "X: a\0\r\n\r\n",
            good + "X: a\rb\r\n\r\n", good + "X\u{0}: a\r\n\r\n", good + "host: a\r\n\r\n",
            good + "X: \u{7F}\r\n\r\n", "GET /verify HTTP/1.0\r\nHost: a\r\n\r\n",
            "GET http://a/verify HTTP/1.1\r\nHost: a\r\n\r\n", "GET /verify HTTP/1.1\r\n\r\n",
            "GET * HTTP/1.1\r\nHost: a\r\n\r\n", "TRACE /verify HTTP/1.1\r\nHost: a\r\n\r\n",
            "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "BREW /verify HTTP/1.1\r\nHost: a\r\n\r\n",
            "\r\n" + good + "\r\n", "GET\t/verify HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /verify HTTP/1.1 \r\nHost: a\r\n\r\n", "get /verify HTTP/1.1\r\nHost: a\r\n\r\n",
            good + String(repeating: "X: y\r\n", count: 101) + "\r\n",
            good + "X: " + String(repeating: "y", count: 20_000) + "\r\n\r\n",
        ] {
            let found = name(read(Array(text.utf8)))
            #expect(found == "foreign", "\(text.prefix(120))")
        }
    }

    @Test
    func `whatever is read here as a request, the guard frames to the same byte (row 256)`()
        async throws
    {
        // Seconds of work on a thread of the pool would hold up the tests beside this one.
        let (wholes, flaws) = try await Blocking.run { fuzz() }
        #expect(flaws == [])
        #expect(wholes > 1000)
    }

    /// How many of many bent requests are read whole, and those that the guard frames otherwise.
    private func fuzz() -> (wholes: Int, flaws: [String]) {
        var seed: UInt64 = 0x9E37_79B9_7F4A_7C15
        func random(_ limit: Int) -> Int {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(seed >> 33) % limit
        }
        let pieces = [
            "\r\n", "\n", "\r", " ", "\t", ":", ",", "\0", "Content-Length: 3\r\n", "0", "close",
            "Transfer-Encoding: chunked\r\n", "Host: b\r\n", "Connection: close\r\n", "HTTP/1.0",
            "Connection: keep-alive\r\n", "Upgrade: x\r\n", "\u{7F}", "?", "é", "A",
        ].map { Array($0.utf8) }
        var (wholes, flaws) = (0, [String]())
        for round in 0..<20_000 {
            var bytes = Array(Self.heads[round % Self.heads.count].utf8)
            for _ in 0..<(1 + random(3)) {
                let at = random(bytes.count)
                let piece = pieces[random(pieces.count)]
                switch random(3) {
                case 0: bytes.insert(contentsOf: piece, at: at)
                case 1: bytes.replaceSubrange(at..<min(at + piece.count, bytes.count), with: piece)
                default: bytes.removeSubrange(at..<min(at + 1 + random(3), bytes.count))
                }
            }
            guard case .whole(let head) = read(bytes) else { continue }
            wholes += 1
            let body = [UInt8](repeating: 0x41, count: head.bodyBytes)
            let request = bytes[..<head.length] + body
            var framing = RequestFraming(HTTPLimits())
            var step = RequestFraming.Step()
            let text = String(decoding: bytes, as: UTF8.self)
            do {
                try Array(request).withUnsafeBytes { try framing.take($0, &step) }
            } catch {
                flaws.append("\(error): \(text)")
            }
            let isSame =
                step.heads == 1 && step.ends == 1 && step.accepted == request.count
                && framing.closesAfter == head.closes
            if !isSame { flaws.append(text) }
        }
        return (wholes, flaws)
    }

    @Test
    func `a cache finds exactly the bytes that were put in, and forgets the oldest`() {
        var cache = ByteCache<Int>(limit: 100, hashedBytes: 4)
        func find(_ text: String) -> Int? { Array(text.utf8).withUnsafeBytes { cache.find($0) } }
        cache.insert(1, for: Array("aaaa.tail".utf8))
        #expect(find("aaaa.tail") == 1)
        // The same hash, other bytes.
        for other in ["aaab.tail", "aaa.tail", "aaaaa.tail", "tail", ""] {
            #expect(find(other) == nil, "\(other)")
        }
        for number in 0..<1000 {
            cache.insert(number, for: Array("value-\(number)".utf8))
            #expect(cache.count <= 101)
            #expect(find("aaaa.tail") == 1, "what is asked for stays")
        }
        #expect(find("value-1") == nil)
        #expect(find("value-999") == 999)
    }
}

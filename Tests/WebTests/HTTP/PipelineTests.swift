// From a request to its answer: routes, problems, headers, origins, cookies, the log.
import HTTPTypes
import Logging
import Primitives
import Testing
import Web

@Suite struct PipelineTests {
    private static let good = #"{"login":"ada","password":"longenough"}"#

    private func ask(
        _ method: String,
        _ path: String,
        _ fields: [String] = [],
        body: String? = nil,
        fails: any Error = Broken(isTransient: true),
        issuer: String = "https://auth.example.com",
        change: (inout HTTPSettings) -> Void = { _ in },
        then: @Sendable (RawAnswer, RunningServer) throws -> Void
    ) async throws {
        var lines = ["\(method) \(path) HTTP/1.1", "Host: auth.example.com", "Connection: close"]
        lines += fields
        if let body { lines.append("Content-Length: \(body.utf8.count)") }
        let text = lines.joined(separator: "\r\n") + "\r\n\r\n" + (body ?? "")
        let routes = SampleAPI.bindings(fails: fails).finish()
        try await withServer(routes: routes, issuer: issuer, change: change) { server in
            let answer = try await server.exchange(text)
            try then(RawAnswer.only(answer, hasBody: method != "HEAD"), server)
        }
    }

    private func echo(
        _ fields: [String] = [],
        body: String = Self.good,
        type: String = "application/json",
        change: (inout HTTPSettings) -> Void = { _ in },
        then: @Sendable (RawAnswer) throws -> Void
    ) async throws {
        try await ask(
            "POST",
            "/v1/echo",
            ["Content-Type: \(type)"] + fields,
            body: body,
            change: change
        ) { answer, _ in try then(answer) }
    }

    @Test(arguments: [
        ("/v1/echo/", 404), ("//v1/echo", 404), ("/v1//echo", 404), ("/v1/%65cho", 404),
        ("/v1/./echo", 404), ("/v1/x/../echo", 404), ("/V1/echo", 404), ("/", 404),
        ("/v1/echo?x=1", 405), ("/verifyx", 404), ("/verify", 200), ("/verify/a//b/../c%2f", 200),
        ("/v1/echoes/", 404), ("/v1/echoes/x/y", 404), ("/v1/echo;x", 404),
    ])
    func `paths are compared byte by byte`(path: String, status: Int) async throws {
        try await ask("GET", path) { answer, _ in #expect(answer.status == status) }
    }

    @Test(arguments: ["TRACE", "CONNECT", "OPTIONS", "HEAD", "PUT", "FOO"])
    func `a method that is not listed is 405 with Allow (row 255)`(method: String) async throws {
        try await ask(method, "/v1/echo") { answer, _ in
            #expect(answer.status == 405)
            #expect(answer["Allow"] != nil)
        }
        try await ask("GET", "/v1/echo") { answer, _ in #expect(answer["Allow"] == "POST") }
    }

    @Test(arguments: ["GET", "HEAD", "PROPFIND", "DELETE", "OPTIONS"])
    func `verify answers any method`(method: String) async throws {
        try await ask(method, "/verify/x") { answer, _ in
            #expect(answer.status == 200)
            #expect(answer["X-Method"] == method)
        }
    }

    @Test(arguments: ["/verify", "/v1/echoes", "/v1/echo", "/nothing", "/v1/broken"])
    func `every answer carries the security headers (rows 152 to 155)`(path: String) async throws {
        try await ask("GET", path) { answer, _ in
            #expect(answer["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains")
            #expect(answer["Content-Security-Policy"]?.hasPrefix("default-src 'none'") == true)
            #expect(answer["X-Content-Type-Options"] == "nosniff")
            #expect(answer["Referrer-Policy"] == "no-referrer")
            #expect(answer["Cross-Origin-Opener-Policy"] == "same-origin")
            #expect(answer["Cross-Origin-Resource-Policy"] == "same-origin")
            #expect(answer["Cache-Control"] == "no-store")
            #expect(answer["Date"]?.hasSuffix("GMT") == true)
            #expect(answer["Server"] == nil)
            #expect(RequestID(answer["X-Request-Id"] ?? "") != nil)
            if !answer.body.isEmpty { #expect(answer["Content-Type"]?.contains("charset") == true) }
        }
    }

    @Test func `a connection that ends says so, for gateways keep it otherwise`() async throws {
        try await withServer(routes: SampleAPI.routes) { server in
            for field in ["Connection: close", "connection: x, Close", "Upgrade: h2c"] {
                let head = "GET /verify HTTP/1.1\r\nHost: a\r\n\(field)\r\n\r\n"
                let answer = try RawAnswer.only(try await server.exchange(head))
                #expect(answer.status == 200)
                #expect(answer["Connection"] == "close")
            }
        }
    }

    @Test func `HSTS is not sent for a service on plain HTTP`() async throws {
        try await ask("GET", "/verify", issuer: "http://127.0.0.1:8080") { answer, _ in
            #expect(answer["Strict-Transport-Security"] == nil)
        }
    }

    @Test func `a problem has the members of RFC 9457 and ours`() async throws {
        try await echo(body: #"{"login":"ada","extra":1}"#) { answer in
            #expect(answer.status == 400)
            #expect(answer["Content-Type"] == "application/problem+json; charset=utf-8")
            guard case .object(let problem) = try JSONReader.read(Array(answer.body.utf8)) else {
                throw RawError(text: answer.body)
            }
            #expect(
                problem["type"] == .text("https://auth.example.com/problems/validation-failed")
            )
            #expect(problem["status"] == .integer(400))
            #expect(problem["code"] == .text("validation-failed"))
            #expect(problem["instance"] == .text("urn:uuid:\(answer["X-Request-Id"] ?? "")"))
            #expect(
                problem["errors"]
                    == .list([
                        .object([
                            "member": .text("password"), "code": .text("missing"),
                            "detail": .text("must be given"),
                        ]),
                        .object([
                            "member": .text("extra"), "code": .text("unknown"),
                            "detail": .text("is not a member of this request"),
                        ]),
                    ])
            )
        }
    }

    @Test func `a missing token is challenged without an error code, a bad one with (RFC 6750)`()
        async throws
    {
        try await ask("GET", "/v1/echoes") { answer, _ in
            #expect(answer.status == 401)
            #expect(answer["WWW-Authenticate"] == "Bearer realm=\"watchword\"")
        }
        try await ask("GET", "/v1/echoes", ["Authorization: Bearer bad"]) { answer, _ in
            #expect(answer.status == 401)
            #expect(
                answer["WWW-Authenticate"] == "Bearer realm=\"watchword\", error=\"invalid_token\""
            )
        }
        try await ask("GET", "/v1/echoes", ["Authorization: Bearer good"]) { answer, _ in
            #expect(answer.status == 200)
        }
    }

    @Test func `Retry-After is whole seconds, rounded up`() async throws {
        try await echo(body: #"{"login":"often","password":"longenough"}"#) { answer in
            #expect(answer.status == 429)
            #expect(answer["Retry-After"] == "2")
        }
    }

    @Test(arguments: [(true, 503, "store-unavailable"), (false, 500, "internal-error")])
    func `a fault is answered without its text and logged once with it`(
        isTransient: Bool,
        status: Int,
        code: String
    ) async throws {
        try await ask("GET", "/v1/broken", fails: Broken(isTransient: isTransient)) {
            answer,
            server in
            #expect(answer.status == status)
            #expect((answer["Retry-After"] != nil) == isTransient)
            #expect(answer.body.contains(code))
            #expect(!answer.body.contains("secret-table"))
            let faults = server.logs.lines.filter { $0.level == .error }
            #expect(faults.count == 1)
            #expect(faults.first?.metadata["request_id"] == answer["X-Request-Id"])
            #expect(faults.first?.metadata["error"]?.contains("secret-table") == true)
        }
    }

    @Test func `a request leaves one line with the route, never the path or the query`()
        async throws
    {
        let fields = ["X-Request-Id: upstream-0001", "X-Forwarded-For: 9.9.9.9"]
        try await ask("DELETE", "/v1/echoes/abc?token=hush", fields) { answer, server in
            let lines = server.logs.lines.filter { $0.message == "request" }
            #expect(lines.count == 1)
            let line = lines[0].metadata
            #expect(line["route"] == "/v1/echoes/{id}")
            #expect(line["status"] == "401")
            #expect(line["problem"] == "token-missing")
            #expect(line["address"] == "127.0.0.1")
            #expect(line["upstream_request_id"] == "upstream-0001")
            #expect(line["request_id"] == answer["X-Request-Id"])
            let isTold = line.values.contains { $0.contains("hush") || $0.contains("abc") }
            #expect(!isTold)
        }
        try await ask("GET", "/verify", ["X-Request-Id: a\"b c=d"]) { _, server in
            #expect(server.logs.lines[0].metadata["upstream_request_id"] == nil)
        }
    }

    @Test(arguments: [
        ("GET", "/verify", ""), ("GET", "/nowhere", "not-found"),
        ("GET", "/v1/broken", "store-unavailable"),
        ("PUT", "/v1/echoes", "method-not-allowed"), ("GET", "/v1/echoes", "token-missing"),
    ])
    func `the line of a refused request names its problem, and no other does (row 305)`(
        method: String,
        path: String,
        problem: String
    ) async throws {
        try await ask(method, path) { _, server in
            let lines = server.logs.lines.filter { $0.message == "request" }
            #expect(lines.count == 1)
            let named = lines.first?.metadata["problem"] ?? ""
            #expect(named == problem)
        }
    }

    @Test func `an id that is none is not found`() async throws {
        let token = ["Authorization: Bearer good"]
        try await ask("DELETE", "/v1/echoes/%00", token) { answer, _ in
            #expect(answer.status == 404)
        }
        let id = "018bcfe5-6800-7000-8000-000000000000"
        try await ask("DELETE", "/v1/echoes/\(id)", token) { answer, _ in
            #expect(answer.status == 204)
            #expect(answer["Content-Length"] == nil)
        }
    }

    @Test(arguments: [
        ("application/json", 200), ("Application/JSON; charset=UTF-8", 200),
        ("application/json;charset=\"utf-8\"", 200), ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415), ("application/json, text/plain", 415),
        ("application/json; charset=utf-16", 415), ("application/json; boundary=x", 415),
        ("multipart/form-data", 415), ("application/jsonx", 415),
    ])
    func `only JSON is read as JSON (row 147)`(type: String, status: Int) async throws {
        try await echo(type: type) { #expect($0.status == status) }
    }

    @Test func `a compressed body is refused (row 264)`() async throws {
        try await echo(["Content-Encoding: gzip"]) { #expect($0.status == 415) }
    }

    @Test(arguments: ["[1]", "\"x\"", "{", "", "{\"login\":\"a\",\"login\":\"b\"}"])
    func `a body that is no JSON object is malformed`(body: String) async throws {
        try await echo(body: body) { answer in
            #expect(answer.status == 400 || (body.isEmpty && answer.status == 400))
            #expect(answer.body.contains("malformed-request"))
        }
    }

    @Test(arguments: [
        (["Sec-Fetch-Site: cross-site"], 403), (["Sec-Fetch-Site: same-origin"], 200),
        (["Sec-Fetch-Site: none"], 200), ([], 200), (["Origin: https://auth.example.com"], 200),
        (["Origin: null"], 403), (["Origin: https://auth.example.com.evil.com"], 403),
        (["Origin: http://auth.example.com"], 403), (["Origin: https://evilauth.example.com"], 403),
        (["Origin: https://auth.example.com", "Origin: https://evil.com"], 403),
        (["Origin: https://app.example.com"], 200),
        (["Origin: https://app.example.com", "Sec-Fetch-Site: cross-site"], 200),
        (["Origin: https://auth.example.com", "Sec-Fetch-Site: cross-site"], 403),
    ])
    func `pages of other sites change nothing (rows 146, 149)`(
        fields: [String],
        status: Int
    ) async throws {
        try await echo(
            fields,
            change: { $0.allowedOrigins = ["https://app.example.com"] },
            then: { #expect($0.status == status) }
        )
    }

    @Test(arguments: [
        (["Referer: https://auth.example.com/page?x=1"], 200),
        (["Referer: https://app.example.com/"], 200), (["Referer: https://app.example.com"], 200),
        (["Referer: https://evil.example/"], 403), (["Referer: http://auth.example.com/"], 403),
        (["Referer: https://auth.example.com.evil.com/"], 403),
        (["Referer: https://evil.example/https://auth.example.com/"], 403),
        (["Referer: https://auth.example.com@evil.example/"], 403),
        (["Referer: https://evil@auth.example.com/"], 403), (["Referer: null"], 403),
        (["Referer: "], 403), (["Referer: about:blank"], 403),
        (["Referer: https://auth.example.com:8443/"], 403),
        (["Referer: https://auth.example.com/", "Referer: https://evil.example/"], 403),
        // What says more than the Referer goes before it.
        (["Referer: https://evil.example/", "Origin: https://auth.example.com"], 200),
        (["Referer: https://auth.example.com/", "Origin: https://evil.example"], 403),
        (["Referer: https://auth.example.com/", "Sec-Fetch-Site: cross-site"], 403),
        (["Referer: https://evil.example/", "Sec-Fetch-Site: same-origin"], 200),
        // A browser adds a bearer token to nothing by itself.
        (["Referer: https://evil.example/", "Authorization: Bearer good"], 200),
    ])
    func `without an Origin the Referer names the page (row 146)`(
        fields: [String],
        status: Int
    ) async throws {
        for more in [[], ["Cookie: __Host-ww_access=x"]] {
            try await echo(
                fields + more,
                change: { $0.allowedOrigins = ["https://app.example.com"] },
                then: { answer in
                    #expect(answer.status == status)
                    if status == 403 {
                        let isNamed =
                            answer.body.contains("origin-refused")
                            || answer.body.contains("cross-site-request")
                        #expect(isNamed)
                    }
                }
            )
        }
        // What changes nothing may be called from anywhere.
        let fields = fields.filter { !$0.hasPrefix("Auth") } + ["Authorization: Bearer good"]
        try await ask("GET", "/v1/echoes", fields) { answer, _ in #expect(answer.status == 200) }
    }

    @Test(arguments: [
        ("https://app.example.com", true), ("https://app.example.com.evil.com", false),
        ("https://evilapp.example.com", false), ("http://app.example.com", false),
        ("null", false), ("https://APP.example.com", false),
    ])
    func `CORS names an origin only when it is on the list (row 150)`(
        origin: String,
        isAllowed: Bool
    ) async throws {
        let change = { (settings: inout HTTPSettings) in
            settings.allowedOrigins = ["https://app.example.com"]
        }
        let fields = ["Origin: \(origin)", "Authorization: Bearer good"]
        try await ask("GET", "/v1/echoes", fields, change: change) { answer, _ in
            #expect(answer["Access-Control-Allow-Origin"] == (isAllowed ? origin : nil))
            #expect(answer["Vary"] == "Origin")
        }
        let preflight = ["Origin: \(origin)", "Access-Control-Request-Method: POST"]
        try await ask("OPTIONS", "/v1/echo", preflight, change: change) { answer, _ in
            #expect(answer.status == (isAllowed ? 204 : 403))
            #expect(answer["Access-Control-Allow-Origin"] == (isAllowed ? origin : nil))
            // What a page for somebody in an organisation has to send.
            let mayAct = answer["Access-Control-Allow-Headers"]?.contains("X-Org") ?? false
            #expect(mayAct == isAllowed)
        }
    }

    @Test func `CORS is off unless it is configured`() async throws {
        let fields = ["Origin: https://app.example.com", "Access-Control-Request-Method: POST"]
        try await ask("OPTIONS", "/v1/echo", fields) { answer, _ in
            #expect(answer.status == 405)
            #expect(answer["Access-Control-Allow-Origin"] == nil)
        }
    }

    @Test func `method overrides are ignored (row 148)`() async throws {
        let fields = ["X-HTTP-Method-Override: DELETE", "Authorization: Bearer good"]
        try await ask("GET", "/v1/echoes", fields) { answer, _ in #expect(answer.status == 200) }
    }

    @Test func `cookies are set with every attribute written out`() async throws {
        try await echo { answer in
            #expect(
                answer["Set-Cookie"]
                    == "__Host-ww_access=v; Path=/; SameSite=Lax; Secure; HttpOnly"
            )
        }
    }
}

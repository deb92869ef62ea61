// Requests as gateways send them to `/verify`, and as they should not: one seed is one list of
// inputs. An input is what is sent on a connection: one request, or two of them at once.
import ChaosKit

/// Writes inputs.
struct GatewayGrammar {
    /// Texts of tokens, by what they are.
    struct Tokens: Sendable {
        var good: [String]
        var bad: [String]
    }

    private var dice: Dice
    private let tokens: Tokens
    /// Paths of original requests, for listeners that judge them; the samples' own where empty.
    var paths: [String] = []
    /// Values of `X-Org`; never sent where empty.
    var organisations: [String] = []

    init(seed: UInt64, _ tokens: Tokens) {
        dice = Dice(seed: seed)
        self.tokens = tokens
    }

    /// So many inputs.
    mutating func inputs(_ count: Int) -> [String] {
        (0..<count).map { _ in isLikely(5) ? request() + request() : request() }
    }

    private mutating func isLikely(_ one: Int) -> Bool {
        Int.random(in: 0..<one, using: &dice) == 0
    }

    private mutating func any<T>(_ list: [T]) -> T {
        list[Int.random(in: list.indices, using: &dice)]
    }

    // MARK: One request

    private mutating func request() -> String {
        var target = any([
            "/verify", "/verify", "/verify", "/verify/", "/verify/app/x?role=admin",
            "/verify?role=member", "/verify?role=admin", "/verify?permission=no:thing",
            "/verify?scope=openid", "/verify?max_age=0", "/verify?max_age=x", "/verify?x=%zz",
            "/verify?", "/verify??", "/verify?a=b&role=%6dember", "/verifyx", "/Verify",
            "/verify?role=member&role=admin", "//verify", "/v1/nowhere", "/verify/%00/..",
        ])
        var method = any(["GET", "GET", "GET", "HEAD", "POST", "PUT", "OPTIONS", "PROPFIND"])
        let (own, fields) = gateway()
        var lines = paths.isEmpty ? fields : fields.map { located($0) }
        if !paths.isEmpty, isLikely(3) { target = "/verify" + any(paths) }
        if let credential = credential() { lines.append(credential) }
        if isLikely(6) { lines += extra() }
        if !organisations.isEmpty, isLikely(3) { lines.append("X-Org: \(any(organisations))") }
        if isLikely(3) { lines.shuffle(using: &dice) }
        if isLikely(4) { lines = lines.map { spell($0) } }
        if isLikely(12), let twice = lines.randomElement(using: &dice) { lines.append(twice) }
        if let own { method = own }
        guard isLikely(4) else {
            return (["\(method) \(target) HTTP/1.1"] + lines).joined(separator: "\r\n") + "\r\n\r\n"
        }
        return odd(method, target, lines)
    }

    /// What a gateway sends besides the credential; and a method, where it has one of its own.
    private mutating func gateway() -> (method: String?, fields: [String]) {
        let method = any(["GET", "POST", "DELETE"])
        switch Int.random(in: 0..<7, using: &dice) {
        case 0:  // nginx
            return (
                nil,
                [
                    "X-Original-URI: /app/page?x=1", "X-Original-Method: \(method)",
                    "X-Forwarded-For: 192.0.2.9", "Host: app.example.test",
                    "User-Agent: Mozilla/5.0 (X11; Linux)", "Accept: */*",
                ]
            )
        case 1:  // HAProxy
            return (
                nil,
                [
                    "user-agent: HAProxy", "x-original-method: \(method)", "x-original-uri: /app",
                    "x-forwarded-for: 192.0.2.9", "host: 127.0.0.1:8080", "accept-encoding: br",
                ]
            )
        case 2:  // Caddy
            return (
                nil,
                [
                    "Host: app.example.test", "User-Agent: curl/8.5.0", "Accept: */*",
                    "X-Forwarded-For: 192.0.2.9", "X-Forwarded-Host: app.example.test",
                    "X-Forwarded-Method: \(method)", "X-Forwarded-Proto: https",
                    "X-Forwarded-Uri: /app/page", "Accept-Encoding: gzip",
                ]
            )
        case 3:  // Traefik
            return (
                nil,
                [
                    "Host: watchword:8080", "User-Agent: Go-http-client/1.1",
                    "X-Forwarded-For: 192.0.2.9", "X-Forwarded-Host: app.example.test",
                    "X-Forwarded-Method: \(method)", "X-Forwarded-Port: 443",
                    "X-Forwarded-Proto: https", "X-Forwarded-Server: edge",
                    "X-Forwarded-Uri: /app", "X-Real-Ip: 192.0.2.9", "Accept-Encoding: gzip",
                ]
            )
        case 4:  // Envoy
            return (
                "POST",
                [
                    "host: app.example.test", "content-length: 0", "x-envoy-internal: true",
                    "x-forwarded-for: 10.0.0.1", "x-envoy-expected-rq-timeout-ms: 2000",
                    "x-request-id: 7a1d54c4-1c3f-4f8e-9d0d-000000000001",
                    "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                ]
            )
        case 5:  // A client without a gateway.
            return (nil, ["Host: auth.example.test", "Accept: */*"])
        default:
            return (nil, ["Host: a"])
        }
    }

    private mutating func credential() -> String? {
        let good = any(tokens.good)
        switch Int.random(in: 0..<16, using: &dice) {
        case 0..<6: return "Authorization: Bearer \(good)"
        case 6..<9: return "Authorization: Bearer \(any(tokens.bad))"
        case 9: return nil
        case 10: return "authorization: bEARER \(good)"
        case 11: return "Authorization: Bearer \(good)\r\nAuthorization: Bearer \(good)"
        case 12: return "Cookie: a=b; ww_access=\(good)"
        case 13: return "Authorization: Bearer  \(good)"
        case 14: return "Authorization:\t Bearer \(good) \t"
        default:
            return any([
                "Authorization: Basic YTpi", "Authorization: Bearer", "Authorization: ",
                "Authorization: Bearer \(good)\r\nCookie: ww_access=x", "Authorization: \(good)",
                "Authorization: Bearer \(good) x", "Authorization: Bearer\t\(good)", "Cookie: a=b",
            ])
        }
    }

    private mutating func extra() -> [String] {
        [
            any([
                "Connection: keep-alive", "Connection: close", "connection: Close",
                "Connection: keep-alive, x", "Connection: close, x", "Connection: ",
                "X-Original-Method: ", "X-Original-Method: G T", "X-Forwarded-Method: é",
                "X-Original-Method: GET\r\nX-Original-Method: GET", "X-Forwarded-Uri: /",
                "Origin: https://evil.example\r\nSec-Fetch-Site: cross-site",
                "X-Auth-User: forged", "X-Request-Id: from-the-gateway-1", "Content-Length: 0",
                "Content-Length: 00", "Content-Length: 0\r\nContent-Length: 0", "TE: trailers",
                "X-Empty:", "X-Long: " + String(repeating: "y", count: 700), "Accept: é\u{301}",
                "X-Forwarded-For: 1.2.3.4, 5.6.7.8", "Sec-WebSocket-Key: x", "Trailer: a",
            ])
        ]
    }

    /// The same field in other letters and with other space.
    private mutating func spell(_ line: String) -> String {
        guard let colon = line.firstIndex(of: ":") else { return line }
        let name = line[..<colon]
        let value = line[line.index(after: colon)...].drop { $0 == " " }
        let cased = any([name.lowercased(), name.uppercased(), String(name)])
        return cased + ":" + any(["", " ", "  ", "\t"]) + value + any(["", " ", "\t"])
    }

    /// The field with another path, where it tells of one.
    private mutating func located(_ field: String) -> String {
        let name = field.prefix { $0 != ":" }
        guard name.lowercased().hasSuffix("-uri") else { return field }
        return "\(name): \(any(paths))"
    }

    // MARK: What is wrong

    private mutating func odd(_ method: String, _ target: String, _ lines: [String]) -> String {
        var line = "\(method) \(target) HTTP/1.1"
        var lines = lines
        var body = ""
        switch Int.random(in: 0..<24, using: &dice) {
        case 0: line = "\(method) \(target) HTTP/1.0"
        case 1:
            line = "\(method) \(target) HTTP/1.0"
            lines.append("Connection: keep-alive")
        case 2: line = "\(method) http://a\(target) HTTP/1.1"
        case 3: line = "\(method) * HTTP/1.1"
        case 4: line = "TRACE \(target) HTTP/1.1"
        case 5: line = "\(method.lowercased()) \(target) HTTP/1.1"
        case 6: line = "\(method)  \(target) HTTP/1.1"
        case 7: line = "\(method) \(target) HTTP/1.1 "
        case 8: line = "\r\n" + line
        case 9: lines.append("X : a")
        case 10: lines.append(" folded")
        case 11: lines.append("X: a\nY: b")
        case 12: lines.append("X: a\rb")
        case 13: lines.append("X: a\0b")
        case 14: lines.removeAll { $0.lowercased().hasPrefix("host") }
        case 15: lines.append("Host: b")
        case 16: lines += ["Transfer-Encoding: chunked", "Content-Length: 4"]
        case 17:
            lines.append("Transfer-Encoding: chunked")
            body = "4\r\nabcd\r\n0\r\n\r\n"
        case 18:
            lines.removeAll { $0.lowercased().hasPrefix("content-length") }
            lines.append("Content-Length: 4")
            body = "abcd"
        case 19: lines.append("Expect: 100-continue")
        case 20: lines += ["Upgrade: websocket", "Connection: upgrade"]
        case 21: lines.append("X: " + String(repeating: "z", count: 17_000))
        case 22: line = "\(method) /verify?\(String(repeating: "q", count: 9_000)) HTTP/1.1"
        default: lines += (0..<120).map { "X-\($0): a" }
        }
        return ([line] + lines).joined(separator: "\r\n") + "\r\n\r\n" + body
    }
}

// `/verify` as gateways call it (checklist O; architecture.md section 11).
import Primitives
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct VerifyTests {
    static let identity = [
        "X-Auth-User", "X-Auth-Session", "X-Auth-Roles", "X-Auth-Scopes", "X-Auth-Client",
        "X-Auth-Org",
    ]

    @Test
    func `any method, suffix and query is answered, with all six identity headers (row 234, W1)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        let tokens = try await cluster.signIn(person)
        let forged = Self.identity.map { ($0, "forged") }
        for method in [
            "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "PURGE",
            "REPORT",
        ] {
            for target in [
                "/verify", "/verify/", "/verify/app/x", "/verify?a=b&a=c", "/verify/a/../b?x=%zz",
                "/verify//", "/verify/%2e%2e/x;y?permission=no:thing",
            ] {
                let answer = try await cluster.node.send(method, target, tokens.bearer + forged)
                #expect(answer.status == 200, "\(method) \(target)")
                #expect(answer.body.isEmpty)
                for name in Self.identity { #expect(answer.values(name).count == 1, "\(name)") }
                // What other services ask of a token: whose it is (S0-13).
                #expect(answer["X-Auth-User"] == person.id)
                #expect(answer["X-Auth-Session"] == tokens.session)
                #expect(answer["X-Auth-Roles"] == "member")
                #expect(answer["X-Auth-Scopes"] == "")
                #expect(answer["X-Auth-Client"] == "watchword")
                #expect(answer["X-Auth-Org"] == "")
                #expect(answer["Watchword-Mode"] == "linear")
                #expect(answer["Watchword-Age"].flatMap { Int($0) } != nil)
                #expect(answer["Cache-Control"] == "no-store")
                #expect(answer.values("Set-Cookie").isEmpty)
                let refused = try await cluster.node.send(method, target, forged)
                #expect(refused.status == 401)
                #expect(refused["WWW-Authenticate"] == "Bearer realm=\"watchword\"")
                for name in Self.identity { #expect(refused[name] == nil) }
            }
        }
        for target in ["/verifyx", "/Verify", "/v1/verify"] {
            #expect(try await cluster.node.send("GET", target, tokens.bearer).status == 404)
        }
    }

    @Test
    func `tokens are read from one place, never from the query (rows 95, 133, 137, 139, S0-15)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let tokens = try await cluster.signIn(cluster.person())
        let parts = tokens.access.split(separator: ".").map(String.init)
        #expect(
            try await cluster.node.send("GET", "/verify?access_token=\(tokens.access)").code
                == "token-missing"
        )
        let last = tokens.access.dropLast(2)
        for (bad, code) in [
            ("Bearer \(tokens.refresh)", "token-malformed"), ("Bearer a.b.c", "token-malformed"),
            ("Bearer \(tokens.access).x", "token-malformed"), ("Basic QTpC", "token-malformed"),
            ("Bearer ", "token-malformed"),
            ("Bearer \(last)AA", "token-invalid"),
            ("Bearer \(parts[0]).\(parts[1])A.\(parts[2])", nil),
            ("Bearer \(String(repeating: "a", count: 9000))", "token-malformed"),
            ("Bearer eyJhbGciOiJub25lIn0.\(parts[1]).\(parts[2])", "token-invalid"),
            ("Bearer eyJhbGciOiJub25lIn0.\(parts[1]).", "token-malformed"),
        ] as [(String, String?)] {
            let answer = try await cluster.node.send("GET", "/verify", [("Authorization", bad)])
            #expect(answer.status == 401, "\(bad)")
            if let code { #expect(answer.code == code, "\(bad)") }
            #expect(
                answer["WWW-Authenticate"] == "Bearer realm=\"watchword\", error=\"invalid_token\""
            )
        }
    }

    @Test
    func `without a credential a browser is refused like anybody, never sent away (rows 240, 242)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let evil = "https://evil.example"
        let noise = [
            ("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"),
            ("X-Forwarded-Uri", "\(evil)/?rd=\(evil)"), ("X-Forwarded-Host", "evil.example"),
            ("X-Forwarded-Proto", "https"), ("X-Original-Method", "GET"),
            ("X-Original-URI", "/app?rd=\(evil)"), ("X-Auth-Request-Redirect", evil),
            ("Referer", evil), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document"),
        ]
        for node in cluster.nodes {
            for target in [
                "/verify?rd=\(evil)", "/verify?rd=//evil.example&redirect_uri=\(evil)",
                "/verify/app?rd=\(evil)", "/verify",
            ] {
                let answer = try await node.client.send("GET", target, noise)
                #expect(answer.status == 401 && answer.code == "token-missing", "\(target)")
                #expect(answer["WWW-Authenticate"] == "Bearer realm=\"watchword\"")
                #expect(answer["Content-Type"] == "application/problem+json; charset=utf-8")
                for name in ["Location", "Refresh", "Link"] {
                    #expect(answer[name] == nil, "\(target) \(name)")
                }
                #expect(answer.values("Set-Cookie").isEmpty)
                #expect(!answer.body.contains("evil.example"), "\(target)")
                #expect(!answer.body.lowercased().contains("<html"), "\(target)")
            }
        }
    }

    @Test
    func `who says that he only looks after health needs a credential too (row 238)`() async throws
    {
        let cluster = try await Cluster.shared()
        let tokens = try await cluster.signIn(cluster.person())
        for probe in [
            ("X-Health-Check", "1"), ("User-Agent", "ELB-HealthChecker/2.0"),
            ("User-Agent", "kube-probe/1.30"), ("User-Agent", "GoogleHC/1.0"),
        ] {
            for node in cluster.nodes {
                for target in ["/verify", "/verify/healthz", "/v1/me"] {
                    let answer = try await node.client.send("GET", target, [probe])
                    #expect(answer.status == 401, "\(probe) \(target)")
                    #expect(answer.code == "token-missing", "\(probe) \(target)")
                }
                // Nor does it close anything.
                let good = try await node.client.send("GET", "/verify", tokens.bearer + [probe])
                #expect(good.status == 200, "\(probe)")
            }
            let behind = try await cluster.gateway.send("GET", "/app/page", [probe])
            #expect(behind.status == 401, "\(probe) \(cluster.complaints)")
        }
    }

    @Test
    func `requirements in the query only tighten, and only on /verify itself (S1-18, S4-16)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        let role = "role-\(person.id.suffix(12))"
        try await cluster.grant(role, ["orders:read", "bills:*"], to: person)
        let tokens = try await cluster.signIn(person)
        for (query, status) in [
            ("permission=orders:read", 200), ("permission=orders:write", 403),
            // A role may hold a wildcard; a requirement is the name of one permission.
            ("permission=bills:pay", 200), ("permission=bills:pay&permission=orders:write", 403),
            ("permission=bills:*", 403), ("permission=bills:%2a", 403), ("permission=*", 403),
            ("permission=payments:read", 403), ("role=\(role)", 200), ("role=admin", 403),
            ("role=member&role=\(role)", 200), ("role=\(role)&role=admin", 403),
            ("permission=orders:read&permission=payments:read", 403), ("scope=openid", 403),
            ("permission=", 403), ("role=", 403), ("permission", 403),
            ("permission=orders:read&x=y", 200), ("PERMISSION=no:no", 200),
            ("permission=%zz", 403), ("x=%", 403), ("permission=%00", 403), ("a=%ff", 403),
            ("", 200), ("role=%6dember", 200),
            ((0..<21).map { _ in "role=member" }.joined(separator: "&"), 403),
        ] {
            let answer = try await cluster.node.send("GET", "/verify?\(query)", tokens.bearer)
            #expect(answer.status == status, "\(query)")
            if status == 403 { #expect(answer.code == "permission-denied", "\(query)") }
            let behind = try await cluster.node.send("GET", "/verify/x?\(query)", tokens.bearer)
            #expect(behind.status == 200, "\(query)")
            // Without a credential a requirement never helps (S2-7).
            #expect(try await cluster.node.send("GET", "/verify?\(query)").status == 401)
        }
        let names = try await cluster.node.send("GET", "/verify", tokens.bearer)["X-Auth-Roles"]
        #expect(Set((names ?? "").split(separator: ",").map(String.init)) == ["member", role])
    }

    @Test
    func `the original method is believed from one family, once (row 236)`() async throws {
        let cluster = try await Cluster.shared()
        let browser = try await cluster.browse(cluster.person())
        for (fields, status) in [
            ([("X-Original-Method", "GET")], 200), ([("X-Original-Method", "HEAD")], 200),
            ([("X-Original-Method", "DELETE")], 403), ([], 403),
            ([("X-Original-Method", "")], 403), ([("X-Original-Method", "G E T")], 403),
            ([("X-Original-Method", "get")], 403), ([("X-Original-Method", "GET, POST")], 403),
            ([("X-Original-Method", "GET"), ("X-Original-Method", "GET")], 403),
            ([("X-Original-Method", "GET"), ("X-Original-Method", "POST")], 403),
            ([("X-Forwarded-Method", "GET")], 403), ([("X-HTTP-Method-Override", "GET")], 403),
            ([("X-Forwarded-Method", "POST"), ("X-Original-Method", "GET")], 200),
            ([("X-Forwarded-Method", "GET"), ("X-Original-Method", "POST")], 403),
        ] {
            for method in ["GET", "POST"] {
                let answer = try await cluster.node.send(
                    method,
                    "/verify",
                    [browser.cookieField] + fields
                )
                #expect(answer.status == status, "\(method) \(fields)")
            }
        }
    }

    @Test
    func `a WebSocket with a cookie needs an origin of ours (row 164)`() async throws {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        let browser = try await cluster.browse(person)
        let socket = [("X-Original-Method", "GET"), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZQ==")]
        for (origins, status) in [
            ([], 403), ([("Origin", "https://evil.example")], 403), ([("Origin", "null")], 403),
            ([("Origin", "https://auth.example.test")], 200),
            ([("Origin", "https://auth.example.test"), ("Origin", "https://evil.example")], 403),
        ] {
            let answer = try await cluster.node.send(
                "GET",
                "/verify",
                [browser.cookieField] + socket + origins
            )
            #expect(answer.status == status, "\(origins)")
        }
        let tokens = try await cluster.signIn(person)
        let program = try await cluster.node.send("GET", "/verify", tokens.bearer + socket)
        #expect(program.status == 200)
    }

    @Test
    func `five hundred random questions get 200, 401, 403 or 503 and nothing else (row 233, W10)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        let tokens = try await cluster.signIn(person)
        let browser = try await cluster.browse(person)
        var random = SplitMix(state: 0x5EED)
        var seen: [Int: Int] = [:]
        for round in 0..<500 {
            let question = random.question(tokens, browser)
            let answer = try await cluster.nodes[round % 3].client.send(
                question.method,
                question.target,
                question.fields
            )
            seen[answer.status, default: 0] += 1
            #expect([200, 401, 403, 503].contains(answer.status), "\(question) \(answer.body)")
            if answer.status == 200 {
                #expect(question.mayPass, "\(question)")
                #expect(answer["X-Auth-User"] == person.id)
            }
        }
        // The generator reaches all three verdicts.
        #expect(seen.keys.count >= 3, "\(seen)")
    }
}

/// A question of the fuzzer.
private struct Question: CustomStringConvertible {
    var method: String
    var target: String
    var fields: [(String, String)] = []
    /// Whether it holds a good credential at all.
    var mayPass: Bool

    var description: String { "\(method) \(target) \(fields)" }
}

/// A small generator with a seed, so that a failure can be had again.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    private mutating func pick<Item>(_ items: [Item]) -> Item {
        items[Int.random(in: items.indices, using: &self)]
    }

    private mutating func noise(_ alphabet: String) -> String {
        let letters = Array(alphabet)
        return String((0..<Int.random(in: 0...40, using: &self)).map { _ in pick(letters) })
    }

    mutating func question(_ tokens: Tokens, _ browser: Browser) -> Question {
        let marks = "abcXYZ019-._~!$&'()*+,;=:@%/?"
        let text = marks + " \t\"\\<>[]{}|^`é"
        var question = Question(
            method: pick(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "MKCOL"]),
            target: "/verify" + pick(["", "/", "?", "/x?", "?permission=", "?role=", "?scope="]),
            mayPass: false
        )
        if question.target.count > 7 { question.target += noise(marks) }
        switch Int.random(in: 0...9, using: &self) {
        case 0, 1:
            question.fields = tokens.bearer
            question.mayPass = true
        case 2:
            question.fields = browser.fields
            question.mayPass = true
        case 3:
            var bytes = Array(tokens.access)
            bytes[Int.random(in: bytes.indices, using: &self)] = pick(Array(marks))
            // One time in many the letter is the one that was there.
            question.mayPass = String(bytes) == tokens.access
            question.fields = [("Authorization", "Bearer \(String(bytes))")]
        case 4: question.fields = [("Authorization", noise(text))]
        case 5: question.fields = [("Authorization", "Bearer \(noise(text))")]
        case 6: question.fields = [("Cookie", "__Host-ww_access=\(noise(text))")]
        case 7: question.fields = [("Cookie", noise(text)), ("Cookie", noise(text))]
        default: break
        }
        for name in [
            "X-Original-Method", "X-Original-URI", "X-Forwarded-Method", "X-Forwarded-Uri",
            "X-Forwarded-For", "X-CSRF-Token", "Origin", "Sec-WebSocket-Key", "X-Auth-User",
            "User-Agent", "Forwarded", "X-Real-IP",
        ] where Int.random(in: 0...4, using: &self) == 0 {
            question.fields.append((name, noise(text)))
        }
        return question
    }
}

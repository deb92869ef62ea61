// The browser's transport: names and attributes of cookies, the CSRF value, what is cleared when
// (architecture.md section 11; checklist G and J).
import Primitives
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct CookieTests {
    private static let access = "__Host-ww_access"
    private static let refresh = "__Secure-ww_refresh"
    private static let csrf = "__Host-ww_csrf"

    private func expectCleared(_ answer: HTTPAnswer, _ sourceLocation: SourceLocation) {
        for name in [Self.access, Self.refresh, Self.csrf] {
            let line = answer.cookieLine(name) ?? "\(name) is not there"
            #expect(line.hasPrefix("\(name)=;"), sourceLocation: sourceLocation)
            #expect(line.contains("Max-Age=0"), sourceLocation: sourceLocation)
        }
    }

    @Test
    func
        `a browser gets three cookies and no token in the body (row 99, S2-2, S2-10, S3-T9, S4-4)`()
        async throws
    {
        // The refresh token's place is an HttpOnly cookie (S3-9).
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        let answer = try await cluster.login(person.email, person.password, transport: "cookie")
        #expect(answer.json.names == ["csrf_token", "expires_in", "session_id"])
        #expect(Set(answer.cookies.keys) == [Self.access, Self.refresh, Self.csrf])
        for (name, attributes) in [
            (Self.access, ["Path=/", "SameSite=Lax", "Secure", "HttpOnly"]),
            (
                Self.refresh,
                ["Path=/v1/auth", "SameSite=Strict", "Secure", "HttpOnly"]
            ), (Self.csrf, ["Path=/", "SameSite=Lax", "Secure"]),
        ] {
            let line = try #require(answer.cookieLine(name))
            let parts = line.split(separator: ";").dropFirst().map { $0.drop { $0 == " " } }
            let fixed = parts.filter { !$0.hasPrefix("Max-Age=") }.map(String.init)
            #expect(Set(fixed) == Set(attributes))
            #expect(fixed.count == parts.count - 1)
            let age = parts.first { $0.hasPrefix("Max-Age=") }.flatMap { Int($0.dropFirst(8)) }
            let lifetime = name == Self.access ? 900 : 14 * 86_400
            #expect((lifetime - 60...lifetime).contains(age ?? 0))
            #expect(line.utf8.count <= 4096)
        }
        #expect(answer.text("csrf_token") == answer.cookies[Self.csrf])
        for secret in [Self.access, Self.refresh] {
            #expect(!answer.body.contains(try #require(answer.cookies[secret])))
        }
        #expect(answer["Strict-Transport-Security"] != nil)
    }

    @Test func `a cookie that opens nothing any more is taken away at the gateway (row 244)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        let browser = try Browser(
            await cluster.login(person.email, person.password, transport: "cookie")
        )
        let fields = [
            browser.cookieField, ("X-Original-Method", "GET"), ("X-Original-URI", "/a"),
        ]
        let good = try await cluster.node.send("GET", "/verify", fields)
        #expect(good.status == 200 && good["Set-Cookie"] == nil)
        let desk = try await AdminDesk(cluster)
        #expect(try await desk.send("POST", "/\(person.id)/disable").status == 204)
        for node in cluster.nodes {
            let answer = try await node.client.send("GET", "/verify", fields)
            #expect(answer.status == 401 && answer.code == "token-revoked")
            let cookies = answer.values("Set-Cookie")
            // One at most, for gateways that copy one field alone.
            #expect(cookies.count == 1)
            let cookie = cookies.first ?? ""
            #expect(cookie.hasPrefix("\(Self.access)=;") && cookie.contains("Max-Age=0"))
        }
    }

    @Test func `in development over plain HTTP the prefixes are dropped`() async throws {
        var plan = Cluster.Plan()
        plan.nodes = 1
        plan.publicURL = "http://localhost"
        plan.variables["WATCHWORD_MODE"] = "development"
        let cluster = try await Cluster.start(plan)
        let browser = try await cluster.browse(cluster.person())
        #expect(Set(browser.cookies.keys) == ["ww_access", "ww_refresh", "ww_csrf"])
        let me = try await cluster.node.send("GET", "/v1/me", [browser.cookieField])
        #expect(me.status == 200)
        let out = try await cluster.node.send("POST", "/v1/auth/logout", browser.fields)
        #expect(out.status == 204)
        #expect(out.cookies == ["ww_access": "", "ww_refresh": "", "ww_csrf": ""])
        let isSecure = out.values("Set-Cookie").contains { $0.contains("Secure") }
        #expect(!isSecure)
        #expect(out["Strict-Transport-Security"] == nil)
        // A cookie that only HTTPS may set is nobody's over HTTP.
        let token = try await cluster.signIn(cluster.person()).access
        let prefixed = try await cluster.node.send(
            "GET",
            "/v1/me",
            [("Cookie", "__Host-ww_access=\(token)")]
        )
        #expect(prefixed.code == "token-missing")
        try await cluster.expectNoSecrets()
    }

    @Test
    func `a cookie alone changes nothing: the session's CSRF value must come too (rows 145, 149)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        let mine = try await cluster.browse(person)
        let other = try await cluster.browse(person)
        let wrong: [[(String, String)]] = [
            [], [("X-CSRF-Token", "")], [("X-CSRF-Token", other.csrf)],
            [("X-CSRF-Token", mine.csrf + "A")], [("x-csrf-token", "null")],
            [("X-CSRF-Token", mine.csrf), ("X-CSRF-Token", mine.csrf)],
        ]
        for extra in wrong {
            for (method, target, body) in [
                ("POST", "/v1/auth/logout", nil), ("POST", "/v1/auth/logout-all", nil),
                ("DELETE", "/v1/me/sessions?except=current", nil),
                ("DELETE", "/v1/me/sessions/\(mine.session)", nil),
                ("POST", "/v1/auth/refresh", nil),
                (
                    "POST", "/v1/me/password",
                    "{\"current_password\":\"\(person.password)\","
                        + "\"new_password\":\"csrf csrf csrf csrf\"}"
                ),
            ] as [(String, String, String?)] {
                let answer = try await cluster.node.send(
                    method,
                    target,
                    [mine.cookieField] + extra,
                    json: body
                )
                #expect(answer.status == 403, "\(method) \(target) \(extra)")
                #expect(answer.code == "csrf-failed")
            }
            let verdict = try await cluster.node.send(
                "GET",
                "/verify",
                [mine.cookieField, ("X-Original-Method", "POST")] + extra
            )
            #expect(verdict.status == 403)
        }
        // A denied request has done nothing: not ended, not changed, not exchanged (S3-T3).
        try await cluster.expectEverywhere(200, [mine.cookieField])
        let good = try await cluster.node.send(
            "GET",
            "/verify",
            mine.fields + [("X-Original-Method", "POST")]
        )
        #expect(good.status == 200)
        #expect(try await cluster.login(person.email, person.password).status == 200)
    }

    @Test
    func `two cookies of a name are refused, and a bearer counts alone (rows 100, 138, 254)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let mine = try await cluster.browse(cluster.person())
        let other = try await cluster.person()
        let tokens = try await cluster.signIn(other)
        let token = try #require(mine.cookies[Self.access])
        for twice in [
            [("Cookie", "\(Self.access)=\(token); \(Self.access)=\(token)")],
            [("Cookie", "\(Self.access)=\(token)"), ("Cookie", "\(Self.access)=x")],
        ] {
            let answer = try await cluster.node.send("GET", "/v1/me", twice)
            #expect(answer.status == 401)
            #expect(answer.code == "token-malformed")
            try await cluster.expectEverywhere(401, twice)
        }
        let both = try await cluster.node.send(
            "GET",
            "/v1/me",
            [mine.cookieField] + tokens.bearer
        )
        #expect(both.text("id") == other.id)
        // A bad bearer does not fall back to a good cookie.
        for bad in ["Bearer x", "Bearer", "Basic eDp5", "Bearer a b"] {
            let answer = try await cluster.node.send(
                "GET",
                "/v1/me",
                [mine.cookieField, ("Authorization", bad)]
            )
            #expect(answer.status == 401, "\(bad)")
        }
        let twice = try await cluster.node.send("GET", "/v1/me", tokens.bearer + tokens.bearer)
        #expect(twice.status == 401)
        // A bearer needs no CSRF value even where a cookie is sent along.
        let out = try await cluster.node.send(
            "POST",
            "/v1/auth/logout",
            [mine.cookieField] + tokens.bearer
        )
        #expect(out.status == 204)
        try await cluster.expectEverywhere(200, [mine.cookieField])
        try await cluster.expectEverywhere(401, tokens.bearer)
    }

    @Test
    func
        `the refresh cookie is exchanged with its CSRF value, and cleared when refused (row 124)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        let first = try await cluster.browse(person)
        let answer = try await cluster.node.send("POST", "/v1/auth/refresh", first.fields)
        #expect(answer.json.names == ["csrf_token", "expires_in", "session_id"])
        let second = try Browser(answer)
        #expect(second.session == first.session)
        // Both cookies are replaced; the body has neither (S3-10, S4-8).
        #expect(second.cookies[Self.refresh] != first.cookies[Self.refresh])
        #expect(second.cookies[Self.access] != first.cookies[Self.access])
        for secret in [Self.access, Self.refresh] {
            #expect(!answer.body.contains(try #require(second.cookies[secret])))
        }
        try await cluster.expectEverywhere(200, [second.cookieField])
        let third = try Browser(
            await cluster.node.send("POST", "/v1/auth/refresh", second.fields)
        )
        let reused = try await cluster.node.send("POST", "/v1/auth/refresh", first.fields)
        #expect(reused.status == 401)
        #expect(reused.code == "refresh-token-reused")
        expectCleared(reused, #_sourceLocation)
        try await cluster.expectEverywhere(401, [third.cookieField])
        let ended = try await cluster.node.send("POST", "/v1/auth/refresh", third.fields)
        #expect(ended.status == 401)
        expectCleared(ended, #_sourceLocation)
        let forged = try await cluster.node.send(
            "POST",
            "/v1/auth/refresh",
            [("Cookie", "\(Self.refresh)=wwr_AAAA"), ("X-CSRF-Token", third.csrf)]
        )
        #expect(forged.code == "refresh-token-invalid")
        expectCleared(forged, #_sourceLocation)
        let none = try await cluster.node.send("POST", "/v1/auth/refresh")
        #expect(none.code == "token-missing")
    }

    @Test
    func
        `a logout clears every cookie and what the browser cached (rows 97, 103, S2-3, S4-9)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        for target in ["/v1/auth/logout", "/v1/auth/logout-all"] {
            let browser = try await cluster.browse(person)
            // What a check says of a cookie, before and after (S4-7).
            try await cluster.expectEverywhere(200, [browser.cookieField])
            let answer = try await cluster.gateway.send("POST", target, browser.fields)
            #expect(answer.status == 204)
            #expect(answer["Clear-Site-Data"] == "\"cache\"")
            expectCleared(answer, #_sourceLocation)
            try await cluster.expectEverywhere(401, [browser.cookieField])
            let refreshed = try await cluster.node.send("POST", "/v1/auth/refresh", browser.fields)
            #expect(refreshed.code == "refresh-token-revoked")
        }
        let mine = try await cluster.browse(person)
        let own = "/v1/me/sessions/\(mine.session)"
        let answer = try await cluster.node.send("DELETE", own, mine.fields)
        #expect(answer.status == 204)
        expectCleared(answer, #_sourceLocation)
    }

    @Test
    func `a page of another site signs nobody in and out (rows 111, 146, 149, 150)`() async throws {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        let browser = try await cluster.browse(person)
        for (fields, code) in [
            ([("Origin", "https://evil.example")], "origin-refused"),
            ([("Origin", "null")], "origin-refused"),
            ([("Origin", "https://auth.example.test.evil.example")], "origin-refused"),
            ([("Origin", "http://auth.example.test")], "origin-refused"),
            ([("Sec-Fetch-Site", "cross-site")], "cross-site-request"),
        ] {
            let login = try await cluster.login(
                person.email,
                person.password,
                transport: "cookie",
                fields
            )
            #expect(login.status == 403, "\(fields)")
            #expect(login.code == code)
            #expect(login.values("Set-Cookie").isEmpty)
            #expect(login["Access-Control-Allow-Origin"] == nil)
            let out = try await cluster.node.send(
                "POST",
                "/v1/auth/logout",
                browser.fields + fields
            )
            #expect(out.status == 403)
        }
        try await cluster.expectEverywhere(200, [browser.cookieField])
        let own = try await cluster.login(
            person.email,
            person.password,
            transport: "cookie",
            [("Origin", "https://auth.example.test"), ("Sec-Fetch-Site", "same-origin")]
        )
        #expect(own.status == 200)
    }

    @Test
    func `reading changes nothing, whatever headers say (rows 44, 148, 255)`() async throws {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        let browser = try await cluster.browse(person)
        let overrides = [("X-HTTP-Method-Override", "POST"), ("X-Method-Override", "DELETE")]
        for target in [
            "/v1/auth/logout", "/v1/auth/logout-all", "/v1/auth/login?login=a&password=b",
            "/v1/auth/register", "/v1/auth/refresh", "/v1/me/password",
            "/v1/me/sessions/\(browser.session)?_method=DELETE",
        ] {
            let answer = try await cluster.node.send("GET", target, browser.fields + overrides)
            #expect(answer.status == 405, "\(target)")
            #expect(answer["Allow"]?.isEmpty == false)
            #expect(answer["Cache-Control"] == "no-store")
        }
        try await cluster.expectEverywhere(200, [browser.cookieField])
    }
}

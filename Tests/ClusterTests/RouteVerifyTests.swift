// Requests judged by route rules, over HTTP and behind nginx: every source of the original request,
// what is ambiguous, what is public, and that a change is in force on every node when it is
// acknowledged. Without rules in the query; where there are both, both must hold.
import Primitives
import TestKit
import Testing

@testable import Web

@Suite struct RouteVerifyTests {
    /// A node's source of the original request.
    enum Source: String, CaseIterable, Sendable {
        case original = "x-original"
        case forwarded = "x-forwarded"
        case requestLine = "request-line"
    }

    /// Three nodes, one for each source, that judge by rules.
    private static func plan() -> Cluster.Plan {
        var plan = Cluster.Plan()
        plan.nodes = Source.allCases.count
        plan.variables["WATCHWORD_VERIFY_ROUTE_RULES"] = "on"
        plan.perNode = Source.allCases.map {
            ["WATCHWORD_VERIFY_ORIGINAL_REQUEST": $0.rawValue]
        }
        return plan
    }

    private static func rule(_ path: String, _ more: String = "", methods: String = "*") -> String {
        let access = more.contains("\"access\"") ? "" : ",\"access\":\"authenticated\""
        return "{\"methods\":[\"\(methods)\"],\"path\":\"\(path)\"\(access)\(more)}"
    }
    private static let open = ",\"access\":\"public\""

    /// Puts rules in force, on one node.
    private static func put(
        _ rules: [String],
        _ cluster: Cluster,
        _ root: [(String, String)],
        on index: Int = 0
    ) async throws {
        let answer = try await cluster.nodes[index].client.send(
            "PUT",
            RouteRuleAPITests.path,
            root + [("If-Match", "*")],
            json: "{\"rules\":[\(rules.joined(separator: ","))]}"
        )
        #expect(answer.status == 200, "\(answer.body)")
    }

    /// Asks a node as its gateway would.
    private static func ask(
        _ cluster: Cluster,
        _ source: Source,
        _ target: String,
        _ method: String = "GET",
        _ fields: [(String, String)] = [],
        query: String = ""
    ) async throws -> HTTPAnswer {
        let index = Source.allCases.firstIndex(of: source) ?? 0
        let client = cluster.nodes[index].client
        switch source {
        case .original:
            return try await client.send(
                "GET",
                "/verify\(query)",
                fields + [("X-Original-Method", method), ("X-Original-URI", target)]
            )
        case .forwarded:
            return try await client.send(
                "GET",
                "/verify\(query)",
                fields + [
                    ("X-Forwarded-Method", method), ("X-Forwarded-Uri", target),
                    ("X-Forwarded-Host", "Auth.example.test:443"),
                ]
            )
        case .requestLine: return try await client.send(method, "/verify\(target)", fields)
        }
    }

    @Test
    func `rules decide for each source: public, signed in, with a role, on a host, or not at all`()
        async throws
    {
        try await Cluster.run(Self.plan()) { cluster in
            let root = try await cluster.signIn(cluster.administrator).bearer
            let member = try await cluster.signIn(cluster.person()).bearer
            let worker = try await cluster.person()
            try await cluster.grant("staff", ["orders:read"], to: worker)
            let staff = try await cluster.signIn(worker).bearer
            let browser = try await cluster.browse(worker)
            try await Self.put(
                [
                    Self.rule("/public/**", Self.open),
                    Self.rule("/only", Self.open, methods: "GET"),
                    Self.rule("/staff/**", ",\"roles\":[\"staff\"]"),
                    Self.rule("/orders/{id}", ",\"permissions\":[\"orders:read\"]"),
                    Self.rule(
                        "/resource/{id}",
                        ",\"permissions\":[\"orders:read\"],\"resource\":\"order:{id}\""
                    ),
                    Self.rule("/scoped", ",\"scopes\":[\"openid\"]"),
                    Self.rule("/here", ",\"host\":\"auth.example.test\""),
                    Self.rule("/there", ",\"host\":\"other.example.test\""), Self.rule("/app/*"),
                ],
                cluster,
                root
            )
            let cases: [(target: String, nobody: Int, member: Int, staff: Int)] = [
                ("/public", 200, 200, 200), ("/public/a/b?x=../y", 200, 200, 200),
                ("/only", 200, 200, 200), ("/staff", 401, 403, 200), ("/staff/x", 401, 403, 200),
                ("/orders/7", 401, 403, 200), ("/orders/7/x", 403, 403, 403),
                ("/resource/7", 401, 403, 200), ("/resource/%20", 401, 403, 403),
                ("/scoped", 401, 403, 403), ("/here", 401, 200, 200), ("/there", 403, 403, 403),
                ("/app/x", 401, 200, 200), ("/app", 403, 403, 403), ("/app/", 403, 403, 403),
                ("/PUBLIC", 403, 403, 403), ("/", 403, 403, 403), ("/%70ublic", 200, 200, 200),
            ]
            for source in Source.allCases {
                for (target, nobody, asMember, asStaff) in cases {
                    for (fields, status) in [([], nobody), (member, asMember), (staff, asStaff)] {
                        let answer = try await Self.ask(cluster, source, target, "GET", fields)
                        #expect(answer.status == status, "\(source) \(target) \(answer.body)")
                        guard status == 200 else { continue }
                        for name in VerifyTests.identity { #expect(answer.values(name).count == 1) }
                        let isPublic = nobody == 200
                        #expect((answer["X-Auth-User"] == "") == isPublic, "\(source) \(target)")
                    }
                }
                for method in ["HEAD", "POST"] {
                    let answer = try await Self.ask(cluster, source, "/only", method, member)
                    #expect(answer.status == 403, "\(source) \(method)")
                }
                // A stale or odd credential closes no public page; a browser still needs its CSRF.
                for odd in [[("Authorization", "Bearer x")], [("Cookie", "__Host-ww_access=x")]] {
                    #expect(
                        try await Self.ask(cluster, source, "/public/x", "GET", odd).status == 200
                    )
                    #expect(try await Self.ask(cluster, source, "/app/x", "GET", odd).status == 401)
                }
                let bare = try await Self.ask(
                    cluster,
                    source,
                    "/staff/x",
                    "POST",
                    [browser.cookieField]
                )
                #expect(bare.code == "csrf-failed")
                let meant = try await Self.ask(cluster, source, "/staff/x", "POST", browser.fields)
                #expect(meant.status == 200)
                // No other header opens anything (row 238).
                let probe = [("User-Agent", "kube-probe/1"), ("X-Original-URL", "/public")]
                #expect(try await Self.ask(cluster, source, "/app/x", "GET", probe).status == 401)
            }
            for (query, target, status) in [
                ("?role=staff", "/app/x", 403), ("?role=member", "/app/x", 200),
                ("?role=staff", "/public/x", 403), ("?role=member", "/public/x", 200),
                ("?role=member", "/nowhere", 403), ("?max_age=0", "/public/x", 200),
            ] {
                let answer = try await Self.ask(
                    cluster,
                    .original,
                    target,
                    "GET",
                    member,
                    query: query
                )
                #expect(answer.status == status, "\(query) \(target)")
            }
            let nobody = try await Self.ask(cluster, .original, "/public/x", query: "?role=member")
            #expect(nobody.status == 401)
        }
    }

    @Test
    func `what is absent, said twice or ambiguous is refused whatever the rules (rows 236, 237)`()
        async throws
    {
        var plan = Self.plan()
        plan.nodes = 4
        plan.perNode.append([
            "WATCHWORD_VERIFY_ORIGINAL_REQUEST": "x-original",
            "WATCHWORD_HTTP_TRUSTED_PROXIES": "192.0.2.1",
        ])
        try await Cluster.run(plan) { cluster in
            let root = try await cluster.signIn(cluster.administrator).bearer
            try await Self.put([Self.rule("/**", Self.open)], cluster, root)
            let refused = "original-request-refused"
            for source in Source.allCases {
                #expect(try await Self.ask(cluster, source, "/a").status == 200, "\(source)")
                for target in [
                    "//", "/a//b", "/a/../b", "/a/./b", "/a/%2e%2e/b", "/a/.%2E", "/a;x/b",
                    "/a%2fb",
                    "/a%5cb", "/a%25b", "/a%00", "/a%ff", "/a%c0%ae", "/a%zz", "/a\\b",
                ] {
                    let answer = try await Self.ask(cluster, source, target, "GET", root)
                    #expect(answer.code == refused, "\(source) \(target) \(answer.status)")
                }
            }
            for target in ["a", "*", "http://x/a", "", "/a#b", "/a b", "/é"] {
                let answer = try await Self.ask(cluster, .original, target, "GET", root)
                #expect(answer.code == refused, "\(target)")
            }
            let method = ("X-Original-Method", "GET")
            let uri = ("X-Original-URI", "/a")
            let other = [
                ("X-Forwarded-Method", "GET"), ("X-Forwarded-Uri", "/a"), ("X-Forwarded-Host", "a"),
            ]
            for (index, fields) in [
                (0, []), (0, [method]), (0, [uri]), (0, [method, method, uri]),
                (0, [method, uri, uri]), (0, [method, uri, ("x-original-uri", "/b")]), (0, other),
                (0, [("X-Original-Method", "get"), uri]), (1, [method, uri]),
                (1, Array(other[..<2])),
                (1, Array(other[1...])), (1, [other[0], other[2]]),
                (1, other + [("X-Forwarded-Host", "b")]), (1, other + [other[1]]),
                (1, Array(other[..<2]) + [("X-Forwarded-Host", "a, b")]),
                (1, Array(other[..<2]) + [("X-Forwarded-Host", "a.")]), (2, [method, uri]),
                (3, [method, uri]),
            ] {
                let client = cluster.nodes[index].client
                let answer = try await client.send("GET", "/verify", root + fields)
                #expect(answer.code == refused, "\(index) \(fields)")
            }
            // The other family is only noise.
            let noise = try await cluster.nodes[0].client.send(
                "GET",
                "/verify",
                [method, uri] + other
            )
            #expect(noise.status == 200)
        }
    }

    /// Headers by which other gateways and applications tell of a request: each by itself, and all.
    private static func noises(beside source: Source) -> [[(String, String)]] {
        let original = ["X-Original-URI", "X-Original-Method"]
        let forwarded = ["X-Forwarded-Uri", "X-Forwarded-Method", "X-Forwarded-Host"]
        let families: [String] =
            switch source {
            case .original: forwarded
            case .forwarded: original
            case .requestLine: original + forwarded
            }
        let names =
            families + [
                "X-Rewrite-URL", "X-Original-URL", "X-Forwarded-Prefix", "X-Forwarded-Path",
                "X-Forwarded-Server", "X-Request-URI", "Forwarded", "X-HTTP-Method-Override",
                "X-Original-Host", "X-Host",
            ]
        var found: [[(String, String)]] = []
        for path in ["/public/x", "/staff/x"] {
            found += names.map { [($0, path)] }
            found.append(names.map { ($0, path) })
        }
        return found
    }

    @Test
    func `no header beside the chosen family changes a decision (row 236)`() async throws {
        try await Cluster.run(Self.plan()) { cluster in
            let root = try await cluster.signIn(cluster.administrator).bearer
            let member = try await cluster.signIn(cluster.person()).bearer
            try await Self.put(
                [
                    Self.rule("/public/**", Self.open),
                    Self.rule("/staff/**", ",\"roles\":[\"staff\"]"),
                    Self.rule("/app/**", methods: "GET"),
                ],
                cluster,
                root
            )
            for source in Source.allCases {
                for (target, nobody, asMember) in [
                    ("/public/x", 200, 200), ("/staff/x", 401, 403), ("/app/x", 401, 200),
                    ("/elsewhere", 403, 403),
                ] {
                    for (fields, status) in [([], nobody), (member, asMember)] {
                        for noise in Self.noises(beside: source) {
                            let all = fields + noise
                            let answer = try await Self.ask(cluster, source, target, "GET", all)
                            #expect(answer.status == status, "\(source) \(target) \(noise)")
                        }
                    }
                }
                // Nor does one of them say the method.
                let safe = ("X-HTTP-Method-Override", "GET")
                let post = try await Self.ask(cluster, source, "/app/x", "POST", member + [safe])
                #expect(post.status == 403, "\(source)")
            }
        }
    }

    @Test
    func `a rule's scopes are those a narrowed key has, and not what its account may (row 239)`()
        async throws
    {
        try await Cluster.run(Self.plan()) { cluster in
            let desk = try await AdminDesk(cluster)
            let service = try await TestService(desk)
            let reader = try await service.key(",\"permissions\":[\"orders:read\"]").bearer
            let both = try await service.key(
                ",\"permissions\":[\"orders:read\",\"orders:write\"]"
            ).bearer
            let whole = try await service.key().bearer
            try await Self.put(
                [
                    Self.rule("/read", ",\"scopes\":[\"orders:read\"]"),
                    Self.rule("/write", ",\"scopes\":[\"orders:write\"]"),
                    Self.rule("/all", ",\"scopes\":[\"orders:read\",\"orders:write\"]"),
                    Self.rule("/plain"),
                ],
                cluster,
                desk.tokens.bearer
            )
            for source in Source.allCases {
                for (target, asReader, asBoth, asWhole) in [
                    ("/read", 200, 200, 403), ("/write", 403, 200, 403), ("/all", 403, 200, 403),
                    ("/plain", 200, 200, 200),
                ] {
                    for (key, status) in [(reader, asReader), (both, asBoth), (whole, asWhole)] {
                        // Twice: what the node remembers of a key is judged alike.
                        for _ in 0..<2 {
                            let answer = try await Self.ask(cluster, source, target, "GET", key)
                            #expect(answer.status == status, "\(source) \(target)")
                            guard status == 403 else { continue }
                            #expect(answer.code == "permission-denied", "\(source) \(target)")
                        }
                    }
                    let nobody = try await Self.ask(cluster, source, target)
                    #expect(nobody.status == 401, "\(source) \(target)")
                }
            }
        }
    }

    @Test
    func `a change of rules is in force on every node when it is acknowledged (W11)`() async throws
    {
        try await Cluster.run(Self.plan()) { cluster in
            let root = try await cluster.signIn(cluster.administrator).bearer
            let member = try await cluster.signIn(cluster.person()).bearer
            for round in 0..<24 {
                let isOpen = round % 2 == 0
                let rules = isOpen ? [Self.rule("/a")] : [Self.rule("/a", ",\"roles\":[\"admin\"]")]
                try await Self.put(rules, cluster, root, on: round % 3)
                for source in Source.allCases {
                    let answer = try await Self.ask(cluster, source, "/a", "GET", member)
                    #expect(answer.status == (isOpen ? 200 : 403), "\(round) \(source)")
                }
            }
        }
    }

    @Test
    func `nodes that do not take in such a change are found out by the same watch (W11)`()
        async throws
    {
        var plan = Self.plan()
        plan.variables["WATCHWORD_MUTANT"] = "stale-routes"
        try await Cluster.run(plan) { cluster in
            let root = try await cluster.signIn(cluster.administrator).bearer
            try await Self.put([Self.rule("/a", Self.open)], cluster, root)
            var stale = 0
            for source in Source.allCases {
                if try await Self.ask(cluster, source, "/a").status != 200 { stale += 1 }
            }
            #expect(stale > 0)
        }
    }

    @Test
    func `behind nginx rules guard every path of an application (row 235)`() async throws {
        var plan = Cluster.Plan()
        plan.nodes = 2
        plan.hasGateway = true
        plan.gatewaySample = Gateway.routesSample
        plan.variables["WATCHWORD_VERIFY_ROUTE_RULES"] = "on"
        try await Cluster.run(plan) { cluster in
            let root = try await cluster.signIn(cluster.administrator).bearer
            let member = try await cluster.signIn(cluster.person()).bearer
            let worker = try await cluster.person()
            try await cluster.grant("staff", [], to: worker)
            let staff = try await cluster.signIn(worker).bearer
            try await Self.put(
                [
                    Self.rule("/public/**", Self.open),
                    Self.rule("/staff/**", ",\"roles\":[\"staff\"]"),
                ],
                cluster,
                root
            )
            for (target, nobody, asMember, asStaff) in [
                ("/public/x", 200, 200, 200), ("/staff/x?y=/public", 401, 403, 200),
                ("/other", 403, 403, 403), ("/public/../staff/x", 403, 403, 403),
                ("/public/%2e%2e/staff/x", 403, 403, 403), ("/public//x", 403, 403, 403),
            ] {
                for (fields, status) in [([], nobody), (member, asMember), (staff, asStaff)] {
                    let forged =
                        fields + [
                            ("X-Auth-User", "forged"), ("X-Original-URI", "/public/x"),
                            ("X-Original-Method", "GET"),
                        ]
                    let answer = try await cluster.gateway.send("GET", target, forged)
                    #expect(answer.status == status, "\(target) \(cluster.complaints)")
                    #expect(!answer.body.contains("forged"))
                    guard status == 200 else { continue }
                    #expect(answer.body.hasPrefix("GET \(target) HTTP/1."))
                    #expect(answer.body.contains("X-Auth-User: ") == target.hasPrefix("/staff"))
                }
            }
        }
    }
}

// What an application behind HAProxy and Caddy sees, with the samples that we ship for them, each
// before a node that listens to it: our identity headers and nobody else's (checklist rows 235 and
// 241). GatewayTests does the same behind nginx.
import Primitives
import Testing

@testable import Web

@Suite(.serialized) struct OtherGatewayTests {
    /// Lends the gateways, each before a node of its own in one cluster.
    private static func run(
        _ body: (Cluster, [(kind: Gateway.Kind, client: HTTPClient)]) async throws -> Void
    ) async throws {
        let kinds = Gateway.Kind.allCases
        var plan = Cluster.Plan()
        plan.nodes = kinds.count
        plan.perNode = kinds.map(\.variables)
        try await Cluster.run(plan) { cluster in
            var gateways: [Gateway] = []
            // They end with the last mention of them.
            defer { withExtendedLifetime(gateways) {} }
            var open: [(kind: Gateway.Kind, client: HTTPClient)] = []
            for (kind, node) in zip(kinds, cluster.nodes) {
                let gateway = try await Gateway.start(kind, before: node, secrets: cluster.secrets)
                gateways.append(gateway)
                open.append((kind, gateway.client))
            }
            try await body(cluster, open)
        }
    }

    /// What an application takes for our headers that reads names as CGI does (RFC 3875 section
    /// 4.1.18), or takes even more for a hyphen; from the head that it got.
    private static func identity(_ answer: HTTPAnswer) -> [String: [String]] {
        var found: [String: [String]] = [:]
        for line in answer.body.split(separator: "\r\n").dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            let letters = parts[0].lowercased().map { $0.isLetter || $0.isNumber ? $0 : "-" }
            let name = String(letters)
            guard name.hasPrefix("x-auth") else { continue }
            let value = parts.count > 1 ? parts[1].trimmingPrefix(" ").description : ""
            found[name, default: []].append(value)
        }
        return found
    }

    /// What the application must have been told, all of it.
    private static func told(_ person: Person, _ session: String) -> [String: [String]] {
        [
            "x-auth-user": [person.id], "x-auth-session": [session], "x-auth-roles": ["member"],
            "x-auth-scopes": [""], "x-auth-client": ["watchword"], "x-auth-org": [""],
        ]
    }

    /// The headers of clients who would like to be somebody else.
    private static func forgeries() -> [[(String, String)]] {
        var found: [[(String, String)]] = [[]]
        for name in VerifyTests.identity + ["X-Auth-Admin"] {
            let rest = String(name.dropFirst("X-Auth-".count))
            let spellings: [String] = [
                name, name.lowercased(), name.uppercased(), "X_Auth_\(rest)", "X-Auth_\(rest)",
                "X_Auth-\(rest)", "x_AUTH-\(rest)", "X.Auth.\(rest)", "X-Auth.\(rest)",
            ]
            for spelling in spellings { found.append([(spelling, "admin")]) }
            found.append([(name, "admin"), (name, "root")])
            found.append([(name, "")])
        }
        return found
    }

    @Test
    func `behind HAProxy and Caddy no forged identity arrives, in any spelling (rows 234, 235)`()
        async throws
    {
        try await Self.run { cluster, gateways in
            let person = try await cluster.person()
            let tokens = try await cluster.signIn(person)
            let browser = try await cluster.browse(person)
            let credentials = [
                (fields: tokens.bearer, session: tokens.session),
                (fields: [browser.cookieField], session: browser.session),
            ]
            for (kind, client) in gateways {
                for forgery in Self.forgeries() {
                    for credential in credentials {
                        let answer = try await client.send(
                            "GET",
                            "/app/page?x=y",
                            credential.fields + forgery
                        )
                        #expect(answer.status == 200, "\(kind) \(forgery)")
                        #expect(answer.body.hasPrefix("GET /app/page?x=y HTTP/1."))
                        let got = Self.identity(answer)
                        let wanted = Self.told(person, credential.session)
                        #expect(got == wanted, "\(kind) \(forgery)")
                    }
                    let refused = try await client.send("GET", "/app/page", forgery)
                    #expect(refused.status == 401, "\(kind) \(forgery)")
                    #expect(!refused.body.contains("/app/page"), "\(kind) \(forgery)")
                }
            }
        }
    }

    @Test
    func `behind HAProxy and Caddy no Connection takes our headers away (row 241)`() async throws {
        try await Self.run { cluster, gateways in
            let person = try await cluster.person()
            let tokens = try await cluster.signIn(person)
            for (kind, client) in gateways {
                for name in VerifyTests.identity {
                    let values: [String] = [
                        name, name.lowercased(), name.uppercased(), "keep-alive, \(name)",
                        "\(name),close", name.replacing("-", with: "_"),
                    ]
                    for value in values {
                        let answer = try await client.send(
                            "GET",
                            "/app/page",
                            tokens.bearer + [("Connection", value)]
                        )
                        // The request is refused, so that no hop behind can lose them either.
                        #expect(answer.status == 400, "\(kind) \(value)")
                        #expect(!answer.body.contains("/app/page"), "\(kind) \(value)")
                    }
                    let twice = [("Connection", "keep-alive"), ("Connection", name)]
                    let answer = try await client.send("GET", "/app/page", tokens.bearer + twice)
                    #expect(answer.status == 400, "\(kind) \(name)")
                }
                // What names nothing of ours is no reason to refuse anybody.
                for value in ["keep-alive", "X-Other"] {
                    let answer = try await client.send(
                        "GET",
                        "/app/page",
                        tokens.bearer + [("Connection", value)]
                    )
                    #expect(answer.status == 200, "\(kind) \(value)")
                    let got = Self.identity(answer)
                    #expect(got == Self.told(person, tokens.session), "\(kind) \(value)")
                }
            }
        }
    }

    @Test
    func `behind HAProxy and Caddy good credentials pass and others do not (rows 145, 164)`()
        async throws
    {
        try await Self.run { cluster, gateways in
            let person = try await cluster.person()
            let tokens = try await cluster.signIn(person)
            let browser = try await cluster.browse(person)
            let out = try await cluster.signIn(cluster.person())
            _ = try await cluster.node.send("POST", "/v1/auth/logout", out.bearer)
            let target = "/app/order"
            for (kind, client) in gateways {
                let bad: [[(String, String)]] = [
                    [], [("Authorization", "Bearer nonsense")], out.bearer,
                ]
                for method in ["GET", "POST", "DELETE"] {
                    let passed = try await client.send(method, target, tokens.bearer)
                    #expect(passed.status == 200, "\(kind) \(method)")
                    #expect(passed.body.hasPrefix("\(method) \(target) HTTP/1."))
                    for fields in bad {
                        let refused = try await client.send(method, target, fields)
                        #expect(refused.status == 401, "\(kind) \(method)")
                        #expect(!refused.body.contains(target), "\(kind) \(method)")
                    }
                }
                // A page of somebody else may make a browser send all but the CSRF value.
                let lies: [[(String, String)]] = [
                    [], [("X-Original-Method", "GET")], [("X-Forwarded-Method", "GET")],
                    [("X-Original-Method", "GET"), ("X-Forwarded-Method", "GET")],
                ]
                for lie in lies {
                    let fields = [browser.cookieField] + lie
                    let refused = try await client.send("POST", target, fields)
                    #expect(refused.status == 403, "\(kind) \(lie)")
                }
                #expect(try await client.send("POST", target, browser.fields).status == 200)
                try await Self.expectOwnSockets(kind, client, browser)
            }
        }
    }

    @Test
    func `behind HAProxy and Caddy a request is for the organisation that it names (row 175)`()
        async throws
    {
        try await Self.run { cluster, gateways in
            let desk = try await AdminDesk(cluster)
            let (org, other) = try await (TestOrganisation(desk), TestOrganisation(desk))
            let person = try await cluster.person()
            let tokens = try await cluster.signIn(person)
            try await org.add(person, by: desk)
            let role = try await org.give(["orders:write"], to: person, by: desk)
            for (kind, client) in gateways {
                func ask(_ fields: [(String, String)]) async throws -> HTTPAnswer {
                    try await client.send("GET", "/app/x", tokens.bearer + fields)
                }
                let here = try await ask([org.field])
                #expect(here.status == 200, "\(kind)")
                #expect(Self.identity(here)["x-auth-org"] == [org.id], "\(kind)")
                #expect(Self.identity(here)["x-auth-roles"] == ["\(role),member"], "\(kind)")
                let nowhere = Self.identity(try await ask([]))
                #expect(nowhere == Self.told(person, tokens.session), "\(kind)")
                // Of two none is meant, also where one alone would do.
                let refused = [
                    [other.field], [org.field, other.field], [org.field, org.field],
                    [("X-Org", "")], [("X-Org", "\(org.id),")],
                ]
                for fields in refused {
                    #expect(try await ask(fields).status == 403, "\(kind) \(fields)")
                }
            }
        }
    }

    /// Each gateway has a node of its own, which nobody else asks.
    @Test
    func `behind HAProxy and Caddy every check of a bearer token takes the fast path`()
        async throws
    {
        try await Self.run { cluster, gateways in
            let tokens = try await cluster.signIn(cluster.person())
            for (gateway, node) in zip(gateways, cluster.nodes) {
                // A node may not have met the key of the token.
                let first = try await gateway.client.send("GET", "/app/x", tokens.bearer)
                #expect(first.status == 200, "\(gateway.kind)")
                let before = try await node.verifyCounts()
                let socket = [
                    ("Connection", "Upgrade"), ("Upgrade", "websocket"),
                    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
                ]
                let more = [[], socket, [("Expect", "100-continue")]]
                for number in 0..<60 {
                    let method = ["GET", "POST", "DELETE"][number % 3]
                    let answer = try await gateway.client.send(
                        method,
                        "/app/\(number)?x=\(number)",
                        tokens.bearer + more[number / 3 % 3]
                    )
                    #expect(answer.status == 200, "\(gateway.kind) \(method)")
                }
                let after = try await node.verifyCounts()
                #expect(after.fast - before.fast == 60, "\(gateway.kind)")
                #expect(after.general - before.general == 0, "\(gateway.kind)")
            }
        }
    }

    /// Expects that WebSockets with a cookie are for pages of the public URL alone.
    private static func expectOwnSockets(
        _ kind: Gateway.Kind,
        _ client: HTTPClient,
        _ browser: Browser
    ) async throws {
        let socket = [browser.cookieField, ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]
        let pages: [(origins: [(String, String)], status: Int)] = [
            ([], 403), ([("Origin", "https://evil.example")], 403),
            ([("Origin", "https://auth.example.test")], 200),
        ]
        for (origins, status) in pages {
            let answer = try await client.send("GET", "/app/socket", socket + origins)
            #expect(answer.status == status, "\(kind) \(origins)")
        }
    }
}

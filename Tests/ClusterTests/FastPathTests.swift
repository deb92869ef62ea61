// The two ways in which `/verify` is answered, side by side: a node that answers from the raw bytes
// where it can, and one whose fast path is switched off. Nobody may be able to tell them apart.
import Primitives
import TestKit
import Testing

@testable import Tokens
@testable import Web

@Suite(.serialized) struct FastPathTests {
    /// Node 0 has the fast path and node 1 has not; 2 and 3 are as they are, in bounded mode, and
    /// node 2 has little patience.
    private static let cluster = SharedPair()

    private static func pair() async throws -> Cluster { try await cluster.get() }

    /// How often a node answered `/verify`, fast and in general.
    private func counts(_ node: NodeProcess) async throws -> (fast: Int, general: Int) {
        let text = try await node.management.send("GET", "/metrics").body
        func value(_ name: String) -> Int {
            let line = text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
            return line.flatMap { Int($0.split(separator: " ")[1]) } ?? -1
        }
        return (value("watchword_verify_fast_total"), value("watchword_verify_general_total"))
    }

    /// What is different in every answer, made equal.
    private static func plain(_ transcript: String) -> String {
        transcript.replacing(/(?i)\r\n(date|x-request-id|watchword-age): [^\r]*/) { match in
            "\r\n\(match.output.1): *"
        }.replacing(/"urn:uuid:[^"]*"/, with: "*")
    }

    /// All that comes back for `pieces`, each sent in a write of its own.
    private static func exchange(_ port: Int, _ pieces: [[UInt8]]) throws -> String {
        let connection = try Connection(port: port)
        defer { connection.close() }
        for piece in pieces { try connection.write(piece) }
        connection.finish()
        return plain(connection.readToEnd())
    }

    /// Both nodes' answers, which must be the same bytes.
    @discardableResult
    private func compare(
        _ cluster: Cluster,
        _ pieces: [[UInt8]],
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> String {
        let ports = cluster.nodes.prefix(2).map(\.client.port)
        let found = try await Blocking.run {
            try ports.map { try Self.exchange($0, pieces) }
        }
        let text = String(decoding: pieces.joined().prefix(600), as: UTF8.self)
        #expect(found[0] == found[1], "\(text)", sourceLocation: sourceLocation)
        return found[0]
    }

    /// Heads as gateways send them, and as they should not; with good and with bad tokens.
    private func requests(_ cluster: Cluster) async throws -> [String] {
        let person = try await cluster.person()
        let tokens = try await cluster.signIn(person)
        let browser = try await cluster.browse(person)
        let ended = try await cluster.signIn(person)
        _ = try await cluster.node.send("POST", "/v1/auth/logout", ended.bearer)
        let forge = try await TokenForge(cluster)
        let good = "Authorization: Bearer \(tokens.access)\r\n"
        let credentials = [
            good, good, "", "Cookie: a=b\r\n",
            "\(browser.cookieField.0): \(browser.cookieField.1)\r\n",
            good + "Cookie: ww_access=x\r\n", "authorization: bEARER \(tokens.access)\r\n",
            "Authorization: Bearer \(ended.access)\r\n", "Authorization: Bearer a.b.c\r\n",
            "Authorization: Bearer \(try forge.expired(tokens.access))\r\n",
            "Authorization: Bearer \(tokens.access)A\r\n", "Authorization: Basic YTpi\r\n",
            "Authorization: Bearer \(tokens.access.dropLast(2))AA\r\n", good + good,
            "Authorization:  \tBearer \(tokens.access) \r\n",
            "Authorization: Bearer  \(tokens.access)\r\n",
        ]
        let targets = [
            "/verify", "/verify/", "/verify/app/x?permission=no:thing", "/verify?role=member",
            "/verify?role=admin", "/verify?permission=no:thing", "/verify?scope=openid",
            "/verify?x=%zz", "/verify?", "/verify?a=b&role=%6dember", "/verifyx",
        ]
        let others = [
            "", "X-Original-Method: POST\r\nX-Original-URI: /app\r\nX-Forwarded-For: 192.0.2.9\r\n",
            "X-Original-Method: GET\r\nX-Original-Method: GET\r\n", "Content-Length: 0\r\n",
            "X-Forwarded-Method: GET\r\nX-Forwarded-Uri: /\r\nX-Forwarded-Host: a\r\n",
            "Origin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\n",
            "X-Original-Method: \r\n", "Connection: keep-alive\r\n", "Connection: close\r\n",
            "X-Request-Id: from-the-gateway-1\r\nUser-Agent: tests\r\nX-Auth-User: forged\r\n",
        ]
        let methods = ["GET", "GET", "HEAD", "POST", "DELETE", "OPTIONS", "PROPFIND"]
        var out: [String] = []
        for number in 0..<500 {
            // Strides that share no factor, so that everything meets everything.
            out.append(
                "\(methods[number % methods.count]) \(targets[number / 2 % targets.count])"
                    + " HTTP/1.1\r\nHost: app.example.test\r\n\(others[number / 3 % others.count])"
                    + "\(credentials[number % credentials.count])\r\n"
            )
        }
        return out
    }

    @Test
    func `500 requests get the same bytes from the fast path and from the general one`()
        async throws
    {
        let cluster = try await Self.pair()
        let before = try await counts(cluster.nodes[0])
        var statuses: [String: Int] = [:]
        for request in try await requests(cluster) {
            let answer = try await compare(cluster, [Array(request.utf8)])
            statuses[String(answer.dropFirst(9).prefix(3)), default: 0] += 1
        }
        #expect(Set(statuses.keys) == ["200", "401", "403", "404"], "\(statuses)")
        let after = try await counts(cluster.nodes[0])
        #expect(after.fast - before.fast > 150, "\(before) \(after)")
        #expect(after.general - before.general > 50, "\(before) \(after)")
        #expect(try await counts(cluster.nodes[1]).fast == 0)
    }

    @Test
    func `a request cut at every byte is answered as it is in one piece`() async throws {
        let cluster = try await Self.pair()
        let all = try await requests(cluster)
        let port = cluster.nodes[0].client.port
        for text in [all[0], all[1], all[8]] {
            let bytes = Array(text.utf8)
            let whole = try await compare(cluster, [bytes])
            let wrong = try await Blocking.run {
                try (1..<bytes.count).filter { cut in
                    let pieces = [Array(bytes[..<cut]), Array(bytes[cut...])]
                    return try Self.exchange(port, pieces) != whole
                }
            }
            #expect(wrong.isEmpty, "\(text)")
        }
    }

    @Test
    func `odd framing gets the same answers, and nothing behind it gets another (row 256)`()
        async throws
    {
        let cluster = try await Self.pair()
        let tokens = try await cluster.signIn(cluster.person())
        let line = "GET /verify HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(tokens.access)\r\n"
        let good = line + "\r\n"
        for odd in [
            line + "Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd",
            line + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            line + "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n",
            line + "Transfer-Encoding: gzip\r\n\r\n", line + "Content-Length: 4\r\n\r\nabcd",
            line + "Content-Length: 00\r\n\r\n", line + "X: a\r\n b\r\n\r\n", line + "X: a\n\r\n",
            line + "X: a\0b\r\n\r\n", line + "X : a\r\n\r\n", line + "Host: b\r\n\r\n",
            line + "Upgrade: websocket\r\nConnection: upgrade\r\n\r\n",
            line + "Expect: 100-continue\r\n\r\n", line + "Connection: close, x\r\n\r\n",
            line + "Expect: 100-continue\r\nContent-Length: 4\r\n\r\nabcd",
            good.replacing("HTTP/1.1", with: "HTTP/1.0"),
            good.replacing("HTTP/1.1", with: "HTTP/1.0\r\nConnection: keep-alive"),
            good.replacing("/verify", with: "http://a/verify"), good.replacing("GET", with: "get"),
            good.replacing("GET", with: "TRACE"), good.replacing("\r\n", with: "\n"),
            "\r\n" + good, "POST /v1/auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
        ] {
            try await compare(cluster, [Array((odd + good + good).utf8)])
            try await compare(cluster, [Array((good + odd + good).utf8)])
            try await compare(cluster, [Array(good.utf8), Array((odd + good).utf8)])
        }
    }

    @Test
    func `pipelined requests are answered in their order, whichever way each goes`() async throws {
        let cluster = try await Self.pair()
        let person = try await cluster.person()
        let tokens = try await cluster.signIn(person)
        let bearer = "Host: a\r\nAuthorization: Bearer \(tokens.access)\r\n"
        var text = ""
        var wanted: [Int] = []
        for number in 0..<60 {
            switch number % 6 {
            case 0, 1, 2: text += "GET /verify HTTP/1.1\r\n\(bearer)\r\n"
            case 3: text += "GET /v1/nowhere HTTP/1.1\r\n\(bearer)\r\n"
            case 4: text += "GET /verify?role=admin HTTP/1.1\r\n\(bearer)\r\n"
            default:
                text +=
                    "POST /v1/auth/login HTTP/1.1\r\nHost: a\r\n"
                    + "Content-Type: application/json\r\nContent-Length: 3\r\n\r\n[1]"
            }
            wanted.append([200, 200, 200, 404, 403, 400][number % 6])
        }
        let before = try await counts(cluster.nodes[0])
        let bytes = Array(text.utf8)
        let answer = try await compare(cluster, [bytes])
        let statuses = answer.matches(of: #/HTTP/1.1 (\d\d\d) /#).map { Int($0.output.1) ?? 0 }
        #expect(statuses == wanted)
        let after = try await counts(cluster.nodes[0])
        // What went the general way in between has not ended the fast one.
        #expect(after.fast - before.fast == 40, "\(before) \(after)")
        // In pieces that have nothing to do with the requests.
        let pieces = stride(from: 0, to: bytes.count, by: 97).map {
            Array(bytes[$0..<min($0 + 97, bytes.count)])
        }
        let again = try await compare(cluster, pieces)
        #expect(again == answer)
    }

    @Test
    func `a logout on one node is seen by the next request on the fast path of another (W1)`()
        async throws
    {
        let cluster = try await Self.pair()
        let person = try await cluster.person()
        let port = cluster.node.port
        for path in ["/v1/auth/logout", "/v1/auth/logout-all"] {
            for _ in 0..<10 {
                let tokens = try await cluster.signIn(person)
                let request = HTTPClient.head("GET", "/verify", tokens.bearer, nil, closes: false)
                let connection = try Connection(port: port)
                defer { connection.close() }
                let before = try await counts(cluster.nodes[0])
                for _ in 0..<3 {
                    let status = try await Blocking.run {
                        try connection.write(request)
                        return try connection.readAnswer().status
                    }
                    #expect(status == 200)
                }
                let ended = try await cluster.nodes[1].client.send("POST", path, tokens.bearer)
                #expect(ended.status == 204)
                let answer = try await Blocking.run {
                    try connection.write(request)
                    return try connection.readAnswer()
                }
                #expect(answer.status == 401)
                #expect(answer.code == "token-revoked")
                let after = try await counts(cluster.nodes[0])
                #expect(after.fast - before.fast == 4, "all of them went the fast way")
            }
        }
    }

    @Test
    func `a token that ends while it is remembered is refused from then on (S0-15)`() async throws {
        let cluster = try await Self.pair()
        let tokens = try await cluster.signIn(cluster.person())
        let forge = try await TokenForge(cluster)
        let short = try forge.change(tokens.access) { claims in
            claims.expiresAt = Timestamp(seconds: WallClock.system.now().seconds + 12)
        }
        let fields = [("Authorization", "Bearer \(short)")]
        let request = HTTPClient.head("GET", "/verify", fields, nil, closes: false)
        let connection = try Connection(port: cluster.node.port)
        defer { connection.close() }
        var statuses: [Int] = []
        try await eventually("the token ends") {
            let answer = try await Blocking.run {
                try connection.write(request)
                return try connection.readAnswer()
            }
            statuses.append(answer.status)
            if answer.status == 401 { #expect(answer.code == "token-expired") }
            return answer.status == 401
        }
        #expect(statuses.first == 200)
        #expect(Set(statuses) == [200, 401])
        #expect(WallClock.system.now().seconds >= (try forge.read(short).expiresAt.seconds))
    }

    @Test
    func `in bounded mode an answer may be as old as the limit, and max_age only tightens`()
        async throws
    {
        let cluster = try await Self.pair()
        let person = try await cluster.person()
        // Both answer from memory, one fast and one in general.
        for node in cluster.nodes[2...3] {
            let tokens = try await cluster.signIn(person)
            let fresh = try await node.client.send("GET", "/verify?max_age=0", tokens.bearer)
            #expect(fresh.status == 200)
            #expect(fresh["Watchword-Mode"] == "bounded")
            let ended = try await cluster.node.send("POST", "/v1/auth/logout", tokens.bearer)
            #expect(ended.status == 204)
            let old = try await node.client.send("GET", "/verify", tokens.bearer)
            let age = old["Watchword-Age"].flatMap { Int($0) } ?? -1
            #expect(old.status == 200 && (0..<60_000).contains(age))
            for query in ["max_age=99999999", "max_age=60000"] {
                let same = try await node.client.send("GET", "/verify?\(query)", tokens.bearer)
                #expect(same.status == 200, "\(query)")
            }
            for query in ["max_age=-1", "max_age=x", "max_age=", "max_age=9999999999"] {
                let odd = try await node.client.send("GET", "/verify?\(query)", tokens.bearer)
                #expect(odd.status == 403, "\(query)")
            }
            let now = try await node.client.send("GET", "/verify?max_age=0", tokens.bearer)
            #expect(now.status == 401)
            // That read has told this node, whoever asks next.
            let after = try await node.client.send("GET", "/verify", tokens.bearer)
            #expect(after.status == 401)
            #expect(after.code == "token-revoked")
        }
        // The API itself is never answered from memory.
        let tokens = try await cluster.signIn(person)
        let client = cluster.nodes[2].client
        #expect(try await client.send("GET", "/v1/me", tokens.bearer).status == 200)
        _ = try await cluster.node.send("POST", "/v1/auth/logout", tokens.bearer)
        #expect(try await client.send("GET", "/v1/me", tokens.bearer).status == 401)
    }

    /// Takes from somebody what `role` permits: the role itself, or what is in it.
    private func take(
        _ role: String,
        from person: Person,
        whole: Bool,
        by desk: AdminDesk
    ) async throws -> HTTPAnswer {
        if whole { return try await desk.send("DELETE", "/\(person.id)/roles/\(role)") }
        return try await desk.client.send(
            "PATCH",
            "/v1/admin/roles/\(role)",
            desk.tokens.bearer + [("If-Match", "*")],
            json: "{\"permissions\":[]}"
        )
    }

    @Test(arguments: [true, false])
    func `in bounded mode a check that names a change knows of it (S1-17, W11)`(
        _ isWhole: Bool
    ) async throws {
        let cluster = try await Self.pair()
        let desk = try await AdminDesk(cluster)
        let path = "/verify?permission=orders:write"
        for node in cluster.nodes[2...3] {
            let person = try await cluster.person()
            let name = "bounded-\(person.id.suffix(12))"
            try await cluster.grant(name, ["orders:write"], to: person)
            let role = try await cluster.sql("SELECT id FROM roles WHERE name = '\(name)'")
            let tokens = try await cluster.signIn(person)
            let begun = ContinuousClock.now
            // A change of long ago: the node reads the log for it, and meets the role.
            let known = try await node.client.send("GET", "\(path)&at_least=1", tokens.bearer)
            #expect(known.status == 200)
            let taken = try await take(role, from: person, whole: isWhole, by: desk)
            #expect((200...204).contains(taken.status), "\(taken.body)")
            let version = try #require(taken["Watchword-Rights-Version"])
            let old = try await node.client.send("GET", path, tokens.bearer)
            // Less has passed than the limit: what is remembered is what there was.
            if ContinuousClock.now - begun < .seconds(60) { #expect(old.status == 200) }
            let told = "\(path)&at_least=\(version)"
            #expect(try await node.client.send("GET", told, tokens.bearer).status == 403)
            // That read has told this node, whoever asks next; and the token itself is good.
            #expect(try await node.client.send("GET", path, tokens.bearer).status == 403)
            let plain = "/verify?at_least=\(version)"
            #expect(try await node.client.send("GET", plain, tokens.bearer).status == 200)
        }
    }

    @Test
    func `idle connections are closed, and heads that do not end are answered 408`() async throws {
        let cluster = try await Self.pair()
        let port = cluster.nodes[2].client.port
        let tokens = try await cluster.signIn(cluster.person())
        let request = HTTPClient.head("GET", "/verify", tokens.bearer, nil, closes: false)
        for (rest, wanted) in [(0, 1), (20, 2), (request.count - 1, 2)] {
            let text = try await Blocking.run {
                let connection = try Connection(port: port)
                defer { connection.close() }
                try connection.write(request)
                try connection.write(Array(request[..<rest]))
                return connection.readToEnd()
            }
            let statuses = text.matches(of: #/HTTP/1.1 (\d\d\d) /#).map { String($0.output.1) }
            #expect(statuses == Array(["200", "408"].prefix(wanted)), "\(rest): \(text)")
        }
        let never = try await Blocking.run {
            let connection = try Connection(port: port)
            defer { connection.close() }
            try connection.write(Array(request[..<10]))
            return connection.readToEnd()
        }
        #expect(never.hasPrefix("HTTP/1.1 408 "))
    }

    @Test
    func `a connection that is in use when the node drains is told so and ends (S0-25)`()
        async throws
    {
        var plan = Cluster.Plan()
        plan.nodes = 1
        let cluster = try await Cluster.start(plan)
        let tokens = try await cluster.signIn(cluster.person())
        let request = HTTPClient.head("GET", "/verify", tokens.bearer, nil, closes: false)
        let port = cluster.node.port
        let connection = try Connection(port: port)
        defer { connection.close() }
        async let isEnded = cluster.nodes[0].end()
        let (statuses, isTold) = try await Blocking.run {
            var statuses: Set<Int> = []
            while true {
                do {
                    try connection.write(request)
                    let answer = try connection.readAnswer()
                    statuses.insert(answer.status)
                    if answer["Connection"] == "close" { return (statuses, true) }
                } catch is ClusterError {
                    // Closed between two requests, as any idle connection may be.
                    return (statuses, false)
                }
            }
        }
        #expect(try await isEnded == 0)
        #expect(statuses.isSubset(of: [200]), "\(isTold)")
    }

    /// On nodes of its own: what is counted there is what the gateway asks.
    @Test
    func `behind the nginx sample every check of a bearer token takes the fast path`()
        async throws
    {
        var plan = Cluster.Plan()
        plan.nodes = 2
        plan.hasGateway = true
        let cluster = try await Cluster.start(plan)
        let person = try await cluster.person()
        let tokens = try await cluster.signIn(person)
        let browser = try await cluster.browse(person)
        // What shares the gateway's connections: sign-ins with bodies, cookies, strangers.
        for _ in 0..<5 {
            _ = try await cluster.signIn(person, at: cluster.gateway)
            #expect(try await cluster.gateway.send("GET", "/app/x").status == 401)
            let cookie = [browser.cookieField]
            #expect(try await cluster.gateway.send("GET", "/app/x", cookie).status == 200)
        }
        // A node may not have met the key of the token.
        for node in cluster.nodes {
            #expect(try await node.client.send("GET", "/verify", tokens.bearer).status == 200)
        }
        var before: [(fast: Int, general: Int)] = []
        for node in cluster.nodes { before.append(try await node.verifyCounts()) }
        for number in 0..<300 {
            let path = "/app/\(number)?x=\(number)"
            let method = number % 3 == 0 ? "POST" : "GET"
            let body: String? = number % 3 == 0 ? "{}" : nil
            let answer = try await cluster.gateway.send(method, path, tokens.bearer, json: body)
            #expect(answer.status == 200)
        }
        var fast = 0
        var general = 0
        for (node, old) in zip(cluster.nodes, before) {
            let seen = try await node.verifyCounts()
            fast += seen.fast - old.fast
            general += seen.general - old.general
        }
        #expect(fast == 300)
        #expect(general == 0)
    }
}

/// The cluster of this suite, started at the first wish.
private actor SharedPair {
    private var starting: Task<Cluster, any Error>?

    func get() async throws -> Cluster {
        if let starting { return try await starting.value }
        var plan = Cluster.Plan()
        plan.nodes = 4
        let bounded = [
            "WATCHWORD_VERIFY_MODE": "bounded", "WATCHWORD_VERIFY_STALENESS_LIMIT": "60s",
        ]
        plan.perNode = [
            [:], ["WATCHWORD_VERIFY_FAST_PATH": "false"],
            bounded.merging([
                "WATCHWORD_HTTP_IDLE_TIME": "1s", "WATCHWORD_HTTP_HEAD_TIME": "1s",
            ]) { $1 },
            bounded.merging(["WATCHWORD_VERIFY_FAST_PATH": "false"]) { $1 },
        ]
        let chosen = plan
        let task = Task { try await Cluster.start(chosen) }
        starting = task
        return try await task.value
    }
}

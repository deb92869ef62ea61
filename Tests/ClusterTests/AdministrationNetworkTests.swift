// Administration that is bound to networks (row 176, the network half): from elsewhere nothing of
// it is answered to anybody, and from inside it is as it was. Addresses are played as a trusted
// proxy forwards them; operations come from the catalogue, so a new one is tried without a line.
import Primitives
import TestKit
import Testing

@testable import Web

@Suite struct AdministrationNetworkTests {
    private static let networks = "WATCHWORD_ADMINISTRATION_NETWORKS"
    private static let proxies = "WATCHWORD_HTTP_TRUSTED_PROXIES"
    private static let code = "network-not-allowed"
    private static let list = "/v1/admin/users"
    private static let outside = [
        "203.0.113.9", "10.21.0.1", "::ffff:10.21.0.1", "2001:db8:8::1",
    ]
    private static let inside = ["10.20.7.1", "::ffff:10.20.7.1", "2001:db8:7::1"]

    /// A node that is answered everywhere, to prepare things at, and one that is bound.
    private static var plan: Cluster.Plan {
        var plan = Cluster.Plan()
        plan.nodes = 2
        plan.variables["WATCHWORD_ADMIN_IMPERSONATION"] = "true"
        plan.perNode = [[:], [networks: "10.20.0.0/16, 2001:db8:7::/48"]]
        return plan
    }

    private static func operations(ofAdministration isAdministration: Bool) -> [OperationInfo] {
        PublicAPI.catalogue.operations.filter {
            // By where they are, not by what the gate says of itself.
            $0.pattern.text.hasPrefix("/v1/admin/") == isAdministration
        }
    }

    private static func from(_ address: String) -> [(String, String)] {
        [("X-Forwarded-For", address)]
    }

    /// Sends an operation's call to the bound node.
    private static func send(
        _ cluster: Cluster,
        _ info: OperationInfo,
        _ on: Subjects,
        _ fields: [(String, String)]
    ) async throws -> HTTPAnswer {
        let call = try CallTable.call(info, on)
        let takesVersion = !info.traits.isDisjoint(with: [.needsVersion, .takesVersion])
        let version = takesVersion ? [("If-Match", "*")] : []
        return try await cluster.nodes[1].client.send(
            call.method,
            call.target,
            fields + version,
            json: call.json
        )
    }

    /// How many calls the bound node has refused for where they came from.
    private static func refusals(_ cluster: Cluster) async throws -> Int {
        let name = "watchword_administration_network_refused_total "
        let text = try await cluster.nodes[1].management.send("GET", "/metrics").body
        let line = text.split(separator: "\n").first { $0.hasPrefix(name) }
        return line.flatMap { Int($0.dropFirst(name.count)) } ?? -1
    }

    /// An administrator as an application, in a browser, and by a key of a service.
    private static func administrators(_ desk: AdminDesk) async throws -> [[(String, String)]] {
        let browser = try await desk.cluster.browse(desk.cluster.administrator)
        let all = operations(ofAdministration: true).compactMap(\.gate.permission)
        let key = try await TestService(desk, Set(all).sorted()).key()
        return [desk.tokens.bearer, browser.fields, key.bearer]
    }

    @Test
    func `from outside no operation of administration is answered to anybody (row 176: network)`()
        async throws
    {
        try await Cluster.run(Self.plan) { cluster in
            let desk = try await AdminDesk(cluster)
            let on = try await TestOrganisation(desk)
                .subjects(desk, and: [.rule, .permission, .signingKey])
            let known = try await Self.administrators(desk)
            // Whom they would be refused to anyway, with and without something to show.
            let others = [on.tokens.bearer, [("Authorization", "Bearer nonsense")], []]
            let before = try await cluster.digest()
            var told: Set<String> = []
            var sent = 0
            for info in Self.operations(ofAdministration: true) {
                for credential in known + others {
                    // Six and four: each address comes with each kind of credential.
                    let address = Self.outside[(sent + sent / 12) % Self.outside.count]
                    let fields = credential + Self.from(address)
                    let answer = try await Self.send(cluster, info, on, fields)
                    sent += 1
                    #expect(answer.status == 403, "\(info.name) \(address) \(answer.body)")
                    #expect(answer.code == Self.code, "\(info.name) \(address)")
                    #expect(answer["WWW-Authenticate"] == nil, "\(info.name)")
                    let body = answer.body.replacing(/"instance":"[^"]*"/, with: "")
                    told.insert("\(answer.names) \(body)")
                }
            }
            #expect(sent >= 300)
            // What is shown makes no difference, nor what is asked for.
            #expect(told.count == 1, "\(told)")
            #expect(try await cluster.digest() == before)
            #expect(try await Self.refusals(cluster) == sent)
            try await eventually("the refusals are in the log") {
                PrivateFolder.read(cluster.nodes[1].logFile).split(separator: "\n").contains {
                    $0.contains("\"problem\":\"\(Self.code)\"") && $0.contains("203.0.113.9")
                }
            }
            // The same subjects and credentials, from inside: it was for nothing else.
            for fields in known {
                let inside = fields + Self.from(Self.inside[0])
                let path = "\(Self.list)/\(on[.account])"
                let client = cluster.nodes[1].client
                let changed = try await client.send("POST", "\(path)/unlock", inside)
                #expect(changed.status == 204, "\(changed.body)")
            }
            #expect(try await cluster.digest() != before)
            #expect(try await Self.refusals(cluster) == sent)
        }
    }

    @Test
    func `from inside it is as before: a token, the permission, the answer (row 176: network)`()
        async throws
    {
        try await Cluster.run(Self.plan) { cluster in
            let desk = try await AdminDesk(cluster)
            let shared = try await TestOrganisation(desk)
                .subjects(desk, and: [.rule, .permission])
            let all = Self.operations(ofAdministration: true)
            // What only reads first: the others change what there is.
            let ordered = all.filter { !$0.isUnsafe } + all.filter(\.isUnsafe)
            for (index, info) in ordered.enumerated() {
                var on = shared
                if info.isUnsafe {
                    let place = try await TestOrganisation(desk)
                    on = try await place.subjects(desk, and: TwiceAtOnceTests.rare(info))
                }
                let inside = Self.from(Self.inside[index % Self.inside.count])
                let nobody = try await Self.send(cluster, info, on, inside)
                #expect(nobody.status == 401, "\(info.name) \(nobody.body)")
                #expect(nobody.code == "token-missing", "\(info.name)")
                #expect(nobody["WWW-Authenticate"] != nil, "\(info.name)")
                let wrong = [("Authorization", "Bearer nonsense")] + inside
                let stranger = try await Self.send(cluster, info, on, wrong)
                #expect(stranger.code == "token-malformed", "\(info.name)")
                let member = try await Self.send(cluster, info, on, on.tokens.bearer + inside)
                #expect(member.status == 403, "\(info.name) \(member.body)")
                #expect(member.code == "permission-denied", "\(info.name)")
                let root = try await Self.send(cluster, info, on, desk.tokens.bearer + inside)
                let isDone = (200..<300).contains(root.status)
                #expect(isDone, "\(info.name) \(root.status) \(root.body)")
            }
            #expect(try await Self.refusals(cluster) == 0)
        }
    }

    @Test
    func `what is no administration is answered everywhere, as is the terminal (row 176)`()
        async throws
    {
        try await Cluster.run(Self.plan) { cluster in
            let desk = try await AdminDesk(cluster)
            var tried: Set<String> = []
            for info in Self.operations(ofAdministration: false) {
                let on = try await TestOrganisation(desk).subjects(desk)
                let fields = on.tokens.bearer + Self.from(Self.outside[0])
                let answer = try await Self.send(cluster, info, on, fields)
                // Who has no second factor is told so: he is let in.
                let isDone =
                    (200..<300).contains(answer.status)
                    || (info.name.hasPrefix("second_factor.") && answer.status == 404)
                #expect(isDone, "\(info.name) \(answer.status) \(answer.body)")
                tried.insert(info.name)
            }
            let known: Set<String> = [
                "accounts.register", "sessions.sign_in", "sessions.refresh", "accounts.me",
                "gateway.verify", "gateway.jwks", "decisions.authorize",
            ]
            #expect(known.subtracting(tried) == [])
            // Applications ask about others from wherever they run.
            let application = try await TestService(desk, ["access:check"]).key()
            let other = try await cluster.person()
            let asked = try await cluster.nodes[1].client.send(
                "POST",
                "/v1/authorize",
                application.bearer + Self.from(Self.outside[0]),
                json: "{\"checks\":[{\"permission\":\"users:read\",\"subject\":\"\(other.id)\"}]}"
            )
            #expect(asked.status == 200, "\(asked.body)")
            for path in ["/livez", "/readyz", "/metrics"] {
                let management = cluster.nodes[1].management
                let health = try await management.send("GET", path, Self.from(Self.outside[0]))
                #expect(health.status == 200, "\(path)")
            }
            let bound = [Self.networks: "10.20.0.0/16"]
            let terminal = try await cluster.terminal("users", "list", "--json", set: bound)
            #expect(terminal.status == 0, "\(terminal.errors)")
            #expect(try await Self.refusals(cluster) == 0)
        }
    }

    @Test
    func `an address counts from a trusted proxy alone, and the proxy's own never (rows 40, 176)`()
        async throws
    {
        var plan = Cluster.Plan()
        plan.nodes = 3
        plan.perNode = [
            // Everybody's connections come from 127.0.0.1.
            [Self.networks: "10.20.0.0/16,127.0.0.0/8"],
            [Self.networks: "10.20.0.0/16", Self.proxies: ""],
            [Self.networks: "127.0.0.1", Self.proxies: ""],
        ]
        try await Cluster.run(plan) { cluster in
            let root = try await cluster.signIn(cluster.administrator).bearer
            func ask(_ node: Int, _ fields: [(String, String)] = []) async throws -> HTTPAnswer {
                try await cluster.nodes[node].client.send("GET", Self.list, root + fields)
            }
            for address in [
                "10.20.7.1", "::ffff:10.20.7.1", "203.0.113.9, 10.20.7.1", "10.20.7.1, 127.0.0.1",
            ] {
                let answer = try await ask(0, Self.from(address))
                #expect(answer.status == 200, "\(address) \(answer.body)")
            }
            for address in [
                "203.0.113.9", "10.20.7.1, 203.0.113.9", "10.20.7.1,203.0.113.9,127.0.0.1",
                "::ffff:10.21.0.1", "127.0.0.1", "", "unknown", "10.20.7.1:80",
                "10.20.7.1, unknown", "_hidden", "\"10.20.7.1\"",
            ] {
                let answer = try await ask(0, Self.from(address))
                #expect(answer.status == 403, "\(address)")
                #expect(answer.code == Self.code, "\(address)")
            }
            // A proxy that tells nobody's address; a machine beside it is nobody's proxy.
            let silent = try await ask(0)
            #expect(silent.status == 403 && silent.code == Self.code)
            let beside = try await ask(0, Self.from("127.0.0.9"))
            #expect(beside.status == 200, "\(beside.body)")
            // Twice the header: the last line is the nearest.
            let (far, near) = (Self.from("203.0.113.9"), Self.from("10.20.7.1"))
            let passed = try await ask(0, far + near)
            #expect(passed.status == 200, "\(passed.body)")
            let refused = try await ask(0, near + far)
            #expect(refused.status == 403 && refused.code == Self.code)
            for name in [
                "X-Forwarded-For", "X-Real-IP", "X-Client-IP", "True-Client-IP", "Forwarded",
                "CF-Connecting-IP", "X-Forwarded", "X-Original-Forwarded-For", "X-Remote-Addr",
            ] {
                let mark = name == "Forwarded" ? "for=" : ""
                let forged = try await ask(1, [(name, mark + "10.20.7.1")])
                #expect(forged.status == 403 && forged.code == Self.code, "\(name)")
                // The peer is inside, whatever it says.
                let ignored = try await ask(2, [(name, mark + "203.0.113.9")])
                #expect(ignored.status == 200, "\(name) \(ignored.body)")
            }
        }
    }
}

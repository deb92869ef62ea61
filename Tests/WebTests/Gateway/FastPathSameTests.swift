// The two ways in which `/verify` is answered give the same bytes for whatever a gateway, or
// anybody else, may send, however the network cuts it. Only the date, the request id and the age of
// the read differ, and are masked by name.
import Access
import ChaosKit
import ClusterKit
import Glibc
import Logging
import NIOCore
import Primitives
import Sessions
import TestKit
import Testing

@testable import Tokens
@testable import Web

@Suite(.serialized) struct FastPathSameTests {
    private static let seed: UInt64 = 20
    private static let count = 520

    /// Inputs with tokens of `cluster`: valid, revoked, expired, and no tokens at all.
    private static func inputs(
        _ cluster: Cluster,
        paths: [String] = []
    ) async throws -> [String] {
        let ada = try await cluster.signUp("ada")
        try await makeOrganisations(of: ada, cluster)
        let good = try await cluster.signIn("ada")
        let dead = try await cluster.signIn("ada")
        try await cluster.logOut(dead)
        let node = cluster.nodes[0]
        let now = cluster.clock.wall.now()
        let key = try #require(node.keys.ring.current(.accessToken, at: now))
        var claims = try await cluster.claims(good)
        claims.issuedAt = now + .seconds(-1000)
        claims.expiresAt = now + .seconds(-400)
        let old = try AccessTokenWriter.sign(claims, issuer: issuer, with: key)
        let text = String(decoding: good.accessToken.exposed, as: UTF8.self)
        // Sessions for an organisation: where he is a member, and where nobody may act.
        let plain = try await cluster.claims(good)
        let placed = try [1, 2].map { number in
            var claims = plain
            claims.organisationID = OrganisationID(organisation(number))
            return try AccessTokenWriter.sign(claims, issuer: issuer, with: key)
        }
        var grammar = GatewayGrammar(
            seed: seed,
            GatewayGrammar.Tokens(
                good: paths.isEmpty ? [text, text, placed[0]] : [text],
                bad: [
                    String(decoding: dead.accessToken.exposed, as: UTF8.self), old, "a.b.c", "x",
                    placed[1],
                    text + "A", String(text.dropLast(2)) + "AA", text + "=", "é",
                    String(repeating: "t", count: 5000),
                ]
            )
        )
        grammar.paths = paths
        // With rules they are the general path's.
        if paths.isEmpty { grammar.organisations = organisations }
        return grammar.inputs(count)
    }

    /// Values of `X-Org`: a member's with a role there, one that is disabled, one of others, none.
    private static let organisations = [
        organisation(1), organisation(1), organisation(1), organisation(1).uppercased(),
        organisation(2), organisation(3), organisation(4), "", "acme", organisation(1) + ",",
        "\(organisation(1))\r\nX-Org: \(organisation(1))", "é",
    ]

    private static func organisation(_ number: Int) -> String {
        "00000000-0000-7000-8000-00000000a00\(number)"
    }

    private static func makeOrganisations(of member: AccountID, _ cluster: Cluster) async throws {
        try await cluster.run(
            """
            INSERT INTO organisations (id, name, display_name, state, created_at, updated_at)
            VALUES ('\(organisation(1))', 'acme', 'A', 'active', now(), now()),
                   ('\(organisation(2))', 'shut', 'S', 'disabled', now(), now()),
                   ('\(organisation(3))', 'others', 'O', 'active', now(), now());
            INSERT INTO organisation_members (organisation_id, account_id, joined_at)
            VALUES ('\(organisation(1))', '\(member)', now()),
                   ('\(organisation(2))', '\(member)', now());
            INSERT INTO account_roles (account_id, role_id, scope, granted_at)
            VALUES ('\(member)', '\(BuiltInRole.admin)', 'org:\(organisation(1))', now())
            """
        )
    }

    private static let issuer = "http://127.0.0.1:8000"

    private static func run(_ body: @Sendable (Cluster) async throws -> Void) async throws {
        // Each listener would use up what the other has of one address's budget.
        let settings = ["verify.original_request": "auto", "tokens.failed_checks": "0"]
        try await Cluster.run(1, set: settings, body)
    }

    /// What comes back for `pieces` until the server ends; masked.
    private static func exchange(_ port: Int, _ pieces: [[UInt8]]) async throws -> [UInt8] {
        let server = RunningServer(port: port, logs: LogRecorder(), stop: {})
        return try await server.connect { client in
            for piece in pieces { try await client.send(piece) }
            client.finish()
            return Masked.answers(Array(try await client.readToEnd().utf8))
        }
    }

    /// Does `work` for each of `items`, eight at a time.
    private static func each<Item: Sendable>(
        _ items: [Item],
        _ work: @escaping @Sendable (Item) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (number, item) in items.enumerated() {
                if number >= 8 { try await group.next() }
                group.addTask { try await work(item) }
            }
            try await group.waitForAll()
        }
    }

    @Test func `520 inputs get the same bytes on both ways, whole and in pieces (row 256)`()
        async throws
    {
        try await Self.run { cluster in
            let inputs = try await Self.inputs(cluster)
            try await Self.expectSame(cluster, inputs)
            // Inputs that all go one way would prove nothing.
            let metrics = cluster.nodes[0]
            #expect(metrics.value("watchword_verify_fast_total") > Self.count / 2)
            #expect(metrics.value("watchword_verify_general_total") > Self.count)
        }
    }

    /// Paths that rules let pass, or some, or nobody; and some that nobody may ask about.
    private static let paths = [
        "/app", "/app/page?x=1", "/public", "/public/a/b", "/staff/x", "/member/7", "/member/%20",
        "/nowhere", "/", "/here", "/pos%74", "/a/../b", "//", "/a;b", "/a%2fb", "/a%c3%a9", "/a%ff",
        "/scoped", "/post", "/a#b", "*", "http://a/app",
    ]

    private static var rules: [RouteDefinition] {
        func rule(_ path: String, _ access: RouteAccess = .authenticated) -> RouteDefinition {
            RouteDefinition(methods: ["*"], path: path, access: access)
        }
        var rules = ["/app/**", "/staff/*", "/member/{id}", "/here", "/scoped", "/post", "/a/**"]
            .map { rule($0) }
        rules[1].roles = ["admin"]
        rules[2].roles = ["member"]
        rules[2].resource = "thing:{id}"
        rules[3].host = "app.example.test"
        rules[4].scopes = ["openid"]
        rules[5].methods = ["POST"]
        return rules + [rule("/public/**", .everybody), rule("/*")]
    }

    @Test(arguments: ["x-original", "x-forwarded", "request-line"])
    func `with route rules too, for each source of the original request (row 236)`(
        _ source: String
    ) async throws {
        let settings = [
            "verify.original_request": source, "verify.route_rules": "on",
            "tokens.failed_checks": "0",
        ]
        try await Cluster.run(1, set: settings) { cluster in
            let inputs = try await Self.inputs(cluster, paths: Self.paths)
            _ = try await cluster.nodes[0].web.routeRules.replace(
                with: Self.rules,
                by: RouteEditor(
                    account: AccountID(at: cluster.clock.wall.now(), entropy: .system),
                    trace: cluster.trace(),
                    seen: .any
                )
            )
            try await Self.expectSame(cluster, inputs)
            let metrics = cluster.nodes[0]
            #expect(metrics.value("watchword_verify_fast_total") > Self.count / 8)
            #expect(metrics.value("watchword_verify_general_total") > Self.count)
        }
    }

    /// Sends inputs to a listener with the fast path and to one without, whole and cut.
    private static func expectSame(_ cluster: Cluster, _ inputs: [String]) async throws {
        try await VerifyListener.run(cluster, isFast: true) { fast in
            try await VerifyListener.run(cluster, isFast: false) { general in
                let ports = (fast.port, general.port)
                try await each(Array(inputs.enumerated())) { number, input in
                    let bytes = Array(input.utf8)
                    let found = try await exchange(ports.0, [bytes])
                    let wanted = try await exchange(ports.1, [bytes])
                    let isSame = found == wanted
                    #expect(isSame, "\(number): \(tell(input, found, wanted))")
                    // The parser's own share of the cuts, which only sockets show.
                    var dice = Dice(seed: UInt64(number))
                    let cut = Int.random(in: 1..<bytes.count, using: &dice)
                    for port in [ports.0, ports.1] {
                        let pieces = [Array(bytes[..<cut]), Array(bytes[cut...])]
                        let again = try await exchange(port, pieces)
                        let isAgain = again == wanted
                        #expect(
                            isAgain,
                            "\(number) cut at \(cut): \(tell(input, again, wanted))"
                        )
                    }
                }
            }
        }
    }

    @Test(.timeLimit(.minutes(60)))
    func `wherever an input is cut, the front answers and passes on the same`() async throws {
        try await Self.run { cluster in
            let inputs = try await Self.inputs(cluster)
            let loop = cluster.nodes[0].group.next()
            try await VerifyListener.run(cluster, isFast: true) { listener in
                let desk = try #require(listener.desks.desk(on: loop))
                let limits = HTTPLimits()
                let dispatcher = Dispatcher(
                    VerifyListener.settings(limits),
                    routes: [],
                    clock: .system,
                    entropy: .system,
                    logger: Logger(label: "tests") { _ in LogRecorder().handler }
                )
                for (number, input) in inputs.enumerated() {
                    let bytes = Array(input.utf8)
                    let ways = [[]] + Self.ways(bytes.count, number)
                    let batch = try await loop.submit {
                        try CutBatch(bytes, ways, desk, dispatcher, limits)
                    }.get()
                    try await until("input \(number) is answered") {
                        try await loop.submit { batch.isQuiet }.get()
                    }
                    let differing = try await loop.submit {
                        batch.differing(from: batch.outcome)
                    }.get()
                    #expect(differing.isEmpty, "\(number): \(input.prefix(900))")
                    try await loop.submit { batch.close() }.get()
                }
            }
        }
    }

    /// Where an input is cut.
    ///
    /// With `WATCHWORD_CUTS=all` (`make cuts`) in two pieces with the cut at every byte, on a
    /// connection each. Otherwise one in 26 is; every third comes byte by byte, which shows every
    /// beginning of it; the others in two pieces, cut by chance. What over-long inputs repeat is
    /// not cut everywhere.
    private static func ways(_ count: Int, _ number: Int) -> [[Int]] {
        var dice = Dice(seed: UInt64(number))
        if getenv("WATCHWORD_CUTS") != nil, count < 3000 { return (1..<count).map { [$0] } }
        if count < 3000, number % 26 == 0 { return (1..<count).map { [$0] } }
        if count < 3000, number % 3 == 0 { return [Array(1..<count)] }
        return (0..<10).map { _ in [Int.random(in: 1..<count, using: &dice)] }
    }

    private static func tell(_ input: String, _ found: [UInt8], _ wanted: [UInt8]) -> String {
        "\(input.prefix(900))\n-- got --\n\(String(decoding: found, as: UTF8.self))"
            + "\n-- not --\n\(String(decoding: wanted, as: UTF8.self))"
    }
}

// Forged tokens at a real listener, on both ways in which `/verify` is answered and at the API: who
// sends them is looked at so often and no more, and nobody else is the worse for it (decision 18).
import ClusterKit
import Primitives
import Sessions
import Testing

@testable import Web

@Suite(.serialized) struct ForgedTokenTests {
    static let forger = "203.0.113.9"
    /// One failed check is allowed, and the next twenty seconds later.
    static let settings = ["tokens.failed_checks": "3"]

    /// How a token is shown, and where from: nil for no word of the proxy about it.
    struct Call {
        var target = "/verify"
        var isCookie = false
        var address: String? = ForgedTokenTests.forger
    }

    /// Status and code of the answer, and what else of it matters here.
    static func ask(
        _ token: [UInt8],
        _ port: Int,
        _ call: Call = Call()
    ) async throws -> String {
        let server = RunningServer(port: port, logs: LogRecorder(), stop: {})
        let text = String(decoding: token, as: UTF8.self)
        let credential =
            call.isCookie ? "Cookie: ww_access=\(text)" : "Authorization: Bearer \(text)"
        let forwarded = call.address.map { "X-Forwarded-For: \($0)\r\n" } ?? ""
        let head = "GET \(call.target) HTTP/1.1\r\nHost: a\r\n\(forwarded)\(credential)\r\n\r\n"
        let answer = try await server.connect { client in
            try await client.send(head)
            client.finish()
            return try await client.readToEnd().lowercased()
        }
        var said = String(answer.dropFirst("HTTP/1.1 ".count).prefix(3))
        for code in ["token-invalid", "too-many-attempts"] {
            if answer.contains("\"code\":\"\(code)\"") { said += " \(code)" }
        }
        if answer.contains("retry-after: ") { said += " later" }
        if answer.contains("set-cookie: ") { said += " cleared" }
        return said
    }

    /// The token with another signature, of the same form.
    private static func forge(_ token: [UInt8]) -> [UInt8] {
        var forged = token
        let place = forged.count - 40
        forged[place] = forged[place] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
        return forged
    }

    @Test(arguments: [true, false])
    func `a forger uses up the budget of his address, and of no other (W10)`(
        _ isFast: Bool
    ) async throws {
        try await Cluster.run(set: Self.settings) { cluster in
            let node = cluster.nodes[0]
            _ = try await cluster.signUp()
            let known = try await cluster.signIn().accessToken.exposed
            let forged = Self.forge(known)
            try await VerifyListener.run(cluster, isFast: isFast) { listener in
                let port = listener.port
                #expect(try await Self.ask(known, port) == "200")
                #expect(try await Self.ask(forged, port) == "401 token-invalid")
                #expect(node.value("watchword_signature_budget_refused_total") == 0)
                // Nobody looks at what comes from there any more, be it good or not. Each time with
                // a failed check before it, in case that this one took as long as twenty seconds.
                try await until("a new token is not looked at") {
                    let fresh = try await cluster.signIn().accessToken.exposed
                    _ = try await Self.ask(forged, port)
                    return try await Self.ask(fresh, port) == "401 token-invalid later"
                }
                #expect(node.value("watchword_signature_budget_refused_total") > 0)
                try await until("the API says so by its own code") {
                    let call = Call(target: "/v1/me")
                    return try await Self.ask(forged, port, call) == "429 too-many-attempts later"
                }
                // What is remembered is not asked about; elsewhere all is as ever.
                #expect(try await Self.ask(known, port) == "200")
                #expect(try await Self.ask(known, port, Call(target: "/v1/me")) == "200")
                let other = Call(address: "203.0.113.10")
                let fresh = try await cluster.signIn().accessToken.exposed
                #expect(try await Self.ask(fresh, port, other) == "200")
                #expect(try await Self.ask(forged, port, other) == "401 token-invalid")
                let ways = isFast ? "watchword_verify_general_total" : "watchword_verify_fast_total"
                #expect(node.value(ways) == 0)
            }
        }
    }

    @Test(arguments: [true, false])
    func `a proxy that tells of nobody has no budget, because it is everybody`(
        _ isFast: Bool
    ) async throws {
        try await Cluster.run(set: Self.settings) { cluster in
            _ = try await cluster.signUp()
            let forged = Self.forge(try await cluster.signIn().accessToken.exposed)
            try await VerifyListener.run(cluster, isFast: isFast) { listener in
                for address in [nil, "127.0.0.1", "unknown"] {
                    let call = Call(address: address)
                    for _ in 0..<20 {
                        #expect(
                            try await Self.ask(forged, listener.port, call) == "401 token-invalid",
                            "\(address ?? "none")"
                        )
                    }
                    let fresh = try await cluster.signIn().accessToken.exposed
                    #expect(try await Self.ask(fresh, listener.port, call) == "200")
                }
            }
        }
    }

    @Test func `a cookie that nobody has looked at is not taken from a browser (row 244)`()
        async throws
    {
        try await Cluster.run(set: Self.settings) { cluster in
            _ = try await cluster.signUp()
            let forged = Self.forge(try await cluster.signIn().accessToken.exposed)
            try await VerifyListener.run(cluster, isFast: true) { listener in
                let open = Call(isCookie: true, address: nil)
                #expect(
                    try await Self.ask(forged, listener.port, open) == "401 token-invalid cleared"
                )
                try await until("it is not looked at") {
                    let said = try await Self.ask(forged, listener.port, Call(isCookie: true))
                    return said == "401 token-invalid later"
                }
            }
        }
    }

    @Test func `a budget belongs to a client whose address is known`() throws {
        let client = try #require(IPAddress("203.0.113.9"))
        let peer = try #require(IPAddress("10.0.0.1"))
        for isDevelopment in [true, false] {
            let settings = VerifySettings(
                source: .auto,
                believesEveryPeer: isDevelopment,
                readsRequirements: true,
                allowedOrigins: [],
                mode: .linear
            )
            // Forwarded by a proxy; a proxy itself; and whoever comes straight to the node, which
            // in development may be a gateway that nobody has configured.
            #expect(settings.payer(client, isTrusted: false, peer: peer) == client.bytes)
            #expect(settings.payer(peer, isTrusted: true, peer: peer) == nil)
            let direct = settings.payer(peer, isTrusted: false, peer: peer)
            #expect(direct == (isDevelopment ? nil : peer.bytes))
        }
    }
}

// What an application behind nginx sees, with the configuration that we ship: our identity headers
// and nobody else's (checklist rows 234 to 243).
import Primitives
import TestKit
import Testing

@testable import Tokens
@testable import Web

@Suite(.leavesNoSecrets) struct GatewayTests {
    /// The headers that the application got, from its answer.
    private func identity(_ answer: HTTPAnswer) -> [String: [String]] {
        var found: [String: [String]] = [:]
        for line in answer.body.split(separator: "\r\n").dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            let letters = parts[0].lowercased().map { $0.isLetter || $0.isNumber ? $0 : "-" }
            let name = String(letters)
            guard name.hasPrefix("x-auth") else { continue }
            found[name, default: []].append(parts[1].trimmingPrefix(" ").description)
        }
        return found
    }

    @Test
    func `a forged identity never reaches the application, in any spelling (rows 234, 235, 241)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        let tokens = try await cluster.signIn(person)
        let browser = try await cluster.browse(person)
        let wanted = [
            "x-auth-user": [person.id], "x-auth-roles": ["member"],
            "x-auth-client": ["watchword"],
        ]
        var forgeries: [[(String, String)]] = [[]]
        for name in VerifyTests.identity + ["X-Auth-Admin"] {
            forgeries += [
                [(name, "admin")], [(name.lowercased(), "admin")], [(name.uppercased(), "admin")],
                [(name.replacing("-", with: "_"), "admin")], [("X_Auth-User", "admin")],
                [(name, "admin"), (name, "root")], [(name, "")],
                [("Connection", name), (name, "admin")],
            ]
            forgeries.append([(name.replacing("-", with: "."), "admin")])
            forgeries.append([("X-Auth_\(name.dropFirst("X-Auth-".count))", "admin")])
        }
        for forgery in forgeries {
            for credential in [tokens.bearer, [browser.cookieField]] {
                let session = credential[0].0 == "Cookie" ? browser.session : tokens.session
                let answer = try await cluster.gateway.send(
                    "GET",
                    "/app/page?x=y",
                    credential + forgery
                )
                #expect(answer.status == 200)
                var got = identity(answer)
                // Watchword knows nothing of this header, so nginx passes it on; no application
                // may trust it, as the sample says.
                got["x-auth-admin"] = nil
                #expect(got["x-auth-session"] == [session], "\(forgery)")
                for (name, values) in wanted { #expect(got[name] == values, "\(forgery)") }
                let isForged = got.values.joined().contains { ["admin", "root"].contains($0) }
                #expect(!isForged)
            }
            #expect(try await cluster.gateway.send("GET", "/app/page", forgery).status == 401)
        }
    }

    @Test
    func `a good token passes the gateway, and no other request gets behind it (S2-6, S3-4)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let tokens = try await cluster.signIn(cluster.person())
        let out = try await cluster.signIn(cluster.person())
        _ = try await cluster.node.send("POST", "/v1/auth/logout", out.bearer)
        let forge = try await TokenForge(cluster)
        let foreign = try forge.change(tokens.access) { $0.audience = "somebody" }
        let bad: [(token: String?, code: String)] = [
            (nil, "token-missing"), ("nonsense", "token-malformed"), (foreign, "token-invalid"),
            (try forge.expired(tokens.access), "token-expired"), (out.access, "token-revoked"),
        ]
        for method in ["GET", "POST", "DELETE"] {
            let passed = try await cluster.gateway.send(method, "/app/page", tokens.bearer)
            #expect(passed.status == 200)
            #expect(passed.body.hasPrefix("\(method) /app/page HTTP/1."))
            for (token, code) in bad {
                let fields = token.map { [("Authorization", "Bearer \($0)")] } ?? []
                let refused = try await cluster.gateway.send(method, "/app/page", fields)
                #expect(refused.status == 401, "\(code)")
                // The application answers with the head that it got.
                #expect(!refused.body.contains("/app/page"), "\(code)")
                let direct = try await cluster.node.send(method, "/verify", fields)
                #expect(direct.code == code)
            }
        }
    }

    @Test
    func `unsafe requests of a browser need its CSRF value at the gateway too (row 145)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let browser = try await cluster.browse(cluster.person())
        for method in ["POST", "PUT", "DELETE"] {
            let target = "/app/order"
            let bare = try await cluster.gateway.send(method, target, [browser.cookieField])
            #expect(bare.status == 403)
            let lie = [browser.cookieField, ("X-Original-Method", "GET")]
            #expect(try await cluster.gateway.send(method, target, lie).status == 403)
            let good = try await cluster.gateway.send(method, target, browser.fields)
            #expect(good.status == 200)
        }
    }

    @Test
    func `two people at once never get each other's headers (row 243, S4-T12)`() async throws {
        let cluster = try await Cluster.shared()
        var people: [(person: Person, tokens: Tokens)] = []
        for _ in 0..<4 {
            let person = try await cluster.person()
            people.append((person, try await cluster.signIn(person)))
        }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (person, tokens) in people {
                group.addTask {
                    for _ in 0..<25 {
                        let app = try await cluster.gateway.send("GET", "/app/x", tokens.bearer)
                        #expect(identity(app)["x-auth-user"] == [person.id])
                        let me = try await cluster.gateway.send("GET", "/v1/me", tokens.bearer)
                        #expect(me.text("id") == person.id)
                        #expect(me["Cache-Control"] == "no-store")
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(!Gateway.sample.contains("proxy_cache"))
    }

    @Test
    func `the public keys are public, cacheable and hold no private part (rows 140, 155)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let answer = try await cluster.gateway.send("GET", "/.well-known/jwks.json")
        #expect(answer.status == 200)
        let keys = answer.json.at("keys")?.items ?? []
        #expect(!keys.isEmpty)
        for key in keys {
            #expect(key.names == ["kty", "crv", "use", "alg", "kid", "x", "y"])
        }
        #expect(answer["Cache-Control"] == "public, max-age=300")
    }

    @Test
    func `the public listener tells nothing of the inside (rows 286, 287, 288, 297)`() async throws
    {
        let cluster = try await Cluster.shared()
        let tokens = try await cluster.signIn(cluster.person())
        for target in [
            "/metrics", "/livez", "/readyz", "/debug", "/.git/config", "/.env", "/graphql", "/",
            "/openapi.json", "/v1/me/x.css", "/v1/me/", "//v1/me", "/v1//me", "/V1/me", "/v1/me;x",
            "/v1/%6de",
        ] {
            let answer = try await cluster.node.send("GET", target, tokens.bearer)
            #expect(answer.status == 404, "\(target)")
            #expect(answer.code == "not-found")
        }
        for method in ["TRACE", "CONNECT", "BREW"] {
            let answer = try await cluster.node.send(method, "/v1/me", tokens.bearer)
            #expect([400, 405].contains(answer.status), "\(method)")
            #expect(answer["Server"] == nil)
        }
    }
}

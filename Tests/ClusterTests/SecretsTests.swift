// What must be found nowhere: not in logs at their most talkative, not in PostgreSQL, not in Redis
// (W7; checklist rows 96, 112, 276, 277, 284, 300, 301, 306).
import Primitives
import TestKit
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct SecretsTests {
    /// Uses every secret there is, the wrong way and the right way.
    private func useEverything(_ cluster: Cluster) async throws {
        var person = try await cluster.person()
        let tokens = try await cluster.signIn(person)
        let browser = try await cluster.browse(person)
        for wrong in ["wrong password marker 1", "x", "wrong-password-marker-2"] {
            cluster.secrets.add(wrong, "wrong password")
            _ = try await cluster.login(person.email, wrong)
            // People type passwords into the wrong field (row 306).
            _ = try await cluster.login(wrong, person.password)
        }
        let fresh = "a new password marker \(person.username)"
        cluster.secrets.add(fresh, "password")
        let changed = try Tokens(
            await cluster.node.send(
                "POST",
                "/v1/me/password",
                tokens.bearer,
                json: """
                    {"current_password":"\(person.password)","new_password":"\(fresh)"}
                    """
            )
        )
        person.password = fresh
        let next = try Tokens(await cluster.refresh(changed.refresh))
        _ = try await cluster.refresh(changed.refresh)
        for credential in [next.bearer, tokens.bearer, browser.fields] {
            for node in cluster.nodes {
                _ = try await node.client.send("GET", "/verify", credential)
                _ = try await node.client.send("POST", "/v1/auth/nowhere", credential)
                // Where a client puts it where it does not belong.
                let token = credential[0].1.split(separator: " ").last.map(String.init) ?? ""
                _ = try await node.client.send("GET", "/v1/me?access_token=\(token)", credential)
                _ = try await node.client.send("GET", "/\(token)", [("Referer", token)])
                _ = try await node.client.send("GET", "/v1/me", [("X-Request-Id", token)])
                _ = try await node.client.send("GET", "/v1/me", [("User-Agent", "curl")])
            }
        }
        // Through the gateway, which writes a log of its own.
        let gate = try cluster.gateway
        let passed = try Tokens(await cluster.login(person.email, person.password, at: gate))
        _ = try await gate.send("GET", "/app/page", passed.bearer)
        _ = try Tokens(await cluster.refresh(passed.refresh, at: gate))
        _ = try await cluster.refresh("\(passed.refresh)x", at: gate)
        let cookies = try Browser(
            await cluster.login(person.email, person.password, transport: "cookie", at: gate)
        )
        _ = try await gate.send("GET", "/app/page", cookies.fields)
        _ = try await gate.send("POST", "/v1/auth/refresh", cookies.fields)
        _ = try await gate.send("POST", "/v1/auth/logout", cookies.fields)
        let other = try await cluster.browse(person)
        _ = try await cluster.node.send("POST", "/v1/auth/refresh", other.fields)
        _ = try await cluster.node.send("POST", "/v1/auth/logout", other.fields)
        _ = try await cluster.node.send("POST", "/v1/auth/logout-all", next.bearer)
    }

    @Test
    func `no log, no table and no Redis key holds a usable secret (W7, S0-T11, S3-T5, row 300)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        try await useEverything(cluster)
        #expect(cluster.secrets.all.count > 20)
        try await cluster.expectNoSecrets()
    }

    @Test
    func `what every answer is searched for are all the columns of secrets (row 168)`() async throws
    {
        let cluster = try await Cluster.shared()
        let bytes = try await cluster.sql(
            """
            SELECT DISTINCT column_name
              FROM information_schema.columns
             WHERE table_schema = 'public'
               AND udt_name IN ('bytea', '_bytea')
            """
        )
        // A new column of bytes is secret, or somebody says why not.
        let known = NeverAnswered.columns + NeverAnswered.harmlessColumns
        let found = Set(bytes.split(separator: "\n").map(String.init)).union(["phc"])
        #expect(found == Set(known))
        // What is searched for would be found.
        for name in NeverAnswered.columns {
            let body = "{\"items\":[{\"id\":\"1\",\"\(name)\":\"x\"}]}"
            #expect(NeverAnswered.found(in: body).count == 1, "\(name)")
        }
        let person = try await cluster.person()
        let hash = try await cluster.sql(
            "SELECT phc FROM account_passwords WHERE account_id = '\(person.id)'"
        )
        #expect(NeverAnswered.found(in: "{\"value\":\"\(hash)\"}") == ["$argon2"])
        let me = try await cluster.node.send("GET", "/v1/me", cluster.signIn(person).bearer)
        #expect(me.status == 200 && NeverAnswered.found(in: me.body).isEmpty)
    }

    @Test
    func `every log line is JSON, and what clients say cannot forge one (row 301)`() async throws {
        let cluster = try await Cluster.shared()
        let forgery = #"x\r\n{\"level\":\"error\",\"message\":\"forged-line\"}\u001b[31m\u202e"#
        _ = try await cluster.login(forgery, "whatever it may be")
        let person = try await cluster.person()
        for agent in ["a\u{1B}[31mred", "a\u{202E}b forged-agent", "{\"message\":\"forged-line\"}"]
        {
            _ = try await cluster.login(
                person.email,
                person.password,
                [("User-Agent", agent), ("X-Request-Id", agent), ("X-Forwarded-For", agent)]
            )
        }
        _ = try await cluster.node.send("GET", "/forged-line%0d%0a{\"message\":\"forged-line\"}")
        for node in cluster.nodes {
            let file = node.logFile
            let odd = try await Blocking.run {
                // The last line may still be on its way.
                try PrivateFolder.read(file).split(separator: "\n").dropLast().filter { line in
                    let value = try JSONReader.read(Array(line.utf8))
                    return value.at("message")?.string == "forged-line" || value.at("level") == nil
                        || ["\u{1B}", "\u{202E}", "\r"].contains { line.contains($0) }
                }.map(String.init)
            }
            #expect(odd.isEmpty)
        }
        let history = try await cluster.node.send(
            "GET",
            "/v1/me/login-history",
            cluster.signIn(person).bearer
        )
        #expect(history.status == 200)
        #expect(!history.body.contains("\u{1B}"))
    }

    @Test
    func `a session lives without a User-Agent and with a long one (S4-T13)`() async throws {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        let long = String(repeating: "Mozilla ", count: 1250)
        for fields in [[], [("User-Agent", "")], [("User-Agent", long)]] {
            let answer = try await cluster.login(
                person.email,
                person.password,
                fields + [("X-Forwarded-For", "203.0.113.77")]
            )
            let tokens = try Tokens(answer)
            let list = try await cluster.node.send("GET", "/v1/me/sessions", tokens.bearer)
            let item = list.json.at("items")?.items.first
            let agent = item?.at("user_agent")?.string ?? "?"
            #expect(fields.isEmpty ? agent.isEmpty : fields[0].1.hasPrefix(agent))
            #expect(agent.utf8.count <= 1024)
            // The client's address, not the proxy's.
            #expect(item?.at("ip_address")?.string == "203.0.113.77")
        }
    }
}

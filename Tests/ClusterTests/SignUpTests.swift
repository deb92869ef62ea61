// What a person hands in at sign-up, what comes back of it, and what is remembered of where they
// are.
import Primitives
import Testing

@testable import Web

@Suite struct SignUpTests {
    @Test
    func `a sign-up answers with the account and with nothing that opens it (S3-1, S4-1, S3-18)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let mark = Hex.encode(Entropy.system.bytes(6))
        let password = "correct horse \(mark) staple"
        cluster.secrets.add(password, "password")
        let names = #""email":"N\#(mark)@Example.TEST","username":"Name_\#(mark)""#
        func register(_ members: String) async throws -> HTTPAnswer {
            try await cluster.node.send("POST", "/v1/auth/register", json: "{\(members)}")
        }
        // Typing it twice is the page's business, and nothing is taken that is not looked at.
        for more in ["confirmPassword", "repeat_password", "roles"] {
            let wrong = try await register(
                #"\#(names),"password":"\#(password)","\#(more)":"\#(password)""#
            )
            #expect(wrong.status == 400)
            let errors = wrong.json.at("errors")?.items.compactMap { $0.at("member")?.string }
            #expect(errors == [more])
        }
        let bad = try await register(#""email":"nobody","password":"\#(password)""#)
        #expect(bad.status == 400)
        #expect(bad.code == "validation-failed")

        let made = try await register(#"\#(names),"password":"\#(password)""#)
        #expect(made.status == 201)
        #expect(made.json.names == ["account"])
        let account = try #require(made.json.at("account"))
        #expect(account.names == ["id", "email", "username", "confirmed", "created_at"])
        #expect(account.at("email") == .text("N\(mark)@Example.TEST"))
        #expect(account.at("username") == .text("Name_\(mark)"))
        #expect(made.values("Set-Cookie").isEmpty)
        // In the table the name by which it is found is in lower case.
        let id = try #require(made.text("account.id"))
        let canonical = "SELECT username_canonical FROM accounts WHERE id = '\(id)'"
        #expect(try await cluster.sql(canonical) == "name_\(mark)")
        let other = names.replacing("Example.TEST", with: "other.test")
        let taken = try await register(#"\#(other),"password":"\#(password)""#)
        #expect(taken.status == 409)
        #expect(taken.code == "username-taken")
        _ = try Tokens(await cluster.login("NAME_\(mark.uppercased())", password))
    }

    @Test func `what a person tells at sign-up is told back to them (S1-10)`() async throws {
        let cluster = try await Cluster.shared()
        let mark = Hex.encode(Entropy.system.bytes(6))
        let password = "a pass phrase of \(mark)"
        cluster.secrets.add(password, "password")
        let profile = [
            "given_name": "Ada", "family_name": "King-Noël",
            "address": "12 St James's Square\\nLondon",
            "phone_number": "+44 20 7946 0018", "birthdate": "1815-12-10",
        ]
        let members = profile.map { "\"\($0.key)\":\"\($0.value)\"" }.joined(separator: ",")
        let made = try await cluster.node.send(
            "POST",
            "/v1/auth/register",
            json: """
                {"email":"\(mark)@example.test","password":"\(password)","profile":{\(members)}}
                """
        )
        #expect(made.status == 201, "\(made.body)")
        let tokens = try Tokens(await cluster.login("\(mark)@example.test", password))
        for node in cluster.nodes {
            let me = try await node.client.send("GET", "/v1/me", tokens.bearer)
            #expect(me.json.at("profile")?.names == Set(profile.keys))
            for (name, value) in profile {
                #expect(me.text("profile.\(name)") == value.replacing("\\n", with: "\n"))
            }
        }
    }

    @Test func `a day of birth is a day of the calendar (S1-10, W10)`() async throws {
        let cluster = try await Cluster.shared()
        let mark = Hex.encode(Entropy.system.bytes(6))
        for (index, (day, isOne)) in [
            ("2000-02-29", true), ("1900-02-28", true), ("0000-12-31", true),
            ("1900-02-29", false), ("2001-13-01", false), ("2001-00-10", false),
            ("2001-04-31", false), ("2001-01-00", false), ("20011231xx", false),
            ("+001-12-31", false), ("2001/12/31", false), ("٢٠٠١-١٢-٣١", false),
        ].enumerated() {
            let answer = try await cluster.node.send(
                "POST",
                "/v1/auth/register",
                json: """
                    {"email":"d\(index).\(mark)@example.test","password":"born on some \(mark)",
                    "profile":{"birthdate":"\(day)"}}
                    """
            )
            #expect(answer.status == (isOne ? 201 : 400), "\(day) \(answer.body)")
            let errors = answer.json.at("errors")?.items.compactMap { $0.at("member")?.string }
            #expect(errors == (isOne ? nil : ["profile.birthdate"]), "\(day)")
        }
    }

    @Test
    func `where somebody is, is shown and binds nobody (S0-18, S0-T8)`() async throws {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        let home = [("X-Forwarded-For", "203.0.113.1"), ("User-Agent", "at home")]
        let train = [("X-Forwarded-For", "198.51.100.2"), ("User-Agent", "on the train")]
        let tokens = try Tokens(
            await cluster.login(person.email, person.password, home)
        )
        for node in cluster.nodes {
            let there = try await node.client.send("GET", "/verify", tokens.bearer + train)
            #expect(there.status == 200)
        }
        let next = try Tokens(
            await cluster.node.send(
                "POST",
                "/v1/auth/refresh",
                train,
                json: "{\"refresh_token\":\"\(tokens.refresh)\"}"
            )
        )
        let list = try await cluster.node.send("GET", "/v1/me/sessions", next.bearer + train)
        let session = list.json.at("items")?.items.first
        #expect(session?.at("ip_address") == .text("203.0.113.1"))
        #expect(session?.at("user_agent") == .text("at home"))
        // Through the gateway a client is where its connection comes from, whatever it says.
        let lies =
            [
                "X-Forwarded-For", "X-Real-IP", "X-Client-IP", "Client-IP", "True-Client-IP",
            ].map { ($0, "6.6.6.6") } + [("Forwarded", "for=6.6.6.6")]
        let liar = try Tokens(
            await cluster.login(person.email, person.password, lies, at: cluster.gateway)
        )
        let history = try await cluster.node.send(
            "GET",
            "/v1/me/login-history",
            liar.bearer
        )
        let latest = history.json.at("items")?.items.first
        #expect(latest?.at("ip_address") == .text("127.0.0.1"))
        #expect(!history.body.contains("6.6.6.6"))
    }
}

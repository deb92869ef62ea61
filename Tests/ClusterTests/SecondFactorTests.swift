// Second factors: enrolled by whoever shows a code, asked for from then on, good once (rows 50 to
// 57, 61, 65; W5). The codes are computed by oath-toolkit.
import Glibc
import Primitives
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct SecondFactorTests {
    private static let path = EnrolledPerson.path

    /// What the log of a cluster says of somebody's sign-ins, oldest first.
    private static func outcomes(_ cluster: Cluster, _ person: Person) async throws -> [String] {
        try await cluster.sql(
            "SELECT outcome FROM login_history WHERE account_id = '\(person.id)' ORDER BY id"
        ).split(separator: "\n").map(String.init)
    }

    /// The payload of an access token.
    private static func claims(_ tokens: Tokens) throws -> String {
        let parts = tokens.access.split(separator: ".")
        return String(decoding: try #require(Base64URL.decode(Array(parts[1].utf8))), as: UTF8.self)
    }

    /// The same session, opened 16 minutes ago and refreshed since.
    private static func aged(_ tokens: Tokens, _ cluster: Cluster) async throws -> Tokens {
        try await cluster.sql(
            """
            UPDATE sessions SET authenticated_at = authenticated_at - interval '16 minutes'
             WHERE id = '\(tokens.session)'
            """
        )
        return try Tokens(await cluster.refresh(tokens.refresh))
    }

    /// Replaces a password that must be replaced; what is refused on the way uses no code up.
    private static func replace(_ enrolled: EnrolledPerson, _ cluster: Cluster) async throws {
        let recovery = enrolled.recoveryCodes[0]
        #expect(try await enrolled.login(recovery).code == "password-change-required")
        func login(_ new: String) async throws -> HTTPAnswer {
            cluster.secrets.add(new, "password")
            return try await cluster.node.send(
                "POST",
                "/v1/auth/login",
                json: """
                    {"login":"\(enrolled.person.email)","password":"\(enrolled.person.password)",
                     "code":"\(recovery)","new_password":"\(new)"}
                    """
            )
        }
        #expect(try await login("short").status == 400)
        let tokens = try Tokens(await login("another horse \(enrolled.person.id) staple"))
        #expect(try claims(tokens).contains("\"mfa\""))
    }

    @Test func `an enrolment counts when a code of it was shown, and not before (row 55)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        let tokens = try await cluster.signIn(person)
        let none = try await cluster.node.send("GET", Self.path, tokens.bearer)
        #expect(none.body.contains("\"enabled\":false"))
        // Nothing was begun: a step cannot be skipped (row 13).
        let skipped = try await cluster.node.send(
            "POST",
            "\(Self.path)/confirm",
            tokens.bearer,
            json: "{\"code\":\"123456\"}"
        )
        #expect(skipped.status == 404)
        let abandoned = try await cluster.node.send("POST", Self.path, tokens.bearer)
        let first = Authenticator(secret: try #require(abandoned.text("secret")))
        #expect(first.secret.utf8.count == 32)
        // Twenty bytes from CSPRNG in 32 digits, and the same in the link.
        let link = try #require(abandoned.text("otpauth_uri"))
        #expect(link.hasPrefix("otpauth://totp/auth.example.test:P"))
        #expect(link.contains("%40Example.TEST?secret=\(first.secret)&issuer=auth.example.test&"))
        let signedIn = try await cluster.signIn(person)
        #expect(try !Self.claims(signedIn).contains("amr"))
        // Another takes its place, and codes of the first are worth nothing.
        let begun = try await cluster.nodes[1].client.send("POST", Self.path, tokens.bearer)
        let second = Authenticator(secret: try #require(begun.text("secret")))
        func confirm(_ code: String) async throws -> HTTPAnswer {
            try await cluster.nodes[2].client.send(
                "POST",
                "\(Self.path)/confirm",
                tokens.bearer,
                json: "{\"code\":\"\(code)\"}"
            )
        }
        // For the session that has begun, not for another one (row 58).
        let elsewhere = try await cluster.node.send(
            "POST",
            "\(Self.path)/confirm",
            signedIn.bearer,
            json: "{\"code\":\"\(try await second.code())\"}"
        )
        #expect(elsewhere.status == 404)
        let wrong = try await confirm(try await first.code())
        #expect(wrong.status == 401 && wrong.code == "second-factor-incorrect")
        _ = try await cluster.signIn(person)
        let code = try await second.code()
        async let one = confirm(code)
        async let two = confirm(code)
        let confirmed = try await [one, two]
        #expect(Set(confirmed.map(\.status)) == [200, 404], "\(confirmed.map(\.body))")
        let again = try await cluster.node.send("POST", Self.path, tokens.bearer)
        #expect(again.status == 409 && again.code == "second-factor-present")
        let shown = try await cluster.node.send("GET", Self.path, tokens.bearer)
        #expect(
            shown.json.names.sorted() == [
                "confirmed_at", "enabled", "last_used_at", "recovery_codes_left",
            ]
        )
        #expect(shown.body.contains("\"enabled\":true"))
        #expect(shown.body.contains("\"recovery_codes_left\":10"))
        let journal = try await cluster.sql(
            """
            SELECT action FROM audit_events
             WHERE account_id = '\(person.id)' AND action LIKE 'second-factor%'
            """
        )
        #expect(journal == "second-factor.added")
    }

    @Test func `an enrolment ends after ten minutes (row 58)`() async throws {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        let tokens = try await cluster.signIn(person)
        let begun = try await cluster.node.send("POST", Self.path, tokens.bearer)
        let authenticator = Authenticator(secret: try #require(begun.text("secret")))
        try await cluster.sql(
            """
            UPDATE second_factors SET created_at = created_at - interval '10 minutes'
             WHERE account_id = '\(person.id)'
            """
        )
        let late = try await cluster.node.send(
            "POST",
            "\(Self.path)/confirm",
            tokens.bearer,
            json: "{\"code\":\"\(try await authenticator.code())\"}"
        )
        #expect(late.status == 404)
        _ = try await cluster.signIn(person)
    }

    @Test func `a password alone opens nothing any more, whoever asks (rows 41, 47)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let enrolled = try await EnrolledPerson(try await cluster.person(), in: cluster)
        let person = enrolled.person
        let alone = try await enrolled.login(nil)
        #expect(alone.status == 403 && alone.code == "second-factor-required")
        #expect(alone.cookies.isEmpty)
        let wrong = try await enrolled.login("000000")
        #expect(wrong.status == 401 && wrong.code == "second-factor-incorrect")
        // The password twice is one factor.
        let twice = try await enrolled.login(person.password)
        #expect(twice.code == "second-factor-incorrect")
        // Who does not know the password learns nothing of it (W6).
        for code in ["", ",\"code\":\"\(try await enrolled.authenticator.code(1))\""] {
            let stranger = try await cluster.node.send(
                "POST",
                "/v1/auth/login",
                json: "{\"login\":\"\(person.email)\",\"password\":\"not the password\"\(code)}"
            )
            #expect(stranger.status == 401 && stranger.code == "sign-in-failed")
        }
        let tokens = try await enrolled.signIn(at: cluster.nodes[1].client)
        #expect(try Self.claims(tokens).contains("\"amr\":[\"pwd\",\"otp\",\"mfa\"]"))
        let refreshed = try Tokens(await cluster.refresh(tokens.refresh))
        #expect(try Self.claims(refreshed).contains("\"amr\":[\"pwd\",\"otp\",\"mfa\"]"))
        #expect(
            try await Self.outcomes(cluster, person) == [
                "signed-in", "second-factor-required", "wrong-second-factor",
                "wrong-second-factor", "wrong-password", "wrong-password", "signed-in",
            ]
        )
        // Nobody sets it in passing (row 65).
        let desk = try await AdminDesk(cluster)
        let body = "{\"second_factor\":false}"
        let set = try await desk.send("PATCH", "/\(person.id)", json: body)
        #expect(set.status == 400)
        // A password that must be replaced is no way round it (row 85), nor is another password.
        let must = try await desk.send("POST", "/\(person.id)/require-password-change")
        #expect(must.status == 204)
        let forced = try await cluster.node.send(
            "POST",
            "/v1/auth/login",
            json: """
                {"login":"\(person.email)","password":"\(person.password)",
                 "new_password":"another horse \(person.id) staple"}
                """
        )
        #expect(forced.code == "second-factor-required")
        try await Self.replace(enrolled, cluster)
    }

    @Test func `who has none shows none`() async throws {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        let needless = try await cluster.node.send(
            "POST",
            "/v1/auth/login",
            json: """
                {"login":"\(person.email)","password":"\(person.password)","code":"123456"}
                """
        )
        #expect(needless.status == 400 && needless.body.contains("\"not-required\""))
        let tokens = try await cluster.signIn(person)
        let password = try await cluster.node.send(
            "POST",
            "/v1/me/password",
            tokens.bearer,
            json: """
                {"current_password":"\(person.password)","code":"123456",
                 "new_password":"another horse \(person.id) staple"}
                """
        )
        #expect(password.status == 400 && password.body.contains("\"not-required\""))
        for (method, rest) in [("DELETE", ""), ("POST", "/recovery-codes")] {
            let answer = try await cluster.node.send(method, Self.path + rest, tokens.bearer)
            #expect(answer.status == 404, "\(rest)")
        }
    }

    @Test func `a code opens one session, though 50 come at once at all nodes (W5, rows 50, 57)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        for isRecovery in [false, true] {
            let enrolled = try await EnrolledPerson(try await cluster.person(), in: cluster)
            try await enrolled.wait()
            let code =
                isRecovery
                ? enrolled.recoveryCodes[0] : try await enrolled.authenticator.code()
            let answers = try await withThrowingTaskGroup(of: HTTPAnswer.self) { group in
                for number in 0..<50 {
                    let client = cluster.nodes[number % cluster.nodes.count].client
                    group.addTask { try await enrolled.login(code, at: client) }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            let opened = answers.filter { $0.status == 200 }
            #expect(opened.count == 1, "\(answers.map(\.status))")
            let others = answers.filter { $0.status != 200 && $0.status != 503 }
            #expect(others.allSatisfy { $0.code == "second-factor-incorrect" })
            #expect(others.count >= 20)
            let later = try await enrolled.login(code)
            #expect(later.code == "second-factor-incorrect")
        }
    }

    @Test func `a code is good for its half minute and those beside it, in their order (row 51)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let enrolled = try await EnrolledPerson(try await cluster.person(), in: cluster)
        let authenticator = enrolled.authenticator
        for (steps, isGood) in [(-2, false), (2, false), (-1, true), (0, true), (1, true)] {
            var answer: HTTPAnswer
            var start: Int
            repeat {
                try await enrolled.wait()
                start = Authenticator.step
                let code = try await authenticator.code(steps)
                answer = try await enrolled.login(code)
                // Else the half minute was over between the two.
            } while start != Authenticator.step
            #expect((answer.status == 200) == isGood, "\(steps)")
        }
        // The one before what was shown last is none any more.
        let old = try await enrolled.login(try await authenticator.code(-1))
        #expect(old.code == "second-factor-incorrect")
        // What time it is, is not for the client to say (row 52).
        let future = try await authenticator.code(20)
        let answer = try await cluster.node.send(
            "POST",
            "/v1/auth/login",
            [("Date", "Tue, 22 Nov 2061 12:00:00 GMT")],
            json: """
                {"login":"\(enrolled.person.email)","password":"\(enrolled.person.password)",
                 "code":"\(future)"}
                """
        )
        #expect(answer.code == "second-factor-incorrect")
    }

    @Test func `guesses stop at the account's limit, over all nodes and sign-ins (row 53)`()
        async throws
    {
        var plan = Cluster.Plan()
        plan.nodes = 2
        plan.variables["WATCHWORD_THROTTLE_SIGN_IN_PER_ACCOUNT"] = "10"
        try await Cluster.run(plan) { cluster in
            let enrolled = try await EnrolledPerson(try await cluster.person(), in: cluster)
            for guess in 0..<5 {
                let answer = try await enrolled.login("00000\(guess)", at: cluster.nodes[0].client)
                #expect(answer.code == "second-factor-incorrect")
            }
            // A sign-in that succeeds gives no guess back.
            let tokens = try await enrolled.signIn()
            for guess in 5..<9 {
                let answer = try await enrolled.login("00000\(guess)", at: cluster.nodes[1].client)
                #expect(answer.code == "second-factor-incorrect")
            }
            // The change of a password guesses under the same limit.
            let change = try await cluster.node.send(
                "POST",
                "/v1/me/password",
                tokens.bearer,
                json: """
                    {"current_password":"\(enrolled.person.password)","code":"000009",
                     "new_password":"another horse \(enrolled.person.id) staple"}
                    """
            )
            #expect(change.code == "second-factor-incorrect", "\(change.body)")
            for client in cluster.nodes.map(\.client) {
                try await enrolled.wait()
                let code = try await enrolled.authenticator.code()
                #expect(try await enrolled.login(code, at: client).status == 429)
            }
        }
    }

    @Test func `100 wrong codes in a row close an authenticator, and a recovery code opens it`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let enrolled = try await EnrolledPerson(try await cluster.person(), in: cluster)
        let here = "account_id = '\(enrolled.person.id)'"
        try await cluster.sql("UPDATE second_factors SET failed_codes = 99 WHERE \(here)")
        #expect(try await enrolled.login("000000").code == "second-factor-incorrect")
        try await enrolled.wait()
        let code = try await enrolled.authenticator.code()
        #expect(try await enrolled.login(code).code == "second-factor-incorrect")
        // However it is typed.
        let typed = enrolled.recoveryCodes[3].lowercased().split(separator: "-")
        let recovered = try await enrolled.login(typed.joined(separator: " "))
        #expect(recovered.status == 200, "\(recovered.body)")
        _ = try await enrolled.signIn()
        // So does whoever may unlock the account.
        try await cluster.sql("UPDATE second_factors SET failed_codes = 100 WHERE \(here)")
        let unlocked = try await AdminDesk(cluster).send("POST", "/\(enrolled.person.id)/unlock")
        #expect(unlocked.status == 204)
        _ = try await enrolled.signIn()
        let counted = "SELECT failed_codes FROM second_factors WHERE \(here)"
        #expect(try await cluster.sql(counted) == "0")
    }

    @Test func `what it is changed with is itself, shown lately (rows 56, 108)`() async throws {
        let cluster = try await Cluster.shared()
        let enrolled = try await EnrolledPerson(try await cluster.person(), in: cluster)
        let changes = [("POST", "/recovery-codes"), ("DELETE", "")]
        for (method, rest) in changes {
            // The session that has enrolled it was opened by a password alone.
            let answer = try await cluster.node.send(
                method,
                Self.path + rest,
                enrolled.before.bearer
            )
            #expect(answer.status == 403 && answer.code == "second-factor-required", "\(rest)")
        }
        let late = try await Self.aged(try await enrolled.signIn(), cluster)
        for (method, rest) in changes + [("POST", "")] {
            let answer = try await cluster.node.send(method, Self.path + rest, late.bearer)
            #expect(answer.code == "recent-sign-in-required", "\(rest)")
        }
        // To show the password again is no proof without the second factor.
        let password = "another horse \(enrolled.person.id) staple"
        cluster.secrets.add(password, "password")
        func change(_ code: String) async throws -> HTTPAnswer {
            try await cluster.node.send(
                "POST",
                "/v1/me/password",
                late.bearer,
                json: """
                    {"current_password":"\(enrolled.person.password)",\(code)
                     "new_password":"\(password)"}
                    """
            )
        }
        #expect(try await change("").code == "second-factor-required")
        #expect(try await change("\"code\":\"000000\",").code == "second-factor-incorrect")
        try await enrolled.wait()
        let code = try await enrolled.authenticator.code()
        let proven = try Tokens(await change("\"code\":\"\(code)\","))
        @Sendable func twice(_ method: String, _ rest: String) async throws -> [HTTPAnswer] {
            let (a, b) = (cluster.nodes[0].client, cluster.nodes[1].client)
            async let one = a.send(method, Self.path + rest, proven.bearer)
            async let two = b.send(method, Self.path + rest, proven.bearer)
            return try await [one, two]
        }
        let renewed = try await twice("POST", "/recovery-codes")
        #expect(renewed.map(\.status) == [200, 200])
        let sets = renewed.map { $0.json.at("recovery_codes")?.items.compactMap(\.string) ?? [] }
        #expect(
            sets.allSatisfy { $0.count == 10 && Set($0).isDisjoint(with: enrolled.recoveryCodes) }
        )
        var other = enrolled
        other.person.password = password
        // The old set is gone with the new one, and one of the new ones with the other.
        #expect(try await other.login(enrolled.recoveryCodes[0]).code == "second-factor-incorrect")
        let opened = try await [other.login(sets[0][0]), other.login(sets[1][0])]
        #expect(opened.map(\.status).sorted() == [200, 401])
        let another = try Tokens(try #require(opened.first { $0.status == 200 }))
        let removed = try await twice("DELETE", "")
        #expect(removed.map(\.status).sorted() == [204, 401], "\(removed.map(\.body))")
        // What it has opened must not pass for what the next one opens (W1).
        for tokens in [proven, another] { try await cluster.expectEverywhere(401, tokens.bearer) }
        _ = try await cluster.signIn(other.person)
        let rows = "SELECT count(*) FROM second_factors WHERE account_id = '\(other.person.id)'"
        #expect(try await cluster.sql(rows) == "0")
    }

    @Test func `of recovery codes there are digests, without their dashes too (row 57; W7)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let enrolled = try await EnrolledPerson(try await cluster.person(), in: cluster)
        for code in enrolled.recoveryCodes {
            cluster.secrets.add(code.split(separator: "-").joined(), "recovery code")
        }
        #expect(try await enrolled.login(enrolled.recoveryCodes[1]).status == 200)
        let here = "account_id = '\(enrolled.person.id)'"
        let left = "SELECT cardinality(recovery_digests) FROM second_factors WHERE \(here)"
        #expect(try await cluster.sql(left) == "9")
        let used = """
            SELECT count(*) FROM audit_events
             WHERE \(here) AND action = 'second-factor.recovery-code-used'
            """
        #expect(try await cluster.sql(used) == "1")
        let deleted = try await AdminDesk(cluster).send("DELETE", "/\(enrolled.person.id)")
        #expect(deleted.status == 204)
        #expect(try await cluster.sql(left).isEmpty)
    }
}

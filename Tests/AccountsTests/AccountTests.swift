// Names, passwords, sign-up and the throttles, on nodes that share their stores.
import Access
import Accounts
import ClusterKit
import Postgres
import Primitives
import Sessions
import Testing
import Web

@Suite(.serialized) struct AccountTests {
    @Test func `Spellings of one address are one address (row 2)`() throws {
        let one = try EmailAddress("Bob@EXAMPLE.com").canonical
        let lower = try EmailAddress("bob@example.com").canonical
        #expect(lower == one)
        let unicode = try EmailAddress("x@bücher.example").canonical
        let ascii = try EmailAddress("x@xn--bcher-kva.example").canonical
        #expect(unicode == ascii)
        for bad in ["", "@", "a@", "@b.c", "a b@c.de", "a@b", "a@@b.c", "a\u{0}@b.de", ".a@b.de"] {
            #expect(throws: IdentifierFlaw.emailInvalid) { try EmailAddress(bad) }
        }
        let wide = try Username("ＡＤＡ").canonical
        let narrow = try Username("ada").canonical
        #expect(wide == narrow)
        for bad in ["ab", "a@b", "a b", "-ab", String(repeating: "a", count: 65)] {
            #expect(throws: IdentifierFlaw.usernameInvalid) { try Username(bad) }
        }
    }

    @Test func `Passwords are long, not common, and taken as they are (rows 17, 19, 20, 21)`()
        throws
    {
        func check(_ text: String) throws {
            try PasswordRules(minimumLength: 15).check(
                Password(Secret(text)),
                names: ["adalovelace", "ada.l"]
            )
        }
        #expect(throws: PasswordFlaw.tooShort) { try check("violet kettle7") }
        try check("violet kettle 7")
        try check("🦊🌲🍋🚲🎺🧊🪁🐙🌵🍩🎲🧭🪐🦉🍄")
        try check("ееееееееееееееее")
        try check("съешь ещё этих мягких")
        #expect(throws: PasswordFlaw.tooLong) { try check(String(repeating: "a", count: 1025)) }
        #expect(throws: PasswordFlaw.unusable) { try check("violet\u{0} harbour kettle") }
        for common in [
            "password12345678", "aaaaaaaaaaaaaaaa", "adalovelaceadalovelace", "watchwordwatchword",
            "passwordpasswordé",
        ] {
            #expect(throws: PasswordFlaw.tooCommon, "\(common)") { try check(common) }
        }
    }

    @Test func `No prefix of a password is the password, and a space counts (row 17)`() async throws
    {
        try await Cluster.run(set: ["throttle.sign_in_per_account": "50"]) { cluster in
            let base = "Zürich amber lantern cobweb seventeen "
            let long = String((base + base + base).prefix(100))
            _ = try await cluster.signUp(password: Secret(long))
            for length in [72, 80, 99] {
                await #expect(throws: SignInRefusal.wrongCredentials) {
                    try await cluster.signIn(password: Secret(String(long.prefix(length))))
                }
            }
            await #expect(throws: SignInRefusal.wrongCredentials) {
                try await cluster.signIn(password: Secret(long + " "))
            }
            // The same text with its u-umlaut in two code points.
            _ = try await cluster.signIn(
                password: Secret(long.replacing("\u{FC}", with: "u\u{308}"))
            )
        }
    }

    @Test func `An unknown account costs one hash and gets the same answer (W6, row 32)`()
        async throws
    {
        try await Cluster.run { cluster in
            _ = try await cluster.signUp()
            let node = cluster.nodes[0]
            for name in ["ada", "nobody", "nobody@example.org", "\u{1}"] {
                let before = node.value("watchword_password_hashes_total")
                await #expect(throws: SignInRefusal.wrongCredentials) {
                    try await cluster.signIn(name, password: Secret("a wrong password, long"))
                }
                #expect(node.value("watchword_password_hashes_total") == before + 1, "\(name)")
            }
        }
    }

    @Test func `Wrong guesses count over nodes and names together (rows 36, 37, 38)`() async throws
    {
        try await Cluster.run(3, set: ["throttle.sign_in_per_account": "5"]) { cluster in
            _ = try await cluster.signUp()
            // A right one gives its attempt back.
            for index in 0..<9 { _ = try await cluster.signIn(on: index % 3) }
            let names = ["ada", "ADA", "ada@example.org", "Ada@EXAMPLE.org"]
            var wrong = 0
            var throttled = 0
            for attempt in 0..<12 {
                do {
                    _ = try await cluster.signIn(
                        names[attempt % 4],
                        password: Secret("a wrong password, long"),
                        on: attempt % 3
                    )
                } catch SignInRefusal.wrongCredentials {
                    wrong += 1
                } catch SignInRefusal.throttled {
                    throttled += 1
                }
            }
            #expect((wrong, throttled) == (5, 7))
        }
    }

    @Test func `A hash with older parameters is made anew at sign-in (row 28)`() async throws {
        try await Cluster.run(2, only: [1: ["passwords.passes": "2"]]) { cluster in
            _ = try await cluster.signUp()
            _ = try await cluster.signIn(on: 1)
            let phc = try await cluster.text("SELECT phc FROM account_passwords")
            #expect(phc.contains("t=2"))
            _ = try await cluster.signIn(on: 1)
            #expect(try await cluster.text("SELECT phc FROM account_passwords") == phc)
        }
    }

    @Test func `More hashes than the queue takes are turned away at once (W8)`() async throws {
        try await Cluster.run(set: ["passwords.queue_limit": "2"]) { cluster in
            let outcomes = await withTaskGroup(of: Bool.self) { group in
                for number in 0..<20 {
                    group.addTask {
                        do {
                            _ = try await cluster.signIn("nobody\(number)", from: "::\(number)")
                            return false
                        } catch {
                            return error is HashingOverloaded
                        }
                    }
                }
                return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect((1..<20).contains(outcomes))
        }
    }

    @Test func `Of many who sign up with one address one has the account`() async throws {
        try await Cluster.run(2, set: ["throttle.registrations_per_address": "100"]) { cluster in
            let made = await withTaskGroup(of: Int.self) { group in
                for number in 0..<10 {
                    group.addTask {
                        do {
                            _ = try await cluster.signUp(on: number % 2)
                            return 1
                        } catch {
                            let isTaken = error as? RegisterRefusal == .emailTaken
                            if !isTaken { Issue.record("another refusal: \(error)") }
                            return 0
                        }
                    }
                }
                return await group.reduce(0, +)
            }
            #expect(made == 1)
            let passwords = try await cluster.number("SELECT count(*) FROM account_passwords")
            #expect(passwords == 1)
        }
    }

    @Test func `With confirmation a taken address gets the same answer (W6)`() async throws {
        try await Cluster.run(set: ["accounts.confirmation": "required"]) { cluster in
            for _ in 0..<2 {
                let answer = try await cluster.nodes[0].web.register(
                    Registration(
                        email: "ada@example.org",
                        username: nil,
                        password: goodPassword,
                        profile: AccountProfile()
                    ),
                    cluster.trace()
                )
                guard case .confirmationSent = answer else {
                    Issue.record("the answer tells")
                    return
                }
            }
        }
    }

    @Test func `Each action leaves its entry and its event once (W9)`() async throws {
        try await Cluster.run { cluster in
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            try await cluster.logOut(pair)
            try await cluster.logOutEverywhere(try await cluster.signIn())
            await #expect(throws: SignInRefusal.wrongCredentials) {
                try await cluster.signIn(password: Secret("a wrong password, long"))
            }
            #expect(
                try await cluster.lines(
                    "SELECT action || ' ' || count(*) FROM audit_events GROUP BY action ORDER BY 1"
                ) == [
                    "account.registered 1", "session.ended 1", "session.logged-out-everywhere 1",
                    "session.sign-in-failed 1", "session.signed-in 2",
                ]
            )
            #expect(
                try await cluster.lines(
                    "SELECT topic || ' ' || count(*) FROM outbox GROUP BY topic ORDER BY 1"
                ) == [
                    "account.registered 1", "session.ended 1", "session.logged-out-everywhere 1",
                    "session.signed-in 2",
                ]
            )
        }
    }
}

// `watchword admin` as an operator runs it, on the database of running nodes: what it changes is in
// force at every node when it has ended, what it shows is what the API answers, and it is bound by
// the rules of the API.
import Primitives
import TestKit
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct TerminalTests {
    /// The newest entry of the audit log about an account, or of an action.
    private func entry(_ cluster: Cluster, _ condition: String) async throws -> String {
        try await cluster.sql(
            """
            SELECT action || ' ' || coalesce(actor_id::text, 'nobody') || ' ' || ip_address
              FROM audit_events WHERE \(condition) ORDER BY id DESC LIMIT 1
            """
        )
    }

    @Test
    func `who is disabled at the terminal is refused by every node at once (W1, S4-17)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        let tokens = try await cluster.signIn(person)
        try await cluster.expectEverywhere(200, tokens.bearer)
        let disabled = try await cluster.terminal("users", "disable", person.email)
        #expect(disabled.status == 0, "\(disabled.errors)")
        try await cluster.expectEverywhere(401, tokens.bearer)
        #expect(disabled.output == "Disabled \(person.email) (\(person.id)).\n")
        #expect(disabled.errors.isEmpty)
        // Nobody's act, from no address (W9).
        let about = "account_id = '\(person.id)'"
        #expect(try await entry(cluster, about) == "account.disabled nobody terminal")
        #expect(try await cluster.login(person.email, person.password).status == 401)
        let enabled = try await cluster.terminal("users", "enable", person.username, "--json")
        #expect(enabled.status == 0 && enabled.text("state") == "active")
        #expect(try await entry(cluster, about) == "account.enabled nobody terminal")
        // No token comes back (W2).
        try await cluster.expectEverywhere(401, tokens.bearer)
        let again = try await cluster.signIn(person)
        let ended = try await cluster.terminal("users", "end-sessions", person.id)
        #expect(ended.status == 0)
        try await cluster.expectEverywhere(401, again.bearer)
    }

    @Test func `what it shows is what the API answers`() async throws {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let person = try await cluster.person()
        func same(_ path: String, _ command: TerminalAnswer) async throws {
            let answer = try await cluster.node.send("GET", path, desk.tokens.bearer)
            #expect(command.status == 0 && answer.status == 200)
            // The API marks its cursors (row 180), the terminal need not: who has the settings of a
            // node sees all that there is.
            let (shown, answered) = (unmarked(command.output), unmarked(answer.body + "\n"))
            #expect(shown == answered, "\(path) \(command.errors)")
        }
        func unmarked(_ text: String) -> String {
            text.replacing(/"next_cursor":"[^"]+"/, with: "\"next_cursor\":\"\"")
        }
        let id = person.id
        try await same(
            "/v1/admin/users/\(id)",
            cluster.terminal("users", "show", id, "--json")
        )
        let prefix = person.email.lowercased()
        try await same(
            "/v1/admin/users?email_prefix=\(prefix)",
            cluster.terminal("users", "list", "--email-prefix", prefix, "--json")
        )
        let role = try await cluster.terminal("roles", "show", "admin", "--json")
        let roleID = try #require(role.text("id"))
        try await same("/v1/admin/roles/\(roleID)", role)
        try await same(
            "/v1/admin/roles?limit=1",
            cluster.terminal("roles", "list", "--limit", "1", "--json")
        )
        _ = try await TestOrganisation(desk)
        try await same(
            "/v1/admin/organisations?limit=1",
            cluster.terminal("organisations", "list", "--limit", "1", "--json")
        )
        try await same(
            "/v1/admin/keys",
            cluster.terminal("signing-keys", "list", "--json")
        )
        // For people: headings, a line for each, and where it goes on.
        let table = try await cluster.terminal("users", "list", "--limit", "1")
        #expect(table.output.hasPrefix("ID "))
        #expect(table.output.split(separator: "\n").count == 2)
        let option = try #require(table.errors.split(whereSeparator: \.isWhitespace).last)
        let next = try await cluster.terminal("users", "list", String(option))
        #expect(next.status == 0, "\(next.errors)")
    }

    @Test func `an account is made with a password that is shown once, or read (W7)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let mark = Hex.encode(Entropy.system.bytes(6))
        let email = "\(mark)@example.test"
        let made = try await cluster.terminal("users", "create", "--email", email, "--json")
        #expect(made.status == 0, "\(made.errors)")
        let id = try #require(made.text("id"))
        let password = try #require(made.text("password"))
        #expect(
            try await entry(cluster, "account_id = '\(id)'").hasPrefix("account.created nobody")
        )
        // It is to be replaced.
        #expect(try await cluster.login(email, password).code == "password-change-required")
        let shown = try await cluster.terminal("users", "show", email, "--json")
        #expect(shown.text("password") == nil)
        #expect(shown.text("id") == id)

        let other = "\(mark)-2@example.test"
        let chosen = "chosen \(mark) at a desk"
        cluster.secrets.add(chosen, "password")
        let read = try await cluster.terminal(
            "users",
            "create",
            "--email",
            other,
            "--username",
            "two-\(mark)",
            "--password-stdin",
            "--keep-password",
            input: chosen + "\n"
        )
        #expect(read.status == 0, "\(read.errors)")
        #expect(!read.output.contains(chosen))
        #expect(try await cluster.login(other, chosen).status == 200)
        let wanted = try await cluster.terminal("users", "require-password", other)
        #expect(wanted.status == 0)
        #expect(try await cluster.login(other, chosen).code == "password-change-required")

        let twice = try await cluster.terminal("users", "create", "--email", other)
        #expect(twice.status == 1 && twice.output.isEmpty)
        #expect(twice.errors.contains("(email-taken)"))
        let short = try await cluster.terminal(
            "users",
            "create",
            "--email",
            "\(mark)-3@example.test",
            "--password-stdin",
            input: "short"
        )
        #expect(short.status == 64)
        #expect(short.errors.contains("password") && short.errors.contains("(validation-failed)"))
        let none = try await cluster.terminal("users", "show", "\(mark)-3@example.test")
        #expect(none.status == 1)
    }

    @Test func `what is not there is said with its code, and nothing is answered`() async throws {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        let gone = "0192f000-0000-7000-8000-000000000001"
        let calls: [[String]] = [
            ["users", "show", gone], ["users", "show", "nobody@example.test"],
            ["users", "disable", "nobody@example.test"], ["users", "enable", gone],
            ["users", "unlock", gone], ["users", "require-password", gone],
            ["users", "end-sessions", gone], ["users", "delete", gone, "--yes"],
            ["roles", "show", gone], ["roles", "show", "no-such"],
            ["roles", "delete", "no-such", "--yes"], ["roles", "grant", gone, "member"],
            ["roles", "grant", person.id, "no-such"], ["roles", "revoke", person.id, "admin"],
            ["users", "list", "--role", "no-such"], ["keys", "list", gone],
            ["keys", "list", person.id], ["keys", "revoke", person.id, gone],
            // A name in the form of an id is an id, whoever calls himself so.
            ["users", "show", "\(gone)"],
        ]
        for words in calls {
            let answer = try await run(cluster, words)
            #expect(answer.status == 1, "\(words) \(answer.errors)")
            #expect(answer.output.isEmpty, "\(words)")
            #expect(answer.errors.hasPrefix("Error: "), "\(words)")
            #expect(answer.errors.hasSuffix("(not-found)\n"), "\(words) \(answer.errors)")
        }
    }

    private func run(_ cluster: Cluster, _ words: [String]) async throws -> TerminalAnswer {
        // Swift cannot spread a list over a variadic parameter.
        switch words.count {
        case 2: try await cluster.terminal(words[0], words[1])
        case 3: try await cluster.terminal(words[0], words[1], words[2])
        default: try await cluster.terminal(words[0], words[1], words[2], words[3])
        }
    }

    @Test func `roles are made, given, taken and removed, at every gateway at once (W11)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        let tokens = try await cluster.signIn(person)
        func verdicts() async throws -> Set<Int> {
            var found: Set<Int> = []
            for node in cluster.nodes {
                let path = "/verify?permission=users:read"
                found.insert(try await node.client.send("GET", path, tokens.bearer).status)
            }
            return found
        }
        #expect(try await verdicts() == [403])
        let name = "desk-\(Hex.encode(Entropy.system.bytes(6)))"
        // What turns text around is shown as what it is (row 301).
        let made = try await cluster.terminal(
            "roles",
            "create",
            name,
            "--permission",
            "users:read",
            "--include",
            "member",
            "--description",
            "turned \u{202E}around",
            "--json"
        )
        #expect(made.status == 0, "\(made.errors)")
        #expect(!made.output.contains("\u{202E}"))
        #expect(made.text("description") == "turned \u{202E}around")
        #expect(try await !cluster.terminal("roles", "show", name).output.contains("\u{202E}"))
        let given = try await cluster.terminal("roles", "grant", person.email, name, "--json")
        #expect(given.status == 0, "\(given.errors)")
        #expect(given.text("role_name") == name)
        #expect(try await verdicts() == [200])
        let about = "account_id = '\(person.id)'"
        #expect(try await entry(cluster, about) == "role.assigned nobody terminal")
        let taken = try await cluster.terminal("roles", "revoke", person.username, name)
        #expect(taken.status == 0, "\(taken.errors)")
        #expect(try await verdicts() == [403])
        _ = try await cluster.terminal("roles", "grant", person.id, name)
        #expect(try await verdicts() == [200])
        let unsure = try await cluster.terminal("roles", "delete", name)
        #expect(unsure.status == 64)
        #expect(try await verdicts() == [200])
        let removed = try await cluster.terminal("roles", "delete", name, "--yes")
        #expect(removed.status == 0)
        #expect(try await verdicts() == [403])
        for (words, code) in [
            (["roles", "delete", "admin", "--yes"], "(built-in)"),
            (["roles", "create", "member", "--json"], "(name-taken)"),
        ] {
            let answer = try await run(cluster, words)
            #expect(answer.status == 1 && answer.errors.contains(code), "\(answer.errors)")
        }
        let unknown = try await cluster.terminal(
            "roles",
            "create",
            "x-\(name)",
            "--permission",
            "a:b"
        )
        #expect(unknown.status == 64 && unknown.errors.contains("permissions.0"))
    }

    @Test func `a role is given in an organisation, to its members alone, until an instant`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let organisation = try await TestOrganisation(desk)
        let person = try await cluster.person()
        let scope = "org:\(organisation.id)"
        func grant(_ end: String) async throws -> TerminalAnswer {
            try await cluster.terminal(
                "roles",
                "grant",
                person.id,
                "member",
                "--scope",
                scope,
                "--until",
                end,
                "--json"
            )
        }
        let stranger = try await grant("2999-01-01T00:00:00Z")
        #expect(stranger.status == 64 && stranger.errors.contains("organisation"))
        try await organisation.add(person, by: desk)
        let over = try await grant("2001-01-01T00:00:00Z")
        #expect(over.status == 64 && over.errors.contains("expires_at"))
        let given = try await grant("2999-01-01T00:00:00Z")
        #expect(given.status == 0, "\(given.errors)")
        #expect(given.text("organisation") == organisation.id)
        #expect(given.text("expires_at") == "2999-01-01T00:00:00.000000Z")
        // Not everywhere, but there.
        let elsewhere = try await cluster.terminal(
            "roles",
            "revoke",
            person.id,
            "member",
            "--scope",
            "project:7"
        )
        #expect(elsewhere.status == 1 && elsewhere.errors.hasSuffix("(not-found)\n"))
        let taken = try await cluster.terminal(
            "roles",
            "revoke",
            person.id,
            "member",
            "--scope",
            scope
        )
        #expect(taken.status == 0, "\(taken.errors)")
    }

    @Test func `a key that is taken back at the terminal opens nothing (W1)`() async throws {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let path = "/v1/admin/service-accounts"
        let name = "terminal-\(Hex.encode(Entropy.system.bytes(6)))"
        let bearer = desk.tokens.bearer
        let service = try await cluster.node.send(
            "POST",
            path,
            bearer,
            json: "{\"name\":\"\(name)\"}"
        )
        let id = try #require(service.text("id"))
        let keys = "\(path)/\(id)/keys"
        let made = try await cluster.node.send("POST", keys, bearer, json: "{\"name\":\"a key\"}")
        let key = try #require(made.text("key"))
        let keyID = try #require(made.text("id"))
        let shown = [("Authorization", "Bearer \(key)")]
        func verdicts() async throws -> Set<Int> {
            var found: Set<Int> = []
            for node in cluster.nodes {
                found.insert(try await node.client.send("GET", "/verify", shown).status)
            }
            return found
        }
        #expect(try await verdicts() == [200])
        let revoked = try await cluster.terminal("keys", "revoke", name, keyID)
        #expect(revoked.status == 0, "\(revoked.errors)")
        #expect(try await verdicts() == [401])
        #expect(
            try await entry(cluster, "account_id = '\(id)'") == "api-key.revoked nobody terminal"
        )
        let listed = try await cluster.terminal("keys", "list", name, "--json")
        let answer = try await cluster.node.send("GET", keys, bearer)
        // When it was last used is written in the background, perhaps between the two.
        let use = /"last_used_at":(null|"[^"]*")/
        let same = answer.body.replacing(use, with: "") + "\n"
        #expect(listed.output.replacing(use, with: "") == same)
        #expect(listed.output.contains(use) && !listed.output.contains(key))
        // A service is deleted as a person is.
        let deleted = try await cluster.terminal("users", "delete", name, "--yes")
        #expect(deleted.status == 0, "\(deleted.errors)")
        #expect(
            try await cluster.node.send("GET", "\(path)/\(id)", bearer).text("state") == "deleted"
        )
    }
}

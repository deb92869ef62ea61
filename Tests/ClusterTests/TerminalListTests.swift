// The lists of `watchword admin`: as tables for people, whose columns stand under their headings,
// and with `--json`; what was made through the API is in them as the API tells it, an empty list
// has headings alone, and a list that goes on says where.
import Primitives
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct TerminalListTests {
    /// A list as it was printed for people.
    private struct Table {
        let headings: [String]
        var rows: [[String]] = []

        /// Cuts every line where the headings begin, so that a cell which does not stand under its
        /// heading is cut too.
        init(_ answer: TerminalAnswer) {
            var lines = answer.output.split(separator: "\n", omittingEmptySubsequences: false)
                .map { Array($0) }
            if lines.last?.isEmpty == true { lines.removeLast() }
            let head = lines.first ?? []
            let starts = head.indices.filter { at in
                guard head[at] != " " else { return false }
                return at == 0 || at >= 2 && head[at - 1] == " " && head[at - 2] == " "
            }
            headings = Self.cells(of: head, starts)
            for line in lines.dropFirst() { rows.append(Self.cells(of: line, starts)) }
        }

        private static func cells(of line: [Character], _ starts: [Int]) -> [String] {
            starts.indices.map { index in
                let start = min(starts[index], line.count)
                let next = index + 1 < starts.count ? starts[index + 1] : line.count
                var cell = String(line[start..<max(start, min(next, line.count))])
                while cell.hasSuffix(" ") { cell.removeLast() }
                return cell
            }
        }
    }

    private static let more = "More: --cursor="

    /// Where a list goes on; nil where it says nothing, or anything else.
    private static func cursor(_ answer: TerminalAnswer) -> String? {
        guard answer.errors.hasPrefix(more), answer.errors.hasSuffix("\n") else { return nil }
        return String(answer.errors.dropFirst(more.count).dropLast())
    }

    /// Cells as a table shows these members of an item that the API answers.
    private static func cells(_ item: JSONValue, _ members: [String]) -> [String] {
        members.map { item.at($0)?.string ?? "-" }
    }

    /// The row of a list that begins with `id`, and the headings; page by page, as it says itself.
    private func row(
        _ id: String,
        _ list: String,
        _ cluster: Cluster
    ) async throws -> (headings: [String], cells: [String]) {
        var answer = try await cluster.terminal(list, "list", "--limit", "200")
        for _ in 0..<1000 {
            #expect(answer.status == 0, "\(answer.errors)")
            let table = Table(answer)
            if let found = table.rows.first(where: { $0.first == id }) {
                return (table.headings, found)
            }
            guard let cursor = Self.cursor(answer) else { break }
            // Of one word: an ID that begins with high bits makes a cursor that begins with `-`.
            answer = try await cluster.terminal(list, "list", "--limit=200", "--cursor=\(cursor)")
        }
        throw ClusterError("\(id) is not in the list of \(list): \(answer.errors)")
    }

    @Test func `the audit log is a table for people, newest first, and goes on where it says`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let person = try await cluster.person()
        _ = try await cluster.login(person.email, "not the password at all")
        _ = try await cluster.signIn(person)
        let headings = ["AT", "ACTION", "ACTOR", "ACCOUNT", "ADDRESS"]
        let actions = ["session.signed-in", "session.sign-in-failed", "account.registered"]
        let told = try await desk.client.send(
            "GET",
            "/v1/admin/audit?account=\(person.id)",
            desk.tokens.bearer
        )
        let wanted = (told.json.at("items")?.items ?? []).map {
            Self.cells($0, ["at", "action", "actor_id", "account_id", "ip_address"])
        }
        let kinds = wanted.map { $0[1] }
        #expect(kinds == actions)
        let shown = try await cluster.terminal("audit", "--account", person.id)
        #expect(shown.status == 0 && shown.errors.isEmpty, "\(shown.errors)")
        #expect(Table(shown).headings == headings)
        #expect(Table(shown).rows == wanted, "\(shown.output)")
        for (row, cells) in zip(Table(shown).rows, wanted) {
            #expect(row[3] == person.id && Timestamp(cells[0]) != nil)
        }
        // The same page by page: each entry once, and nothing said at the end.
        var seen: [[String]] = []
        var page = try await cluster.terminal("audit", "--account", person.id, "--limit", "1")
        for _ in 0..<actions.count {
            #expect(page.status == 0 && Table(page).headings == headings, "\(page.errors)")
            seen += Table(page).rows
            guard let cursor = Self.cursor(page) else { break }
            page = try await cluster.terminal(
                "audit",
                "--account",
                person.id,
                "--limit=1",
                "--cursor=\(cursor)"
            )
        }
        #expect(seen == wanted)
        #expect(page.errors.isEmpty, "\(page.errors)")
        // In JSON it is what the API answers.
        let document = try await cluster.terminal("audit", "--account", person.id, "--json")
        #expect(document.status == 0 && document.errors.isEmpty)
        #expect(document.output == told.body + "\n")
    }

    @Test func `the audit log is filtered, may be empty, and refuses what it cannot read`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let person = try await cluster.person()
        let nobody = "0192f000-0000-7000-8000-00000000ffff"
        let done = try await cluster.terminal(
            "audit",
            "--actor",
            person.id,
            "--action",
            "account.registered"
        )
        let kinds = Table(done).rows.map { $0[1] }
        #expect(kinds == ["account.registered"], "\(done.errors)")
        let empty: [[String]] = [
            ["--account", nobody], ["--account=\(person.id)", "--action=session.signed-in"],
            ["--account=\(person.id)", "--from=2999-01-01T00:00:00Z"],
            ["--account=\(person.id)", "--to=2001-01-01T00:00:00Z"],
        ]
        for words in empty {
            let shown = try await cluster.terminal("audit", words[0], words[1])
            #expect(shown.status == 0 && shown.errors.isEmpty, "\(words) \(shown.errors)")
            #expect(shown.output == "AT  ACTION  ACTOR  ACCOUNT  ADDRESS\n", "\(words)")
            let document = try await cluster.terminal("audit", words[0], words[1], "--json")
            #expect(document.output == "{\"items\":[],\"next_cursor\":null}\n", "\(words)")
        }
        for option in [
            "--account=me", "--actor=me", "--action=everything", "--from=yesterday", "--to=soon",
            "--cursor=AAAA", "--limit=0", "--limit=201",
        ] {
            let refused = try await cluster.terminal("audit", option)
            let name = option.split(separator: "=")[0]
            #expect(refused.status == 64 && refused.output.isEmpty, "\(option)")
            #expect(refused.errors.hasPrefix("Error: \(name) must be "), "\(refused.errors)")
        }
    }

    @Test func `roles are a table for people, and one of them is shown line by line`() async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let member = try await cluster.terminal("roles", "show", "member", "--json")
        let included = try #require(member.text("id"))
        let name = "list-\(Hex.encode(Entropy.system.bytes(6)))"
        let made = try await desk.client.send(
            "POST",
            "/v1/admin/roles",
            desk.tokens.bearer,
            json: """
                {"name":"\(name)","description":"Looks around.",
                 "permissions":["users:read","roles:read"],"includes":["\(included)"]}
                """
        )
        #expect(made.status == 201, "\(made.body)")
        let id = try #require(made.text("id"))
        let found = try await row(id, "roles", cluster)
        #expect(
            found.headings == ["ID", "NAME", "PERMISSIONS", "INCLUDES", "DEFAULT", "BUILT IN"]
        )
        #expect(found.cells == [id, name, "2", "1", "no", "no"])
        let builtIn = try await row(included, "roles", cluster)
        #expect(builtIn.cells[1] == "member")
        #expect(builtIn.cells[5] == "yes")
        // There are two roles at least, so a page of one goes on.
        let first = try await cluster.terminal("roles", "list", "--limit", "1")
        #expect(first.status == 0 && Table(first).rows.count == 1)
        let cursor = try #require(Self.cursor(first), "\(first.errors)")
        let next = try await cluster.terminal("roles", "list", "--limit=1", "--cursor=\(cursor)")
        #expect(next.status == 0 && Table(next).rows.count == 1, "\(next.errors)")
        #expect(Table(next).rows.first?[0] != Table(first).rows.first?[0])
        // Line by line, with the names as wide as the longest.
        let shown = try await cluster.terminal("roles", "show", name)
        let lines = shown.output.split(separator: "\n").map { line -> [String] in
            let value = line.dropFirst("description  ".count)
            return [line.prefix { $0 != " " }.description, value.description]
        }
        let created = try #require(made.text("created_at"))
        guard case .integer(let version)? = made.json.at("version") else {
            throw ClusterError("no version: \(made.body)")
        }
        #expect(
            lines == [
                ["id", id], ["name", name], ["description", "Looks around."], ["built", "no"],
                ["default", "no"], ["created", created],
                ["version", "\(version)"], ["includes", included], ["permission", "roles:read"],
                ["permission", "users:read"],
            ],
            "\(shown.output)"
        )
        let document = try await cluster.terminal("roles", "show", name, "--json")
        #expect(document.output == made.body + "\n")
    }

    @Test func `keys are a table for people, without the keys themselves (row 168)`() async throws {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let service = try await TestService(desk)
        let headings = ["ID", "BEGINS", "NAME", "CREATED", "EXPIRES", "LAST USED", "REVOKED"]
        let none = try await cluster.terminal("keys", "list", service.id)
        #expect(none.status == 0 && none.errors.isEmpty, "\(none.errors)")
        #expect(none.output == headings.joined(separator: "  ") + "\n")
        let nothing = try await cluster.terminal("keys", "list", service.id, "--json")
        #expect(nothing.output == "{\"items\":[],\"next_cursor\":null}\n")

        let lasting = try await service.key()
        let ending = try await service.key(",\"expires_at\":\"2999-01-01T00:00:00Z\"")
        let revoked = try await service.send("DELETE", "/keys/\(ending.id)")
        #expect(revoked.status == 204, "\(revoked.body)")
        let told = try await service.send("GET", "/keys")
        let members = [
            "id", "prefix", "name", "created_at", "expires_at", "last_used_at", "revoked_at",
        ]
        let wanted = (told.json.at("items")?.items ?? []).map { Self.cells($0, members) }
        try #require(wanted.count == 2)
        let shown = try await cluster.terminal("keys", "list", service.id)
        #expect(shown.status == 0 && shown.errors.isEmpty, "\(shown.errors)")
        let table = Table(shown)
        #expect(table.headings == headings)
        #expect(table.rows == wanted, "\(shown.output)")
        let byID = Dictionary(uniqueKeysWithValues: table.rows.map { ($0[0], $0) })
        let first = try #require(byID[lasting.id])
        let second = try #require(byID[ending.id])
        #expect(first[2] == "a key" && second[2] == "a key")
        #expect(first[4] == "-" && second[4] == "2999-01-01T00:00:00.000000Z")
        // Neither was used, and one was taken back.
        #expect(first[5] == "-" && second[5] == "-")
        #expect(first[6] == "-" && Timestamp(second[6]) != nil)
        for key in [lasting, ending] {
            let text = try #require(key.bearer[0].1.split(separator: " ").last)
            #expect(!shown.output.contains(text))
        }
        let start = try await cluster.terminal("keys", "list", service.id, "--limit", "1")
        #expect(Table(start).rows == [wanted[0]])
        let cursor = try #require(Self.cursor(start), "\(start.errors)")
        let rest = try await cluster.terminal("keys", "list", service.id, "--cursor=\(cursor)")
        #expect(Table(rest).rows == [wanted[1]] && rest.errors.isEmpty, "\(rest.errors)")
        let document = try await cluster.terminal("keys", "list", service.id, "--json")
        #expect(document.output == told.body + "\n")
        // Who reads JSON finds in it where it goes on.
        let page = try await cluster.terminal("keys", "list", service.id, "--limit=1", "--json")
        #expect(page.errors.isEmpty && page.text("next_cursor") == cursor, "\(page.output)")
    }

    @Test func `accounts, organisations and signing keys are tables for people too`() async throws {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let person = try await cluster.person()
        _ = try await cluster.signIn(person)
        let prefix = String(person.email.lowercased().prefix { $0 != "@" })
        let people = try await cluster.terminal("users", "list", "--email-prefix", prefix)
        let account = try await desk.send("GET", "/\(person.id)")
        #expect(
            Table(people).headings == [
                "ID", "KIND", "E-MAIL", "USER NAME", "STATE", "CREATED", "LAST LOGIN",
            ]
        )
        let members = ["id", "kind", "email", "username", "state", "created_at", "last_login_at"]
        #expect(Table(people).rows == [Self.cells(account.json, members)], "\(people.errors)")
        #expect(Table(people).rows.first?[6] != "-")
        let nobody = try await cluster.terminal("users", "list", "--email-prefix=no-\(prefix)")
        #expect(nobody.status == 0 && nobody.errors.isEmpty, "\(nobody.errors)")
        #expect(Table(nobody).headings == Table(people).headings && Table(nobody).rows.isEmpty)

        let organisation = try await TestOrganisation(desk)
        let told = try await organisation.send(desk, "GET")
        let found = try await row(organisation.id, "organisations", cluster)
        #expect(found.headings == ["ID", "NAME", "DISPLAY NAME", "STATE", "CREATED"])
        let wanted = Self.cells(told.json, ["id", "name", "display_name", "state", "created_at"])
        #expect(found.cells == wanted)
        #expect(wanted[1] == organisation.name && wanted[2] == "\(organisation.name) Ltd.")

        let ring = try await cluster.node.send("GET", "/v1/admin/keys", desk.tokens.bearer)
        let signing = try await cluster.terminal("signing-keys", "list")
        #expect(
            Table(signing).headings == ["ID", "STATE", "CREATED", "ACTIVE FROM", "RETIRED"]
        )
        let keys = (ring.json.at("items")?.items ?? []).map {
            Self.cells($0, ["id", "state", "created_at", "active_from", "retired_at"])
        }
        #expect(!keys.isEmpty && Table(signing).rows == keys, "\(signing.output)")
    }

    @Test func `a name that turns text around is shown as what it is, in every list (row 301)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let service = try await TestService(desk)
        let name = "turned \u{202E}around"
        let made = try await service.send("POST", "/keys", json: "{\"name\":\"\(name)\"}")
        #expect(made.status == 201 && made.text("name") == name, "\(made.body)")
        for list in [["keys", "list", service.id], ["audit", "--account", service.id]] {
            let shown = try await cluster.terminal(list[0], list[1], list[2])
            #expect(shown.status == 0 && !shown.output.contains("\u{202E}"), "\(list)")
            let document = try await cluster.terminal(list[0], list[1], list[2], "--json")
            #expect(document.status == 0 && !document.output.contains("\u{202E}"), "\(list)")
            let items = document.answer.json.at("items")?.items ?? []
            let names = items.compactMap { ($0.at("name") ?? $0.at("detail.name"))?.string }
            #expect(names.contains(name), "\(list) \(document.output)")
        }
    }
}

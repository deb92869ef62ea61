// Where the operator wants two people, nothing happens before another administrator has approved
// that very request, and then it happens once (row 178, second half).
import Primitives
import Testing

@testable import Web

@Suite struct TwoPeopleTests {
    private static let variable = "WATCHWORD_ADMINISTRATION_TWO_PEOPLE"
    private static let admin = "/v1/admin"

    /// A node that asks for nobody, to set things up with, and two that want two people.
    private static func run(
        _ operations: String = "*",
        _ body: (Cluster) async throws -> Void
    ) async throws {
        var plan = Cluster.Plan()
        plan.nodes = 3
        plan.variables["WATCHWORD_ADMIN_IMPERSONATION"] = "true"
        plan.perNode = [[:], [variable: operations], [variable: operations]]
        try await Cluster.run(plan, body)
    }

    /// An administrator besides the first one, who may do all.
    private static func second(_ cluster: Cluster) async throws -> (Person, Tokens) {
        let person = try await cluster.person()
        try await cluster.grant("second-\(person.id.suffix(12))", ["*:*"], to: person)
        return (person, try await cluster.signIn(person))
    }

    /// The approval that a refused request waits for.
    private static func id(_ answer: HTTPAnswer) throws -> String {
        #expect(answer.status == 403, "\(answer.body)")
        try #require(answer.code == "approval-required", "\(answer.body)")
        return try #require(answer.text("approval_id"))
    }

    private static func count(_ page: HTTPAnswer) -> Int? { page.json.at("items")?.items.count }

    private static func call(
        _ cluster: Cluster,
        _ id: String,
        _ verb: String,
        by tokens: Tokens,
        fields: [(String, String)] = []
    ) async throws -> HTTPAnswer {
        let path = "\(admin)/approvals/\(id)/\(verb)"
        return try await cluster.nodes[2].client.send("POST", path, tokens.bearer + fields)
    }

    @Test func `each operation that is named waits for another administrator, and is done once`()
        async throws
    {
        try await Self.run { cluster in
            let calls = try await MarkedCall.all(by: try await AdminDesk(cluster))
            let nodes = cluster.nodes.map(\.client)
            let (person, _) = try await Self.second(cluster)
            for info in PublicAPI.catalogue.operations where info.canNeedTwoPeople {
                let call = try #require(calls[info.name])
                // The key that signed the last one may be gone.
                let mine = try await cluster.signIn(cluster.administrator)
                let other = try await cluster.signIn(person)
                let waiting = try Self.id(try await call.send(info, mine, to: nodes[1]))
                let before = try await cluster.digest()
                let again = try Self.id(try await call.send(info, mine, to: nodes[2]))
                #expect(again == waiting, "\(info.name)")
                #expect(try await cluster.digest() == before, "\(info.name)")
                let own = try await Self.call(cluster, waiting, "give", by: mine)
                #expect(own.code == "self-change-refused", "\(info.name)")
                let given = try await Self.call(cluster, waiting, "give", by: other)
                #expect(given.status == 200, "\(info.name) \(given.body)")
                #expect(given.text("state") == "given")
                #expect(given.text("operation") == info.name)
                #expect(given.text("body") == call.json ?? "")
                let done = try await call.send(info, mine, to: nodes[2])
                #expect(done.status == call.status, "\(info.name) \(done.body)")
                // Once: whoever sends it again asks anew.
                let anew = try await call.send(
                    info,
                    try await cluster.signIn(cluster.administrator),
                    to: nodes[1]
                )
                let left = try Self.id(anew)
                #expect(left != waiting, "\(info.name)")
                // Of one account so many can wait, and no more.
                let last = try await cluster.signIn(person)
                let refused = try await Self.call(cluster, left, "refuse", by: last)
                #expect(refused.status == 200, "\(info.name) \(refused.body)")
            }
            let journal = try await cluster.sql(
                """
                SELECT string_agg(DISTINCT action, ' ' ORDER BY action) FROM audit_events
                 WHERE action LIKE 'approval.%'
                """
            )
            #expect(
                journal == "approval.given approval.refused approval.requested approval.used"
            )
        }
    }

    @Test func `of many at once, on two nodes, one uses the approval`() async throws {
        try await Self.run("assignments.bulk,roles.create") { cluster in
            let mine = try await cluster.signIn(cluster.administrator)
            let (_, other) = try await Self.second(cluster)
            let json = "{\"name\":\"twice\",\"permissions\":[]}"
            @Sendable func send(_ node: Int) async throws -> HTTPAnswer {
                let client = cluster.nodes[node].client
                return try await client.send("POST", "\(Self.admin)/roles", mine.bearer, json: json)
            }
            let ids = try await withThrowingTaskGroup(of: String.self) { group in
                for index in 0..<8 {
                    group.addTask { try Self.id(try await send(1 + index % 2)) }
                }
                return try await group.reduce(into: Set<String>()) { $0.insert($1) }
            }
            #expect(ids.count == 1)
            let given = try await Self.call(cluster, try #require(ids.first), "give", by: other)
            #expect(given.status == 200)
            let answers = try await withThrowingTaskGroup(of: Int.self) { group in
                for index in 0..<8 { group.addTask { try await send(1 + index % 2).status } }
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            #expect(answers.sorted() == [201] + Array(repeating: 403, count: 7))
            // What is not named needs nobody.
            let person = try await cluster.person()
            let removed = try await cluster.nodes[1].client.send(
                "DELETE",
                "\(Self.admin)/users/\(person.id)",
                mine.bearer
            )
            #expect(removed.status == 204)
        }
    }

    @Test func `an approval is for one request of one account alone`() async throws {
        try await Self.run("roles.create,roles.change") { cluster in
            let mine = try await cluster.signIn(cluster.administrator)
            let (_, other) = try await Self.second(cluster)
            let node = cluster.nodes[1].client
            let path = "\(Self.admin)/roles"
            let json = "{\"name\":\"asked-for\",\"permissions\":[]}"
            let waiting = try Self.id(try await node.send("POST", path, mine.bearer, json: json))
            _ = try await Self.call(cluster, waiting, "give", by: other)
            let more = "{\"name\":\"asked-for\",\"permissions\":[\"*:*\"]}"
            let variants: [(String, Tokens, String)] = [
                (path, mine, more), (path, mine, json + " "), (path + "?a=b", mine, json),
                (path, other, json),
            ]
            for (path, tokens, json) in variants {
                let answer = try await node.send("POST", path, tokens.bearer, json: json)
                #expect(try Self.id(answer) != waiting)
            }
            let role = try await cluster.makeRole("changed", by: mine)
            let change = "{\"description\":\"other\"}"
            var ids: Set<String> = []
            for version in ["\"1\"", "\"2\""] {
                let fields = mine.bearer + [("If-Match", version)]
                let answer = try await node.send("PATCH", "\(path)/\(role)", fields, json: change)
                ids.insert(try Self.id(answer))
            }
            #expect(ids.count == 2)
            let key = [("Idempotency-Key", "once")]
            // Refused with a key, the key stays free.
            let early = try await node.send("POST", path, other.bearer + key, json: json)
            #expect(early.code == "approval-required")
            let done = try await node.send("POST", path, mine.bearer + key, json: json)
            #expect(done.status == 201, "\(done.body)")
            // What came of it is told again to who has lost the answer.
            let replay = try await node.send("POST", path, mine.bearer + key, json: json)
            #expect(replay.status == 201)
            #expect(replay["Idempotent-Replayed"] == "true")
        }
    }

    @Test func `what nobody may ask for does not wait`() async throws {
        try await Self.run { cluster in
            let mine = try await cluster.signIn(cluster.administrator)
            let nobody = try await cluster.signIn(try await cluster.person())
            let node = cluster.nodes[1].client
            let path = "\(Self.admin)/roles"
            let calls: [([(String, String)], String, Int)] = [
                (nobody.bearer, "{\"name\":\"r\",\"permissions\":[]}", 403),
                ([], "{\"name\":\"r\",\"permissions\":[]}", 401),
                (mine.bearer, "{\"name\":", 400),
                (mine.bearer, "{\"name\":7}", 400),
                (mine.bearer + [("Idempotency-Key", "")], "{\"name\":\"r\"}", 400),
            ]
            for (fields, json, status) in calls {
                let answer = try await node.send("POST", path, fields, json: json)
                #expect(answer.status == status, "\(answer.body)")
                #expect(answer.code != "approval-required", "\(answer.body)")
            }
            #expect(try await cluster.sql("SELECT count(*) FROM approvals") == "0")
            // No more than twenty wait.
            for index in 0..<20 {
                let json = "{\"name\":\"role-\(index)\",\"permissions\":[]}"
                _ = try Self.id(try await node.send("POST", path, mine.bearer, json: json))
            }
            let json = "{\"name\":\"role-20\",\"permissions\":[]}"
            let full = try await node.send("POST", path, mine.bearer, json: json)
            #expect(full.code == "limit-reached")
            #expect(try await cluster.sql("SELECT count(*) FROM approvals") == "20")
            // One that somebody has refused makes room.
            let (_, other) = try await Self.second(cluster)
            let first = try await cluster.sql("SELECT id FROM approvals ORDER BY id LIMIT 1")
            #expect(try await Self.call(cluster, first, "refuse", by: other).status == 200)
            _ = try Self.id(try await node.send("POST", path, mine.bearer, json: json))
            // So do those whose time is over.
            try await cluster.sql("UPDATE approvals SET expires_at = now() - interval '1 second'")
            let last = "{\"name\":\"role-21\",\"permissions\":[]}"
            _ = try Self.id(try await node.send("POST", path, mine.bearer, json: last))
        }
    }

    @Test func `an approval ends by its time, by being taken back, and with who gave it`()
        async throws
    {
        try await Self.run("roles.create") { cluster in
            let mine = try await cluster.signIn(cluster.administrator)
            let (person, other) = try await Self.second(cluster)
            func ask(_ name: String) async throws -> HTTPAnswer {
                try await cluster.nodes[1].client.send(
                    "POST",
                    "\(Self.admin)/roles",
                    mine.bearer,
                    json: "{\"name\":\"\(name)\",\"permissions\":[]}"
                )
            }
            let late = try Self.id(try await ask("late"))
            _ = try await Self.call(cluster, late, "give", by: other)
            try await cluster.sql(
                "UPDATE approvals SET expires_at = now() - interval '1 second' WHERE id = '\(late)'"
            )
            let closed = try await Self.call(cluster, late, "give", by: other)
            #expect(closed.status == 409)
            #expect(closed.code == "approval-closed")
            #expect(try Self.id(try await ask("late")) != late)

            let back = try Self.id(try await ask("back"))
            for (verb, state) in [("give", "given"), ("give", "given"), ("refuse", "refused")] {
                let said = try await Self.call(cluster, back, verb, by: other)
                #expect(said.status == 200, "\(said.body)")
                #expect(said.text("state") == state)
            }
            #expect(try Self.id(try await ask("back")) == back)
            #expect(try await Self.call(cluster, back, "give", by: other).status == 409)
            #expect(try await Self.call(cluster, back, "refuse", by: mine).status == 200)

            let lost = try Self.id(try await ask("lost"))
            _ = try await Self.call(cluster, lost, "give", by: other)
            let desk = try await AdminDesk(cluster)
            #expect(try await desk.send("POST", "/\(person.id)/disable").status == 204)
            #expect(try Self.id(try await ask("lost")) == lost)
            let count = "SELECT count(*) FROM roles WHERE name IN ('late', 'back', 'lost')"
            #expect(try await cluster.sql(count) == "0")
            // It waits again, and somebody else can give it.
            let (_, third) = try await Self.second(cluster)
            #expect(try await Self.call(cluster, lost, "give", by: third).status == 200)
            #expect(try await ask("lost").status == 201)
            // One attempt, whatever comes of it.
            let taken = try Self.id(try await ask("lost"))
            _ = try await Self.call(cluster, taken, "give", by: third)
            #expect(try await ask("lost").code == "name-taken")
            #expect(try Self.id(try await ask("lost")) != taken)
        }
    }

    @Test func `who may approve: people, where the request is made, or everywhere`()
        async throws
    {
        try await Self.run { cluster in
            let desk = try await AdminDesk(cluster)
            let (one, two) = (try await TestOrganisation(desk), try await TestOrganisation(desk))
            let rights = ["administration:approve", "users:read", "users:write"]
            var people: [Tokens] = []
            for organisation in [one, one, two] {
                let person = try await cluster.person()
                try await organisation.add(person, by: desk)
                try await organisation.give(rights, to: person, by: desk)
                people.append(try await cluster.signIn(person))
            }
            let victim = try await cluster.person()
            try await one.add(victim, by: desk)
            let path = "\(Self.admin)/users/\(victim.id)"
            let node = cluster.nodes[1].client
            func delete() async throws -> HTTPAnswer {
                try await node.send("DELETE", path, people[0].bearer + [one.field])
            }
            let waiting = try Self.id(try await delete())
            // Another organisation's has it not, nor has who may not approve at all.
            let foreign = try await Self.call(
                cluster,
                waiting,
                "give",
                by: people[2],
                fields: [two.field]
            )
            #expect(foreign.status == 404)
            let none = try await cluster.signIn(try await cluster.person())
            #expect(
                try await Self.call(cluster, waiting, "give", by: none).code == "permission-denied"
            )
            let list = "\(Self.admin)/approvals"
            for (tokens, field, count) in [
                (people[1], one.field, 1), (people[2], two.field, 0),
            ] {
                let page = try await node.send("GET", list, tokens.bearer + [field])
                #expect(page.status == 200)
                #expect(Self.count(page) == count, "\(page.body)")
            }
            let all = try await node.send("GET", "\(list)?state=waiting", desk.tokens.bearer)
            #expect(Self.count(all) == 1)
            let empty = try await node.send("GET", "\(list)?state=given", desk.tokens.bearer)
            #expect(Self.count(empty) == 0)
            // No machine is a second person, however much it may.
            let key = try await TestService(desk, ["*:*"]).key().bearer
            let machine = try await node.send("POST", "\(list)/\(waiting)/give", key)
            #expect(machine.code == "permission-denied", "\(machine.body)")
            // Nor the first: whoever has its key would be both.
            let asked = try await node.send("DELETE", path, key)
            #expect(asked.code == "permission-denied", "\(asked.body)")
            let given = try await Self.call(
                cluster,
                waiting,
                "give",
                by: people[1],
                fields: [one.field]
            )
            #expect(given.status == 200, "\(given.body)")
            #expect(try await delete().status == 204)
            // Who may everywhere does not choose a place where others than his equals approve.
            let more = try await cluster.person()
            try await one.add(more, by: desk)
            let chosen = try await node.send(
                "DELETE",
                "\(Self.admin)/users/\(more.id)",
                desk.tokens.bearer + [one.field]
            )
            let high = try Self.id(chosen)
            let low = try await Self.call(cluster, high, "give", by: people[1], fields: [one.field])
            #expect(low.status == 404)
            let (_, equal) = try await Self.second(cluster)
            #expect(try await Self.call(cluster, high, "give", by: equal).status == 200)
        }
    }
}

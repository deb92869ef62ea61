// The times that roles, assignments, organisations and keys are answered with: they lie between two
// looks at the database's clock, a change moves the time of the change alone, what is refused moves
// none, and every node tells the same.
import Primitives
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct RightsTimesTests {
    /// As times are answered, in SQL.
    private static func text(_ time: String) -> String {
        #"to_char(\#(time) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"#
    }

    /// Somebody who administers, at whichever node.
    private struct Scene {
        let cluster: Cluster
        let desk: AdminDesk

        init() async throws {
            cluster = try await Cluster.shared()
            desk = try await AdminDesk(cluster)
        }

        /// An administrator's call, at a node.
        func call(
            _ method: String,
            _ path: String,
            _ json: String? = nil,
            at node: Int = 0
        ) async throws -> HTTPAnswer {
            try await cluster.nodes[node].client.send(
                method,
                "/v1/admin\(path)",
                desk.tokens.bearer,
                json: json
            )
        }

        /// The database's clock.
        func clock() async throws -> Timestamp {
            let text = try await cluster.sql(
                "SELECT \(RightsTimesTests.text("clock_timestamp()"))"
            )
            return try #require(Timestamp(text), "\(text)")
        }

        /// Does something, and expects its answer's time to lie within what that took.
        func during(
            _ member: String,
            _ body: () async throws -> HTTPAnswer,
            sourceLocation: SourceLocation = #_sourceLocation
        ) async throws -> HTTPAnswer {
            let start = try await clock()
            let answer = try await body()
            let end = try await clock()
            let text = try #require(answer.text(member), "\(answer.body)")
            let time = try #require(Timestamp(text), "\(text)")
            #expect(
                start <= time && time <= end,
                "\(start) \(time) \(end)",
                sourceLocation: sourceLocation
            )
            return answer
        }

        /// When a role was made and changed, as it is stored.
        func times(ofRole id: String) async throws -> [String] {
            let (made, changed) = (
                RightsTimesTests.text("created_at"), RightsTimesTests.text("updated_at")
            )
            return try await cluster.sql(
                "SELECT \(made) || ' ' || \(changed) FROM roles WHERE id = '\(id)'"
            ).split(separator: " ").map(String.init)
        }

        /// A role that permits nothing.
        func role() async throws -> String {
            let name = "times-\(Hex.encode(Entropy.system.bytes(6)))"
            let json = "{\"name\":\"\(name)\",\"permissions\":[]}"
            let made = try await during("created_at") { try await call("POST", "/roles", json) }
            #expect(made.status == 201, "\(made.body)")
            return try #require(made.text("id"))
        }
    }

    @Test func `a role tells when it was made, whatever is changed of it and whoever is asked`()
        async throws
    {
        let scene = try await Scene()
        let id = try await scene.role()
        let path = "/roles/\(id)"
        let shown = try await scene.call("GET", path)
        let created = try #require(shown.text("created_at"), "\(shown.body)")
        func expectEverywhere() async throws {
            for node in scene.cluster.nodes.indices {
                let answer = try await scene.call("GET", path, at: node)
                #expect(answer.text("created_at") == created, "\(node) \(answer.body)")
            }
        }
        try await expectEverywhere()
        #expect(try await scene.times(ofRole: id) == [created, created])
        var changed = created
        for json in [
            "{\"description\":\"another\"}", "{\"permissions\":[\"users:read\"]}",
            "{\"name\":\"re\(Hex.encode(Entropy.system.bytes(6)))\"}", "{\"permissions\":[]}",
        ] {
            let start = try await scene.clock()
            let answer = try await scene.call("PATCH", path, json, at: 1)
            let end = try await scene.clock()
            #expect(answer.status == 200 && answer.text("created_at") == created, "\(json)")
            let times = try await scene.times(ofRole: id)
            #expect(times.count == 2 && times.first == created, "\(json)")
            changed = try #require(times.last)
            let time = try #require(Timestamp(changed), "\(changed)")
            #expect(start <= time && time <= end, "\(json): \(start) \(time) \(end)")
            try await expectEverywhere()
        }
        // What is refused has changed nothing.
        for json in ["{\"permissions\":[\"no:no\"]}", "{\"name\":\"admin\"}", "{\"default\":7}"] {
            let answer = try await scene.call("PATCH", path, json)
            #expect([400, 409].contains(answer.status), "\(json) \(answer.body)")
            #expect(try await scene.times(ofRole: id) == [created, changed], "\(json)")
        }
    }

    /// The role's item of a list of assignments.
    private static func item(
        _ answer: HTTPAnswer,
        _ role: String,
        of account: String,
        on resource: String? = nil
    ) -> JSONValue? {
        (answer.json.at("items")?.items ?? []).first { item in
            item.at("role")?.string == role && item.at("account")?.string == account
                && item.at("resource")?.string == resource
        }
    }

    /// Expects every node to tell since when a role is held and by whose will, in both lists.
    private static func expectHeld(
        _ role: String,
        by person: Person,
        on resource: String? = nil,
        since time: String,
        _ scene: Scene,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        for node in scene.cluster.nodes.indices {
            for path in ["/users/\(person.id)/roles", "/roles/\(role)/holders"] {
                let answer = try await scene.call("GET", path, at: node)
                let found = Self.item(answer, role, of: person.id, on: resource)
                #expect(
                    found?.at("granted_at")?.string == time,
                    "\(node) \(answer.body)",
                    sourceLocation: sourceLocation
                )
                #expect(
                    found?.at("granted_by")?.string == scene.desk.id,
                    "\(node) \(answer.body)",
                    sourceLocation: sourceLocation
                )
            }
        }
    }

    @Test func `an assignment tells since when it is held, and given anew it is of that moment`()
        async throws
    {
        let scene = try await Scene()
        let person = try await scene.cluster.person()
        let role = try await scene.role()
        let path = "/users/\(person.id)/roles"
        func give(_ rest: String = "", at node: Int) async throws -> (status: Int, time: String) {
            let answer = try await scene.during("granted_at") {
                try await scene.call("POST", path, "{\"role\":\"\(role)\"\(rest)}", at: node)
            }
            return (answer.status, try #require(answer.text("granted_at")))
        }
        let first = try await give(at: 0)
        #expect(first.status == 201)
        try await Self.expectHeld(role, by: person, since: first.time, scene)
        // Elsewhere it is another assignment.
        let there = try await give(",\"resource\":\"project:7\"", at: 1)
        #expect(there.status == 201 && there.time > first.time)
        try await Self.expectHeld(role, by: person, on: "project:7", since: there.time, scene)
        try await Self.expectHeld(role, by: person, since: first.time, scene)
        // Given anew, with an end: this one, and no other.
        let again = try await give(",\"expires_at\":\"2999-01-01T00:00:00Z\"", at: 2)
        #expect(again.status == 200 && again.time > there.time)
        try await Self.expectHeld(role, by: person, since: again.time, scene)
        try await Self.expectHeld(role, by: person, on: "project:7", since: there.time, scene)
        // A change of the role is none of who holds it.
        let changed = try await scene.call("PATCH", "/roles/\(role)", "{\"description\":\"x\"}")
        #expect(changed.status == 200)
        try await Self.expectHeld(role, by: person, since: again.time, scene)
        // Taken, and given again.
        let taken = try await scene.call("DELETE", "\(path)/\(role)", at: 1)
        #expect(taken.status == 204)
        let last = try await give(at: 0)
        #expect(last.status == 201 && last.time > again.time)
        try await Self.expectHeld(role, by: person, since: last.time, scene)
        try await Self.expectHeld(role, by: person, on: "project:7", since: there.time, scene)
    }

    @Test func `a role that came with the account, in a batch or by a command tells when, too`()
        async throws
    {
        let scene = try await Scene()
        let start = try await scene.clock()
        let person = try await scene.cluster.person()
        let registered = try await scene.clock()
        let account = try await scene.call("GET", "/users/\(person.id)")
        let created = try #require(account.text("created_at"))
        let time = try #require(Timestamp(created))
        #expect(start <= time && time <= registered)
        let path = "/users/\(person.id)/roles"
        for node in scene.cluster.nodes.indices {
            let items = try await scene.call("GET", path, at: node).json.at("items")?.items ?? []
            #expect(items.count == 1)
            #expect(items.first?.at("role_name")?.string == "member")
            #expect(items.first?.at("granted_at")?.string == created)
        }

        let inBatch = try await scene.role()
        let before = try await scene.clock()
        let batch = try await scene.call(
            "POST",
            "/assignments/bulk",
            """
            {"items":[{"action":"assign","account":"\(person.id)","role":"\(inBatch)"}]}
            """
        )
        let after = try await scene.clock()
        #expect(batch.status == 200, "\(batch.body)")
        let listed = try await scene.call("GET", path, at: 1)
        let item = Self.item(listed, inBatch, of: person.id)
        let granted = try #require(item?.at("granted_at")?.string, "\(listed.body)")
        let instant = try #require(Timestamp(granted))
        #expect(before <= instant && instant <= after, "\(before) \(instant) \(after)")
        try await Self.expectHeld(inBatch, by: person, since: granted, scene)

        let byCommand = try await scene.role()
        let given = try await scene.during("granted_at") {
            let cluster = scene.cluster
            return try await cluster.terminal("roles", "grant", person.id, byCommand, "--json")
                .answer
        }
        for node in scene.cluster.nodes.indices {
            let answer = try await scene.call("GET", path, at: node)
            let shown = Self.item(answer, byCommand, of: person.id)
            #expect(shown?.at("granted_at")?.string == given.text("granted_at"))
            // Nobody's act.
            #expect(shown?.at("granted_by") == .null)
        }
    }

    @Test func `an organisation and a permission keep the time they were made at`() async throws {
        let scene = try await Scene()
        let mark = Hex.encode(Entropy.system.bytes(6))
        let made = try await scene.during("created_at") {
            try await scene.call(
                "POST",
                "/organisations",
                "{\"name\":\"times-\(mark)\",\"display_name\":\"Times\"}"
            )
        }
        let created = try #require(made.text("created_at"))
        #expect(made.status == 201 && made.text("updated_at") == created, "\(made.body)")
        let path = "/organisations/\(try #require(made.text("id")))"
        var last = created
        for json in ["{\"display_name\":\"Other Times\"}", "{\"state\":\"disabled\"}"] {
            let changed = try await scene.during("updated_at") {
                try await scene.cluster.nodes[1].client.send(
                    "PATCH",
                    "/v1/admin\(path)",
                    scene.desk.tokens.bearer + [("If-Match", "*")],
                    json: json
                )
            }
            #expect(changed.status == 200 && changed.text("created_at") == created, "\(json)")
            let time = try #require(changed.text("updated_at"))
            #expect(time > last)
            last = time
            for node in scene.cluster.nodes.indices {
                let answer = try await scene.call("GET", path, at: node)
                #expect(answer.text("created_at") == created, "\(answer.body)")
                #expect(answer.text("updated_at") == last, "\(answer.body)")
            }
        }
        let name = "times\(mark):read"
        let permission = try await scene.during("created_at") {
            let json = "{\"name\":\"\(name)\",\"description\":\"d\"}"
            return try await scene.call("POST", "/permissions", json, at: 2)
        }
        #expect(permission.status == 201, "\(permission.body)")
        let described = try await scene.call(
            "PATCH",
            "/permissions/\(name)",
            "{\"description\":\"e\"}"
        )
        #expect(described.status == 200)
        #expect(described.text("created_at") == permission.text("created_at"))
    }

    @Test func `a key tells when it was made and first taken back, at every node`() async throws {
        let scene = try await Scene()
        let service = try await TestService(scene.desk)
        let keys = "/service-accounts/\(service.id)/keys"
        let made = try await scene.during("created_at") {
            try await scene.call("POST", keys, "{\"name\":\"a key\"}")
        }
        let id = try #require(made.text("id"), "\(made.body)")
        let start = try await scene.clock()
        #expect(try await scene.call("DELETE", "\(keys)/\(id)", at: 1).status == 204)
        let end = try await scene.clock()
        // Once more, which is no other moment.
        #expect(try await scene.call("DELETE", "\(keys)/\(id)", at: 2).status == 204)
        for node in scene.cluster.nodes.indices {
            let listed = try await scene.call("GET", keys, at: node)
            let item = listed.json.at("items")?.items.first
            #expect(item?.at("created_at")?.string == made.text("created_at"))
            let revoked = try #require(item?.at("revoked_at")?.string, "\(listed.body)")
            let time = try #require(Timestamp(revoked), "\(revoked)")
            #expect(start <= time && time <= end, "\(start) \(time) \(end)")
        }
    }
}

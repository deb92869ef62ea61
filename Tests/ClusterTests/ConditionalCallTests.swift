// Calls of administration that are sent again, are made to one version, or want no body: the header
// fields of organisations, services, keys, roles and permissions, at several nodes.
import Primitives
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct ConditionalCallTests {
    private static func mark() -> String { Hex.encode(Entropy.system.bytes(6)) }

    /// Calls that make something, with a name that is new, and where their answer says it is.
    private struct Creation: Sendable, CustomTestStringConvertible {
        let path: String
        let json: @Sendable (String) -> String
        var isPlaced = true
        var testDescription: String { path }
    }

    private static let creations = [
        Creation(path: "/organisations") { "{\"name\":\"o-\($0)\",\"display_name\":\"O\"}" },
        Creation(path: "/service-accounts") { "{\"name\":\"s-\($0)\"}" },
        Creation(path: "/roles") { "{\"name\":\"r-\($0)\",\"permissions\":[]}" },
        Creation(
            path: "/permissions",
            json: { "{\"name\":\"p\($0):write\",\"description\":\"d\"}" },
            isPlaced: false
        ),
    ]

    @Test(arguments: creations)
    private func `made once with one key, at whichever node, and told where`(
        creation: Creation
    ) async throws {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let mark = Self.mark()
        let fields = desk.tokens.bearer + [("Idempotency-Key", mark)]
        let path = "/v1/admin\(creation.path)"
        var answers: [HTTPAnswer] = []
        for node in cluster.nodes {
            let json = creation.json(mark)
            answers.append(try await node.client.send("POST", path, fields, json: json))
        }
        let first = answers[0]
        #expect(first.status == 201 && first["Idempotent-Replayed"] == nil, "\(first.body)")
        if creation.isPlaced {
            #expect(first["Location"] == "\(path)/\(try #require(first.text("id")))")
        }
        for again in answers.dropFirst() {
            #expect(again.status == 201 && again["Idempotent-Replayed"] == "true")
            #expect(again.body == first.body && again["ETag"] == first["ETag"])
            #expect(again["Location"] == first["Location"])
        }
        let other = try await cluster.node.send(
            "POST",
            path,
            fields,
            json: creation.json("\(mark)x")
        )
        #expect(other.status == 409 && other.code == "idempotency-key-reused")
        // Without the body its place is all the more needed.
        let minimal = try await cluster.node.send(
            "POST",
            path,
            desk.tokens.bearer + [("Prefer", "return=minimal")],
            json: creation.json("\(mark)y")
        )
        #expect(minimal.status == 201 && minimal.body.isEmpty, "\(minimal.body)")
        #expect(minimal["Preference-Applied"] == "return=minimal")
        #expect((minimal["Location"] != nil) == creation.isPlaced)
    }

    @Test func `a key of a service is told again to who asks again, and is kept sealed (W7)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let path = "/v1/admin/service-accounts"
        let mark = Self.mark()
        let made = try await cluster.node.send(
            "POST",
            path,
            desk.tokens.bearer,
            json: "{\"name\":\"s-\(mark)\"}"
        )
        let keys = "\(path)/\(try #require(made.text("id")))/keys"
        let fields = desk.tokens.bearer + [("Idempotency-Key", mark), ("Prefer", "return=minimal")]
        var found: [HTTPAnswer] = []
        for node in cluster.nodes {
            let json = "{\"name\":\"a key\"}"
            found.append(try await node.client.send("POST", keys, fields, json: json))
        }
        let key = try #require(found[0].text("key"))
        // Preferring nothing does not lose it: it comes this once.
        #expect(found.map(\.status) == [201, 201, 201])
        #expect(found.map { $0.text("key") } == [key, key, key])
        let listed = try await cluster.node.send("GET", keys, desk.tokens.bearer)
        #expect(listed.json.at("items")?.items.count == 1)
        let kept = try await cluster.sql(
            """
            SELECT count(*) FILTER (WHERE answer IS NOT NULL) || ' '
                || count(*) FILTER (WHERE position('\(key)'::bytea IN answer) > 0)
              FROM idempotency_keys WHERE account_id = '\(desk.id)'
            """
        )
        #expect(!kept.hasPrefix("0 ") && kept.hasSuffix(" 0"), "\(kept)")
        #expect(try await !cluster.dump().contains(key))
        // Somebody else with the same key is somebody else.
        let person = try await cluster.person()
        try await cluster.grant("services-\(mark)", ["services:*"], to: person)
        let other = try await cluster.signIn(person)
        let theirs = try await cluster.node.send(
            "POST",
            keys,
            other.bearer + [("Idempotency-Key", mark)],
            json: "{\"name\":\"a key\"}"
        )
        #expect(theirs.status == 201 && theirs["Idempotent-Replayed"] == nil)
        #expect(theirs.text("key") != key)
    }

    @Test func `a key used in one organisation is another request in the next (row 175)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let (one, two) = (try await TestOrganisation(desk), try await TestOrganisation(desk))
        let key = ("Idempotency-Key", Self.mark())
        let json = "{\"email\":\"\(Self.mark())@example.test\"}"
        let made = try await desk.send("POST", "", [one.field, key], json: json)
        #expect(made.status == 201, "\(made.body)")
        for field in [[two.field], []] {
            let other = try await desk.send("POST", "", field + [key], json: json)
            #expect(other.status == 409 && other.code == "idempotency-key-reused")
        }
        let again = try await desk.send("POST", "", [one.field, key], json: json)
        #expect(again.status == 201 && again["Idempotent-Replayed"] == "true")
    }

    @Test func `given and added once with one key, with or without a body`() async throws {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let org = try await TestOrganisation(desk)
        let person = try await cluster.person()
        let mark = Self.mark()
        let role = try await cluster.makeRole(by: desk.tokens)
        for (path, json) in [
            ("/organisations/\(org.id)/members", "{\"account\":\"\(person.id)\"}"),
            ("/users/\(person.id)/roles", "{\"role\":\"\(role)\"}"),
        ] {
            func send(_ fields: [(String, String)]) async throws -> HTTPAnswer {
                try await cluster.nodes[1].client.send(
                    "POST",
                    "/v1/admin\(path)",
                    desk.tokens.bearer + fields,
                    json: json
                )
            }
            let first = try await send([("Idempotency-Key", mark + path)])
            let again = try await send([("Idempotency-Key", mark + path)])
            #expect(first.status == 201 && again.status == 201, "\(first.body)")
            #expect(again["Idempotent-Replayed"] == "true" && again.body == first.body)
            let version = first["Watchword-Rights-Version"]
            #expect(version != nil && again["Watchword-Rights-Version"] == version)
            // Sent anew it finds what is there.
            #expect(try await send([]).status == 200)
            let minimal = try await send([("Prefer", "return=minimal")])
            #expect(minimal.status == 204 && minimal.body.isEmpty)
            #expect(minimal["Watchword-Rights-Version"] != nil)
        }
    }

    @Test func `an organisation is changed in the version that was seen (RFC 9110 section 13)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let org = try await TestOrganisation(desk)
        let seen = try await org.send(desk, "GET")
        let tag = try #require(seen["ETag"])
        #expect(tag == "\"v1\"")
        let same = try await org.send(desk, "GET", "", [("If-None-Match", tag)])
        #expect(same.status == 304 && same.body.isEmpty)
        let path = "/v1/admin/organisations/\(org.id)"
        let json = "{\"display_name\":\"Another\",\"state\":\"disabled\"}"
        let unsaid = try await cluster.node.send("PATCH", path, desk.tokens.bearer, json: json)
        #expect(unsaid.status == 428 && unsaid.code == "version-required")
        for wrong in ["\"v2\"", "W/\"v1\"", "\"x\""] {
            let answer = try await org.send(desk, "PATCH", "", [("If-Match", wrong)], json: json)
            #expect(answer.status == 412 && answer.code == "version-mismatch", "\(wrong)")
        }
        // Nothing of it was done, and nothing recorded.
        #expect(try await org.send(desk, "GET").body == seen.body)
        let recorded = try await cluster.sql(
            """
            SELECT count(*) FROM audit_events
             WHERE detail ->> 'organisation_id' = '\(org.id)'
            """
        )
        #expect(recorded == "1")
        // Of several who saw the same version one changes it.
        let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
            for index in 0..<6 {
                let client = cluster.nodes[index % cluster.nodes.count].client
                group.addTask {
                    try await client.send(
                        "PATCH",
                        path,
                        desk.tokens.bearer + [("If-Match", tag)],
                        json: "{\"display_name\":\"From \(index)\"}"
                    ).status
                }
            }
            var all: [Int] = []
            for try await status in group { all.append(status) }
            return all.sorted()
        }
        #expect(statuses == [200, 412, 412, 412, 412, 412])
        let minimal = try await org.send(
            desk,
            "PATCH",
            "",
            [("If-Match", "\"v2\""), ("Prefer", "return=minimal")],
            json: json
        )
        #expect(minimal.status == 204 && minimal["ETag"] == "\"v3\"", "\(minimal.body)")
        #expect(try await org.send(desk, "GET").text("state") == "disabled")
    }

    @Test func `a role is changed in the version that is named, where one is`() async throws {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        func send(
            _ rest: String,
            _ method: String,
            _ json: String?,
            _ tag: String? = nil
        )
            async throws -> HTTPAnswer
        {
            try await cluster.node.send(
                method,
                "/v1/admin/roles\(rest)",
                desk.tokens.bearer + (tag.map { [("If-Match", $0)] } ?? []),
                json: json
            )
        }
        let made = try await send(
            "",
            "POST",
            "{\"name\":\"r-\(Self.mark())\",\"permissions\":[\"users:read\"]}"
        )
        let path = "/\(try #require(made.text("id")))"
        let tag = try #require(made["ETag"])
        #expect(try await send(path, "GET", nil)["ETag"] == tag)
        let emptied = "{\"permissions\":[]}"
        let changed = try await send(path, "PATCH", emptied, tag)
        #expect(changed.status == 200 && changed["ETag"] != tag)
        let late = try await send(path, "PATCH", "{\"permissions\":[\"users:write\"]}", tag)
        #expect(late.status == 412 && late.code == "version-mismatch")
        #expect(try await send(path, "GET", nil).body == changed.body)
        #expect(try await send(path, "PATCH", "{\"description\":\"any\"}").status == 200)
        let service = try await cluster.node.send(
            "POST",
            "/v1/admin/service-accounts",
            desk.tokens.bearer,
            json: "{\"name\":\"s-\(Self.mark())\"}"
        )
        let shown = try await cluster.node.send(
            "GET",
            try #require(service["Location"]),
            desk.tokens.bearer + [("If-None-Match", try #require(service["ETag"]))]
        )
        #expect(shown.status == 304)
    }

    @Test func `a copy is not called good whose roles or inclusions are outdated (RFC 9110)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let person = try await cluster.person()
        let part = try await cluster.makeRole(by: desk.tokens)
        let whole = try await cluster.makeRole(includes: [part], by: desk.tokens)
        let held = "/v1/admin/users/\(person.id)"
        let given = try await desk.send(
            "POST",
            "/\(person.id)/roles",
            json: "{\"role\":\"\(part)\"}"
        )
        #expect(given.status == 201, "\(given.body)")
        for (path, change) in [
            (held, "\(held)/roles/\(part)"),
            ("/v1/admin/roles/\(whole)", "/v1/admin/roles/\(part)"),
        ] {
            let seen = try await cluster.node.send("GET", path, desk.tokens.bearer)
            #expect(seen.status == 200)
            let known = desk.tokens.bearer + [("If-None-Match", try #require(seen["ETag"]))]
            let removed = try await cluster.node.send("DELETE", change, desk.tokens.bearer)
            #expect(removed.status == 204, "\(removed.body)")
            let again = try await cluster.node.send("GET", path, known)
            #expect(again.status == 200 && again.body != seen.body, "\(path)")
        }
        // The version is still what a change is made to.
        let shown = try await cluster.node.send("GET", held, desk.tokens.bearer)
        let changed = try await cluster.node.send(
            "PATCH",
            held,
            desk.tokens.bearer + [("If-Match", try #require(shown["ETag"]))],
            json: "{\"profile\":{\"given_name\":\"Ada\"}}"
        )
        #expect(changed.status == 200, "\(changed.body)")
    }
}

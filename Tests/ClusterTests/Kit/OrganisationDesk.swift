// What the tests of organisations do again and again: make one, put people into it, give them roles
// there.
import Primitives

/// An organisation that a test has made for itself.
struct TestOrganisation: Sendable {
    let cluster: Cluster
    let id: String
    let name: String

    /// Makes one.
    init(_ desk: AdminDesk) async throws {
        cluster = desk.cluster
        name = "org-\(Hex.encode(Entropy.system.bytes(6)))"
        let made = try await desk.client.send(
            "POST",
            "/v1/admin/organisations",
            desk.tokens.bearer,
            json: "{\"name\":\"\(name)\",\"display_name\":\"\(name) Ltd.\"}"
        )
        guard made.status == 201, let id = made.text("id") else {
            throw ClusterError("no organisation: \(made.status) \(made.body)")
        }
        self.id = id
    }

    /// The header by which a request is about it.
    var field: (String, String) { ("X-Org", id) }

    /// Makes somebody a member.
    func add(_ person: Person, by desk: AdminDesk) async throws {
        let json = "{\"account\":\"\(person.id)\"}"
        var added = try await send(desk, "POST", "/members", json: json)
        if added.status == 503 {
            // A machine that has stood still for seconds is no finding of whoever sets up a test;
            // to be added twice is to be added once.
            added = try await send(desk, "POST", "/members", json: json)
        }
        guard added.status == 201 else {
            throw ClusterError(
                "not added: \(added.status) \(added.body) \(cluster.faults(of: added))"
            )
        }
    }

    /// Makes a role of `permissions` and gives it to a member, here alone; returns its name.
    @discardableResult func give(
        _ permissions: [String],
        to person: Person,
        by desk: AdminDesk
    ) async throws -> String {
        let role = "here-\(Hex.encode(Entropy.system.bytes(6)))"
        let id = try await cluster.sql("SELECT gen_random_uuid()")
        let list = permissions.map { "'\($0)'" }.joined(separator: ",")
        try await cluster.sql(
            """
            INSERT INTO roles (id, name, description, built_in, created_at)
            VALUES ('\(id)', '\(role)', '', false, now());
            INSERT INTO role_permissions (role_id, permission)
            SELECT '\(id)', unnest(ARRAY[\(list)]::text[])
            """
        )
        let given = try await desk.send(
            "POST",
            "/\(person.id)/roles",
            json: "{\"role\":\"\(id)\",\"organisation\":\"\(self.id)\"}"
        )
        guard given.status == 201 else {
            throw ClusterError("not given: \(given.status) \(given.body)")
        }
        return role
    }

    /// Sends a request on the organisation; a change is made to any version, unless `fields` say
    /// which.
    func send(
        _ desk: AdminDesk,
        _ method: String,
        _ rest: String = "",
        _ fields: [(String, String)] = [],
        json: String? = nil
    ) async throws -> HTTPAnswer {
        let isSaid = fields.contains { $0.0 == "If-Match" }
        let any = method == "PATCH" && !isSaid ? [("If-Match", "*")] : []
        return try await desk.client.send(
            method,
            "/v1/admin/organisations/\(id)\(rest)",
            desk.tokens.bearer + fields + any,
            json: json
        )
    }
}

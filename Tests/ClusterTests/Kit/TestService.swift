// Accounts of services that tests make for themselves, and their keys.
import Primitives

/// A service with a role of its own.
struct TestService: Sendable {
    let desk: AdminDesk
    let id: String
    let role: String

    private static let path = "/v1/admin/service-accounts"

    init(
        _ desk: AdminDesk,
        _ permissions: [String] = ["orders:read", "orders:write"]
    )
        async throws
    {
        self.desk = desk
        let mark = Hex.encode(Entropy.system.bytes(6))
        let made = try await desk.client.send(
            "POST",
            Self.path,
            desk.tokens.bearer,
            json: "{\"name\":\"service-\(mark)\"}"
        )
        guard made.status == 201, let id = made.text("id") else {
            throw ClusterError("no service: \(made.status) \(made.body)")
        }
        self.id = id
        role = try await desk.cluster.sql("SELECT gen_random_uuid()")
        let list = permissions.map { "'\($0)'" }.joined(separator: ",")
        try await desk.cluster.sql(
            """
            INSERT INTO roles (id, name, description, built_in, created_at)
            VALUES ('\(role)', 'does-\(mark)', '', false, now());
            INSERT INTO role_permissions (role_id, permission)
            SELECT '\(role)', unnest(ARRAY[\(list)]::text[])
            """
        )
        let given = try await desk.send("POST", "/\(id)/roles", json: "{\"role\":\"\(role)\"}")
        guard given.status == 201 else {
            throw ClusterError("not given: \(given.status) \(given.body)")
        }
    }

    func send(_ method: String, _ rest: String, json: String? = nil) async throws -> HTTPAnswer {
        try await desk.client.send(
            method,
            "\(Self.path)/\(id)\(rest)",
            desk.tokens.bearer,
            json: json
        )
    }

    /// Makes a key.
    func key(_ members: String = "") async throws -> (id: String, bearer: [(String, String)]) {
        let made = try await send("POST", "/keys", json: "{\"name\":\"a key\"\(members)}")
        guard made.status == 201, let id = made.text("id"), let key = made.text("key") else {
            throw ClusterError("no key: \(made.status) \(made.body)")
        }
        return (id, [("Authorization", "Bearer \(key)")])
    }
}

// Somebody who administers people, through HTTP, at one node.
import Primitives

/// A desk with the credentials of somebody who is signed in.
struct AdminDesk: Sendable {
    let cluster: Cluster
    let client: HTTPClient
    /// Whose desk it is.
    let id: String
    let tokens: Tokens

    /// Signs somebody in; the first administrator where nobody is named.
    init(_ cluster: Cluster, _ person: Person? = nil, at client: HTTPClient? = nil) async throws {
        self.cluster = cluster
        self.client = client ?? cluster.node
        tokens = try await cluster.signIn(person ?? cluster.administrator)
        let me = try await self.client.send("GET", "/v1/me", tokens.bearer)
        guard let id = me.text("id") else { throw ClusterError("nobody: \(me.body)") }
        self.id = id
    }

    /// Sends a request on people: `rest` follows `/v1/admin/users`.
    func send(
        _ method: String,
        _ rest: String,
        _ fields: [(String, String)] = [],
        json: String? = nil
    ) async throws -> HTTPAnswer {
        try await client.send(method, "/v1/admin/users\(rest)", tokens.bearer + fields, json: json)
    }
}

extension Cluster {
    /// Makes a role by an administrator's call, and of its own name where it gets none; its id.
    func makeRole(
        _ name: String? = nil,
        _ permissions: [String] = [],
        includes: [String] = [],
        by admin: Tokens
    ) async throws -> String {
        let name = name ?? "role-\(Hex.encode(Entropy.system.bytes(6)))"
        let held = permissions.map { "\"\($0)\"" }.joined(separator: ",")
        let roles = includes.map { "\"\($0)\"" }.joined(separator: ",")
        let made = try await node.send(
            "POST",
            "/v1/admin/roles",
            admin.bearer,
            json: "{\"name\":\"\(name)\",\"permissions\":[\(held)],\"includes\":[\(roles)]}"
        )
        guard made.status == 201, let id = made.text("id") else {
            throw ClusterError("no role: \(made.status) \(made.body)")
        }
        return id
    }
}

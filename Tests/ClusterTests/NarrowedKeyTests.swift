// What an API key may that is narrowed: as much of what it names as its account holds, and told
// alike by every way of asking, also where one of the two is a whole namespace (row 169).
import Primitives
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct NarrowedKeyTests {
    /// What is asked for; not all of it is declared anywhere.
    private static let asked = [
        "orders:read", "orders:write", "bills:read", "bills:pay", "reports:read", "users:read",
    ]

    /// Whether a list of permissions, which may hold whole namespaces, takes in one.
    private static func takesIn(_ list: [String], _ permission: String) -> Bool {
        let namespace = permission.prefix { $0 != ":" }
        return list.contains(permission) || list.contains("\(namespace):*") || list.contains("*:*")
    }

    /// Expects a node to tell a key that it may do `wanted`, by each way of asking.
    private static func expect(
        _ wanted: [String],
        _ bearer: [(String, String)],
        at client: HTTPClient,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let mine = try await client.send("GET", "/v1/me/permissions", bearer)
        let told = mine.json.at("permissions")?.items.compactMap(\.string)
        #expect(told == wanted, "\(mine.body)", sourceLocation: sourceLocation)
        // It does not have all of its account's roles.
        #expect(mine.json.at("roles") == .list([]), sourceLocation: sourceLocation)
        let verified = try await client.send("GET", "/verify", bearer)
        let scopes = (verified["X-Auth-Scopes"] ?? "none").split(separator: " ").map(String.init)
        #expect(scopes.sorted() == wanted, sourceLocation: sourceLocation)
        let checks = asked.map { "{\"permission\":\"\($0)\"}" }.joined(separator: ",")
        let decided = try await client.send(
            "POST",
            "/v1/authorize",
            bearer,
            json: "{\"checks\":[\(checks)]}"
        )
        let results = decided.json.at("results")?.items ?? []
        let allowed = results.map { $0.at("allowed") }
        let expected: [JSONValue?] = asked.map { .boolean(takesIn(wanted, $0)) }
        #expect(allowed == expected, "\(decided.body)", sourceLocation: sourceLocation)
        for permission in asked {
            let answer = try await client.send("GET", "/verify?permission=\(permission)", bearer)
            let status = takesIn(wanted, permission) ? 200 : 403
            #expect(answer.status == status, "\(permission)", sourceLocation: sourceLocation)
        }
    }

    @Test
    func `a narrowed key is told what it may, also of a whole namespace (row 169)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let some = try await TestService(desk, ["orders:*", "bills:read"])
        let all = try await TestService(desk, ["*:*"])
        for (service, limit, wanted) in [
            (some, "\"orders:read\"", ["orders:read"]), (some, "\"orders:*\"", ["orders:*"]),
            (some, "\"orders:write\",\"bills:*\"", ["bills:read", "orders:write"]),
            (some, "\"*:*\"", ["bills:read", "orders:*"]),
            (some, "\"bills:pay\",\"reports:*\"", []),
            (all, "\"reports:*\",\"bills:pay\"", ["bills:pay", "reports:*"]),
        ] as [(TestService, String, [String])] {
            let key = try await service.key(",\"permissions\":[\(limit)]")
            for node in cluster.nodes {
                try await Self.expect(wanted, key.bearer, at: node.client)
            }
        }
    }

    @Test
    func `a narrowed key asks about others where access:check is left to it, not else (row 169)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let service = try await TestService(desk, ["access:check", "orders:read"])
        let other = try await cluster.person()
        try await cluster.grant("asked-\(other.id.suffix(12))", ["orders:read"], to: other)
        let keys = [
            (bearer: try await service.key().bearer, mayAsk: true, mayRead: true),
            (
                bearer: try await service.key(",\"permissions\":[\"access:check\"]").bearer,
                mayAsk: true, mayRead: false
            ),
            (
                bearer: try await service.key(",\"permissions\":[\"orders:read\"]").bearer,
                mayAsk: false, mayRead: true
            ),
        ]
        for (bearer, mayAsk, mayRead) in keys {
            for node in cluster.nodes {
                for (subject, isAnswered, isAllowed) in [
                    // The limit is the key's, and says nothing of anybody else.
                    (other.id, mayAsk, true), (service.id, true, mayRead),
                ] {
                    let batch = try await node.client.send(
                        "POST",
                        "/v1/authorize",
                        bearer,
                        json: """
                            {"checks":[{"permission":"orders:read","subject":"\(subject)"}]}
                            """
                    )
                    let one = try await node.client.send(
                        "POST",
                        "/access/v1/evaluation",
                        bearer,
                        json: """
                            {"subject":{"type":"user","id":"\(subject)"},
                             "action":{"name":"read"},"resource":{"type":"orders","id":"7"}}
                            """
                    )
                    let status = isAnswered ? 200 : 403
                    let code: String? = isAnswered ? nil : "permission-denied"
                    for answer in [batch, one] {
                        #expect(answer.status == status && answer.code == code, "\(answer.body)")
                    }
                    guard isAnswered else { continue }
                    let result = batch.json.at("results")?.items.first
                    #expect(result?.at("allowed") == .boolean(isAllowed), "\(batch.body)")
                    #expect(one.json.at("decision") == .boolean(isAllowed), "\(one.body)")
                }
            }
        }
    }
}

// One request for each operation that needs a recent sign-in, with what it is made to: for the
// tests that try them all.
import HTTPTypes
import Testing

@testable import Web

/// A request that an administrator may make, and what it is answered.
struct MarkedCall: Sendable {
    var path: String
    var json: String?
    var status: Int
    var anyVersion = false

    private static let admin = "/v1/admin"

    /// Sends it as a call of its operation.
    func send(
        _ info: OperationInfo,
        _ tokens: Tokens,
        to node: HTTPClient,
        fields: [(String, String)] = [],
        body: String? = nil
    ) async throws -> HTTPAnswer {
        guard case .only(let methods) = info.methods, let method = methods.first else {
            throw ClusterError("\(info.name) has no method")
        }
        return try await node.send(
            method.rawValue,
            Self.admin + path,
            tokens.bearer + (anyVersion ? [("If-Match", "*")] : []) + fields,
            json: body ?? json
        )
    }

    private static func rule(_ path: String) -> String {
        "{\"methods\":[\"GET\"],\"path\":\"\(path)\",\"access\":\"authenticated\"}"
    }

    /// The id of what a desk makes.
    static func make(
        _ desk: AdminDesk,
        _ path: String,
        _ json: String
    ) async throws -> String {
        let made = try await desk.client.send("POST", admin + path, desk.tokens.bearer, json: json)
        guard made.status == 201, let id = made.text("id") else {
            throw ClusterError("not made: \(path) \(made.status) \(made.body)")
        }
        return id
    }

    /// One for each marked operation; none of them stands in another's way.
    static func all(by desk: AdminDesk) async throws -> [String: MarkedCall] {
        try await ofPeople(desk).merging(ofGatewaysAndMembers(desk)) { $1 }
    }

    private static func ofPeople(_ desk: AdminDesk) async throws -> [String: MarkedCall] {
        let cluster = desk.cluster
        var people: [String] = []
        for _ in 0..<6 { people.append(try await cluster.person().id) }
        var roles: [String] = []
        for name in ["changed", "removed", "given"] {
            roles.append(
                try await make(desk, "/roles", "{\"name\":\"\(name)\",\"permissions\":[]}")
            )
        }
        var services: [String] = []
        for name in ["deleted", "enabled", "keyed"] {
            services.append(try await make(desk, "/service-accounts", "{\"name\":\"\(name)\"}"))
        }
        for path in ["/users/\(people[2])", "/service-accounts/\(services[1])"] {
            let off = try await desk.client.send(
                "POST",
                "\(admin)\(path)/disable",
                desk.tokens.bearer
            )
            #expect(off.status == 204)
        }
        let step = "{\"action\":\"assign\",\"account\":\"\(people[4])\",\"role\":\"\(roles[2])\"}"
        return [
            "users.bulk": MarkedCall(
                path: "/users/bulk",
                json: "{\"action\":\"delete\",\"ids\":[\"\(people[0])\"]}",
                status: 200
            ),
            "users.delete": MarkedCall(path: "/users/\(people[1])", status: 204),
            "users.enable": MarkedCall(path: "/users/\(people[2])/enable", status: 204),
            "users.reset_second_factor": MarkedCall(
                path: "/users/\(people[5])/second-factor",
                status: 204
            ),
            "users.impersonate": MarkedCall(path: "/users/\(people[3])/impersonate", status: 201),
            // Whoever registers next would have it.
            "roles.create": MarkedCall(
                path: "/roles",
                json: "{\"name\":\"made\",\"permissions\":[\"users:read\"],\"default\":true}",
                status: 201
            ),
            "roles.change": MarkedCall(
                path: "/roles/\(roles[0])",
                json: "{\"permissions\":[\"users:read\"]}",
                status: 200
            ),
            "roles.remove": MarkedCall(path: "/roles/\(roles[1])", status: 204),
            "assignments.create": MarkedCall(
                path: "/users/\(people[3])/roles",
                json: "{\"role\":\"\(roles[2])\"}",
                status: 201
            ),
            "assignments.bulk": MarkedCall(
                path: "/assignments/bulk",
                json: "{\"items\":[\(step)]}",
                status: 200
            ),
            "services.delete": MarkedCall(path: "/service-accounts/\(services[0])", status: 204),
            "services.enable": MarkedCall(
                path: "/service-accounts/\(services[1])/enable",
                status: 204
            ),
            "services.create_key": MarkedCall(
                path: "/service-accounts/\(services[2])/keys",
                json: "{\"name\":\"a key\"}",
                status: 201
            ),
        ]
    }

    private static func ofGatewaysAndMembers(_ desk: AdminDesk) async throws -> [String: MarkedCall]
    {
        let cluster = desk.cluster
        let (organisation, joined) = (
            try await TestOrganisation(desk).id, try await TestOrganisation(desk).id
        )
        let member = try await cluster.person().id
        let rules = "/route-rules"
        let (a, b) = (
            try await make(desk, rules, rule("/a")), try await make(desk, rules, rule("/b"))
        )
        let key = try await cluster.sql("SELECT id FROM keys WHERE use = 'access-token'")
        return [
            "routes.insert": MarkedCall(path: rules, json: rule("/c"), status: 201),
            // The rules that stay keep their ids.
            "routes.replace": MarkedCall(
                path: rules,
                json: "{\"rules\":[\(rule("/b")),\(rule("/a"))]}",
                status: 200,
                anyVersion: true
            ),
            "routes.update": MarkedCall(
                path: "\(rules)/\(a)",
                json: "{\"access\":\"public\"}",
                status: 200,
                anyVersion: true
            ),
            "routes.delete": MarkedCall(path: "\(rules)/\(b)", status: 204, anyVersion: true),
            "keys.rotate": MarkedCall(
                path: "/keys/rotate",
                json: "{\"at_once\":true}",
                status: 201
            ),
            "keys.remove": MarkedCall(path: "/keys/\(key)", status: 204),
            "organisations.remove": MarkedCall(
                path: "/organisations/\(organisation)",
                status: 204
            ),
            "users.create": MarkedCall(
                path: "/users",
                json: "{\"email\":\"made@example.test\"}",
                status: 201
            ),
            "organisations.add_member": MarkedCall(
                path: "/organisations/\(joined)/members",
                json: "{\"account\":\"\(member)\"}",
                status: 201
            ),
            // Nobody has asked for it.
            "approvals.give": MarkedCall(
                path: "/approvals/019b7713-5400-7000-8000-000000000001/give",
                status: 404
            ),
        ]
    }
}

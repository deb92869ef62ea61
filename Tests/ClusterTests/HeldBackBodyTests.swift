// The gate is passed before a request's body has come, and the body may take minutes. Whoever is
// disabled, signed out or demoted meanwhile is refused when its last byte comes, and nothing of the
// request happens (W1, W11, decision 19).
import Primitives
import TestKit
import Testing

@testable import Web

@Suite struct HeldBackBodyTests {
    /// What happens while the last byte is held back.
    enum Event: CaseIterable, Sendable {
        case nothing
        case signedOut
        case signedOutEverywhere
        case endedByAnother
        case disabled
        case demoted

        /// What the request is answered then.
        var answer: (status: Int, code: String?) {
            switch self {
            case .nothing: (201, nil)
            case .signedOut, .signedOutEverywhere, .endedByAnother, .disabled:
                (401, "token-revoked")
            case .demoted: (403, "permission-denied")
            }
        }
    }

    /// What the request wants.
    enum Change: CaseIterable, Sendable {
        /// `Grants` asks who changes once more, under its locks.
        case role
        /// Nobody asks after the gate.
        case rule

        func target(_ friend: Person) -> String {
            switch self {
            case .role: "/v1/admin/users/\(friend.id)/roles"
            case .rule: RouteRuleAPITests.path
            }
        }

        func json(_ friend: Person, _ role: String) -> String {
            switch self {
            case .role: "{\"role\":\"\(role)\"}"
            case .rule: "{\"methods\":[\"GET\"],\"path\":\"/\(friend.id)\",\"access\":\"public\"}"
            }
        }
    }

    /// A request of which all but the last byte is sent, to a node that has let its caller in.
    private struct HeldRequest: Sendable {
        let connection: Connection
        let last: [UInt8]

        init(
            _ node: NodeProcess,
            _ target: String,
            _ fields: [(String, String)],
            json: String
        ) async throws {
            let body = Array(json.utf8)
            let all = fields + [("Content-Type", "application/json")]
            let head = HTTPClient.head("POST", target, all, body, closes: true)
            let begun: [UInt8] = head + body.dropLast()
            let port = node.client.port
            let before = try await Self.checks(node)
            let opened = try await Blocking.run {
                let connection = try Connection(port: port)
                try connection.write(begun)
                return connection
            }
            connection = opened
            last = Array(body.suffix(1))
            // Nobody else asks this node.
            try await eventually("its caller is let in") {
                try await Self.checks(node) > before
            }
        }

        /// Sends the last byte, and reads the answer.
        func finish() async throws -> HTTPAnswer {
            try await Blocking.run { [connection, last] in
                defer { connection.close() }
                try connection.write(last)
                return try connection.readAnswer()
            }
        }

        /// How many checks a node has held against the revocation log.
        private static func checks(_ node: NodeProcess) async throws -> Int {
            let name = "watchword_revocation_checks_total "
            let text = try await node.management.send("GET", "/metrics").body
            let line = text.split(separator: "\n").first { $0.hasPrefix(name) }
            return line.flatMap { Int($0.dropFirst(name.count)) } ?? -1
        }
    }

    private static let seat = "00000000-0000-7000-8000-000000000001"

    /// Two nodes, the second of which has nothing to do but the request.
    private static func start() async throws -> Cluster {
        var plan = Cluster.Plan()
        plan.nodes = 2
        plan.variables["WATCHWORD_HTTP_BODY_TIME"] = "10m"
        return try await Cluster.start(plan)
    }

    private func carryOut(
        _ event: Event,
        on person: Person,
        _ tokens: Tokens,
        by root: AdminDesk
    ) async throws {
        let client = root.client
        let answer =
            switch event {
            case .nothing: try await client.send("GET", "/v1/me", tokens.bearer)
            case .signedOut: try await client.send("POST", "/v1/auth/logout", tokens.bearer)
            case .signedOutEverywhere:
                try await client.send("POST", "/v1/auth/logout-all", tokens.bearer)
            case .endedByAnother: try await root.send("DELETE", "/\(person.id)/sessions")
            case .disabled: try await root.send("POST", "/\(person.id)/disable")
            case .demoted: try await root.send("DELETE", "/\(person.id)/roles/\(Self.seat)")
            }
        let wanted = event == .nothing ? 200 : 204
        #expect(answer.status == wanted, "\(event) \(answer.body)")
    }

    @Test(arguments: Change.allCases)
    func `who is ended or demoted while his last byte is held back is refused (W1, W11)`(
        _ change: Change
    ) async throws {
        let cluster = try await Self.start()
        let root = try await AdminDesk(cluster)
        let role = try await cluster.makeRole(nil, ["users:read"], by: root.tokens)
        for event in Event.allCases {
            let friend = try await cluster.person()
            let person = try await cluster.person()
            try await cluster.sql(
                """
                INSERT INTO account_roles (account_id, role_id, granted_at)
                VALUES ('\(person.id)', '\(Self.seat)', now())
                """
            )
            let tokens = try await cluster.signIn(person)
            let held = try await HeldRequest(
                cluster.nodes[1],
                change.target(friend),
                tokens.bearer,
                json: change.json(friend, role)
            )
            try await carryOut(event, on: person, tokens, by: root)
            let before = try await cluster.digest()
            let answer = try await held.finish()
            #expect(answer.status == event.answer.status, "\(event) \(answer.body)")
            #expect(answer.code == event.answer.code, "\(event)")
            let isChanged = try await cluster.digest() != before
            #expect(isChanged == (event == .nothing), "\(event)")
        }
    }

    @Test
    func `a key that is revoked while the last byte is held back opens nothing (W1, row 179)`()
        async throws
    {
        let cluster = try await Self.start()
        let root = try await AdminDesk(cluster)
        let role = try await cluster.makeRole(nil, ["users:read"], by: root.tokens)
        let permissions = ["users:read", "users:write", "roles:read", "roles:assign"]
        for isRevoked in [false, true] {
            let friend = try await cluster.person()
            let service = try await TestService(root, permissions)
            let key = try await service.key()
            let held = try await HeldRequest(
                cluster.nodes[1],
                "/v1/admin/users/\(friend.id)/roles",
                key.bearer,
                json: "{\"role\":\"\(role)\"}"
            )
            if isRevoked {
                let revoked = try await service.send("DELETE", "/keys/\(key.id)")
                #expect(revoked.status == 204, "\(revoked.body)")
            }
            let answer = try await held.finish()
            #expect(answer.status == (isRevoked ? 401 : 201), "\(answer.body)")
            let given = try await cluster.sql(
                """
                SELECT count(*) FROM account_roles
                 WHERE account_id = '\(friend.id)' AND role_id = '\(role)'
                """
            )
            #expect(given == (isRevoked ? "0" : "1"))
        }
    }
}

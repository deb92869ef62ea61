// Every operation of the public catalogue, tried with every wrong credential. What is derived from
// the catalogue needs no new test when an operation is added.
import HTTPTypes
import Primitives
import Testing

@testable import Tokens
@testable import Web

@Suite(.leavesNoSecrets) struct AccessTableTests {
    /// An operation as a request that passes nothing but, perhaps, its gate.
    private func requests(_ info: OperationInfo, session: String) -> [(String, String)] {
        let path = info.pattern.parameters.reduce(into: info.pattern.text) { path, name in
            path = path.replacing("{\(name)}", with: session)
        }
        switch info.methods {
        case .any: return [("GET", path), ("POST", path)]
        case .only(let methods): return methods.map { ($0.rawValue, path) }
        }
    }

    /// The answer to a request with an empty body.
    private func ask(
        _ cluster: Cluster,
        _ request: (String, String),
        _ fields: [(String, String)]
    ) async throws -> HTTPAnswer {
        let hasBody = ["POST", "PUT", "PATCH"].contains(request.0)
        return try await cluster.node.send(request.0, request.1, fields, json: hasBody ? "{}" : nil)
    }

    /// The wrong credentials with the code that each is refused with.
    private func wrongCredentials(
        _ cluster: Cluster,
        _ tokens: Tokens
    ) async throws -> [(token: String, code: String)] {
        let forge = try await TokenForge(cluster)
        let stranger = RingKeyMaker.stranger()
        let claims = try forge.read(tokens.access)
        let revoked = try await cluster.signIn(cluster.person())
        let out = try await cluster.node.send("POST", "/v1/auth/logout-all", revoked.bearer)
        #expect(out.status == 204)
        return [
            ("nonsense", "token-malformed"), (tokens.refresh, "token-malformed"),
            (
                try AccessTokenWriter.sign(claims, issuer: forge.issuer, with: stranger),
                "token-invalid"
            ),
            (
                try AccessTokenWriter.sign(
                    claims,
                    issuer: forge.issuer + "/",
                    with: forge.key
                ), "token-invalid"
            ), (try forge.change(tokens.access) { $0.audience = "somebody" }, "token-invalid"),
            // Longer than any token may live (revocation.md 1.9).
            (
                try forge.change(tokens.access) { $0.expiresAt = $0.expiresAt + .seconds(3600) },
                "token-invalid"
            ), (try forge.expired(tokens.access), "token-expired"),
            (revoked.access, "token-revoked"),
        ]
    }

    @Test
    func `no operation opens to a wrong credential (S1-15, S3-5, S3-T8, S4-T5, S4-T11)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let tokens = try await cluster.signIn(cluster.person())
        let wrong = try await wrongCredentials(cluster, tokens)
        for info in PublicAPI.catalogue.operations {
            for request in requests(info, session: tokens.session) {
                let name = "\(info.name) \(request.0)"
                let nobody = try await ask(cluster, request, [])
                for (token, code) in wrong {
                    let bearer = [("Authorization", "Bearer \(token)")]
                    let cookie = [("Cookie", "__Host-ww_access=\(token)")]
                    for fields in [bearer, cookie] {
                        let answer = try await ask(cluster, request, fields)
                        #expect(answer.status < 500, "\(name) \(answer.body)")
                        switch info.gate {
                        case .credential, .principal, .permission, .delegated:
                            #expect(answer.status == 401, "\(name) \(code)")
                            #expect(answer.code == code, "\(name)")
                        case .endedCredential:
                            // A revoked one may end what has ended; as a cookie only with its
                            // CSRF value, which is not sent here.
                            let isCookie = fields[0].0 == "Cookie"
                            let status = code != "token-revoked" ? 401 : isCookie ? 403 : 204
                            #expect(answer.status == status, "\(name) \(code) \(fields[0].0)")
                            if status != 204 {
                                let wanted = status == 403 ? "csrf-failed" : code
                                #expect(answer.code == wanted, "\(name) \(code)")
                            }
                        case .refreshCredential: #expect(answer.status == 401, "\(name)")
                        case .anyone where info.name == "gateway.verify":
                            #expect(answer.status == 401, "\(name) \(code)")
                        case .anyone, .listener:
                            // It neither helps nor hurts.
                            #expect(answer.status == nobody.status, "\(name)")
                        }
                        if answer.status == 401 { #expect(answer["WWW-Authenticate"] != nil) }
                    }
                }
            }
        }
        try await cluster.expectEverywhere(200, tokens.bearer)
    }

    @Test
    func `no operation that needs a credential opens without one (row 95, S3-16)`() async throws {
        let cluster = try await Cluster.shared()
        let tokens = try await cluster.signIn(cluster.person())
        var tried = 0
        // What is open to anyone is this list and no more (S0-14).
        let open = PublicAPI.catalogue.operations.filter { $0.gate == .anyone }.map(\.name)
        #expect(
            Set(open) == [
                "accounts.register", "decisions.configuration", "gateway.jwks", "gateway.verify",
                "sessions.sign_in",
            ]
        )
        for info in PublicAPI.catalogue.operations {
            for request in requests(info, session: tokens.session) {
                let answer = try await ask(cluster, request, [])
                #expect(answer.status < 500)
                switch info.gate {
                case .credential, .endedCredential, .principal, .permission, .delegated,
                    .refreshCredential:
                    #expect(answer.status == 401, "\(info.name)")
                    #expect(answer.code == "token-missing", "\(info.name)")
                    // RFC 6750 section 3: no error code when no credential was sent.
                    #expect(answer["WWW-Authenticate"] == "Bearer realm=\"watchword\"")
                    tried += 1
                case .anyone, .listener: continue
                }
                #expect(try #require(answer.text("type")).hasSuffix("/problems/token-missing"))
                #expect(answer["Content-Type"] == "application/problem+json; charset=utf-8")
                #expect(answer["Cache-Control"] == "no-store")
                #expect(answer["X-Content-Type-Options"] == "nosniff")
                #expect(answer["X-Request-Id"].map { "urn:uuid:\($0)" } == answer.text("instance"))
            }
        }
        #expect(tried >= 9)
    }

    @Test
    func `no operation that needs a permission opens to a member (rows 165, 166, S4-16)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let tokens = try await cluster.signIn(cluster.person())
        for info in PublicAPI.catalogue.operations {
            switch info.gate {
            case .permission, .delegated: break
            default: continue
            }
            for request in requests(info, session: tokens.session) {
                let answer = try await ask(cluster, request, tokens.bearer)
                #expect(answer.status == 403, "\(info.name)")
                #expect(answer.code == "permission-denied", "\(info.name)")
            }
        }
    }

    /// The permission that an operation's gate asks for; nil where it asks for none.
    private func permission(_ info: OperationInfo) -> String? {
        switch info.gate {
        case .permission, .delegated:
            // As the access table shows it.
            info.gate.title.split(separator: "`").dropFirst().first.map(String.init)
        case .anyone, .credential, .endedCredential, .principal, .refreshCredential, .listener:
            nil
        }
    }

    /// What somebody with a role of `permissions` is answered by each of `operations`, with an
    /// empty body and an id that nothing has.
    private func answers(
        _ cluster: Cluster,
        _ role: String,
        _ permissions: [String],
        _ operations: [OperationInfo]
    ) async throws -> [(name: String, answer: HTTPAnswer)] {
        let person = try await cluster.person()
        try await cluster.grant(role, permissions, to: person)
        let bearer = try await cluster.signIn(person).bearer
        var found: [(name: String, answer: HTTPAnswer)] = []
        for info in operations {
            for request in requests(info, session: Subjects.nobody()) {
                let answer = try await ask(cluster, request, bearer)
                found.append((name: "\(info.name) \(request.0)", answer: answer))
            }
        }
        return found
    }

    @Test
    func `each operation asks for its own permission, and for no other's sake (row 165)`()
        async throws
    {
        var plan = Cluster.Plan()
        // Of its own: what the keys of the cluster are is changed here.
        plan.nodes = 1
        // Where it is switched off it is refused to everybody alike.
        plan.variables["WATCHWORD_ADMIN_IMPERSONATION"] = "true"
        try await Cluster.run(plan) { cluster in
            let rows = try await cluster.sql("SELECT name FROM permissions WHERE built_in")
            let all = rows.split(separator: "\n").map(String.init)
            var gated: [String: [OperationInfo]] = [:]
            for info in PublicAPI.catalogue.operations {
                if let wanted = permission(info) { gated[wanted, default: []].append(info) }
            }
            // The one that is no gate's is asked for where somebody asks about others.
            #expect(Set(gated.keys) == Set(all).subtracting(["access:check"]))
            try await withThrowingTaskGroup(of: Void.self) { group in
                var started = 0
                for (wanted, operations) in gated {
                    // Each of these sends one request at a time.
                    if started >= 8 { _ = try await group.next() }
                    started += 1
                    group.addTask { try await expectGate(cluster, wanted, of: all, operations) }
                }
                try await group.waitForAll()
            }
        }
    }

    /// Expects operations to be closed to who holds all but `permission`, and open to who holds it
    /// alone.
    private func expectGate(
        _ cluster: Cluster,
        _ permission: String,
        of all: [String],
        _ operations: [OperationInfo]
    ) async throws {
        let mark = permission.replacing(":", with: "-")
        let others = all.filter { $0 != permission }
        for (name, answer) in try await answers(cluster, "not-\(mark)", others, operations) {
            #expect(answer.status == 403, "\(name) without \(permission)")
            #expect(answer.code == "permission-denied", "\(name) without \(permission)")
        }
        for (name, answer) in try await answers(cluster, "only-\(mark)", [permission], operations) {
            // What it refuses for now is what was asked, not who asked.
            let text = "\(name) with \(permission): \(answer.body)"
            #expect(answer.code != "permission-denied", "\(text)")
            #expect(answer.code != "recent-sign-in-required", "\(text)")
            #expect(answer.status != 401 && answer.status < 500, "\(text)")
        }
    }

    @Test
    func `a session of somebody else is not there, for any operation on it (S0-8, row 105)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let mine = try await cluster.signIn(cluster.person())
        let other = try await cluster.signIn(cluster.person())
        var tried = 0
        let own = PublicAPI.catalogue.operations.filter { $0.gate == .credential }
        for info in own where info.pattern.text.contains("{id}") {
            for request in requests(info, session: mine.session) {
                #expect(try await ask(cluster, request, other.bearer).status == 404)
                tried += 1
            }
        }
        #expect(tried >= 1)
        try await cluster.expectEverywhere(200, mine.bearer)
    }
}

/// Keys that no ring holds.
private enum RingKeyMaker {
    static func stranger() -> RingKey {
        let now = WallClock.system.now()
        do {
            return try RingKey(
                id: KeyID(at: now, entropy: .system),
                use: .accessToken,
                createdAt: now,
                activeFrom: now,
                retiredAt: nil,
                privateBytes: RingKey.newPrivateBytes(for: .accessToken, entropy: .system)
            )
        } catch {
            preconditionFailure("\(error)")
        }
    }
}

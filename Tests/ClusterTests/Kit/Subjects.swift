// What calls of the API are about: ids of things that are there, and of nothing that is. Fresh ones
// for each call, because calls disable, remove and delete them.
import Primitives

/// A kind of thing that a call names by its id.
enum Subject: String, CaseIterable, Sendable {
    case organisation
    /// A member of that.
    case account
    /// A session of the member.
    case session
    /// A session of the caller himself.
    case ownSession
    /// A role that the member has in the organisation; it permits nothing.
    case role
    /// The account of a service that is a member too.
    case service
    case apiKey
    case rule
    case signingKey
    case permission
    /// Of a request that the member has made in the organisation.
    case approval

    /// The kinds that belong to an organisation, or to a person; the others are everybody's.
    static let owned: [Subject] = [
        .organisation, .account, .session, .ownSession, .service, .apiKey, .approval,
    ]

    /// What a parameter of a path stands for, by the segment before it.
    ///
    /// - Throws: where there is a segment that nobody has told of; then tell it here.
    static func named(in path: String, after segment: String) throws -> Subject {
        switch segment {
        case "users", "members": .account
        case "sessions": path.hasPrefix("/v1/me/") ? .ownSession : .session
        case "roles": .role
        case "organisations": .organisation
        case "service-accounts": .service
        case "keys": path.contains("/service-accounts/") ? .apiKey : .signingKey
        case "permissions": .permission
        case "route-rules": .rule
        case "approvals": .approval
        default: throw ClusterError("what is named after \(segment) in \(path)?")
        }
    }
}

/// Ids by what they are of, and text that nobody else uses.
struct Subjects: Sendable {
    var ids: [Subject: String]
    /// For names.
    let mark: String
    /// The member, who has the tokens `tokens`.
    let person: Person
    let tokens: Tokens

    subscript(_ subject: Subject) -> String { ids[subject] ?? "missing-\(subject.rawValue)" }

    /// The same with other ids.
    func with(_ others: [Subject: String]) -> Subjects {
        var copy = self
        copy.ids.merge(others) { $1 }
        return copy
    }

    /// The id of nothing.
    static func nobody() -> String {
        RequestID(at: WallClock.system.now(), entropy: .system).description
    }
}

extension TestOrganisation {
    /// Somebody new in it, with all that calls can be about.
    ///
    /// - Parameter more: what is made too, of route rules, permissions and signing keys: there are
    ///   never many of those.
    func subjects(_ root: AdminDesk, and more: Set<Subject> = []) async throws -> Subjects {
        let mark = Hex.encode(Entropy.system.bytes(6))
        let person = try await cluster.person()
        try await add(person, by: root)
        let role = try await made(root, "/roles", "{\"name\":\"r-\(mark)\",\"permissions\":[]}")
        let given = try await root.send(
            "POST",
            "/\(person.id)/roles",
            json: "{\"role\":\"\(role)\",\"organisation\":\"\(id)\"}"
        )
        guard given.status == 201 else { throw ClusterError("not given: \(given.body)") }
        let service = try await made(root, "/service-accounts", "{\"name\":\"s-\(mark)\"}")
        try await add(Person(email: "", username: "", password: "", id: service), by: root)
        let key = try await made(root, "/service-accounts/\(service)/keys", "{\"name\":\"k\"}")
        // The first session is what is ended; the other one calls.
        let (session, tokens) = try await (cluster.signIn(person), cluster.signIn(person))
        var ids: [Subject: String] = [
            .organisation: id, .account: person.id, .session: session.session,
            .ownSession: session.session, .role: role, .service: service, .apiKey: key,
            .approval: try await approval(of: person),
        ]
        if more.contains(.rule) {
            let rule = """
                {"methods":["GET"],"path":"/\(mark)","access":"authenticated"}
                """
            ids[.rule] = try await made(root, "/route-rules", rule)
        }
        if more.contains(.signingKey) {
            ids[.signingKey] = try await made(root, "/keys/rotate", "{}")
        }
        if more.contains(.permission) {
            let permission = "p\(mark):write"
            ids[.permission] = permission
            _ = try await made(
                root,
                "/permissions",
                "{\"name\":\"\(permission)\",\"description\":\"d\"}",
                "name"
            )
        }
        return Subjects(ids: ids, mark: mark, person: person, tokens: tokens)
    }

    /// Has a request of somebody wait for a second person.
    private func approval(of person: Person) async throws -> String {
        try await cluster.sql(
            """
            INSERT INTO approvals (id, account_id, request_digest, organisation_id, operation,
                                   method, target, if_match, body, created_at, expires_at)
            VALUES (gen_random_uuid(), '\(person.id)', sha256(gen_random_uuid()::text::bytea),
                    '\(id)', 'users.delete', 'DELETE', '/v1/admin/users/\(person.id)', '', '',
                    now(), now() + interval '1 hour')
            RETURNING id
            """
        )
    }

    /// Makes something; its id, or what else names it.
    private func made(
        _ root: AdminDesk,
        _ path: String,
        _ json: String,
        _ member: String = "id"
    ) async throws -> String {
        let answer = try await root.client.send(
            "POST",
            "/v1/admin\(path)",
            root.tokens.bearer,
            json: json
        )
        guard answer.status == 201, let id = answer.text(member) else {
            throw ClusterError("\(path): not made: \(answer.status) \(answer.body)")
        }
        return id
    }
}

// People of the tests, and what they do: sign up, sign in, in an application or a browser.
import Primitives
import Testing

/// Somebody with an account.
struct Person: Sendable {
    let email: String
    let username: String
    var password: String
    let id: String
}

/// What an application holds.
struct Tokens: Sendable {
    let access: String
    let refresh: String
    let session: String

    /// Reads the answer of a sign-in or a refresh.
    init(_ answer: HTTPAnswer) throws {
        guard answer.status == 200, let access = answer.text("access_token"),
            let refresh = answer.text("refresh_token"), let session = answer.text("session_id")
        else { throw ClusterError("no tokens: \(answer.status) \(answer.body)") }
        self.access = access
        self.refresh = refresh
        self.session = session
    }

    /// The header that an application sends.
    var bearer: [(String, String)] { [("Authorization", "Bearer \(access)")] }
}

/// What a browser holds.
struct Browser: Sendable {
    var cookies: [String: String]
    let session: String

    /// Takes the cookies of an answer.
    init(_ answer: HTTPAnswer) throws {
        guard answer.status == 200, let session = answer.text("session_id") else {
            throw ClusterError("no session: \(answer.status) \(answer.body)")
        }
        cookies = answer.cookies
        self.session = session
    }

    /// What the readable cookie says.
    var csrf: String { cookies.first { $0.key.hasSuffix("ww_csrf") }?.value ?? "" }

    /// The `Cookie` header.
    var cookieField: (String, String) {
        ("Cookie", cookies.map { "\($0.key)=\($0.value)" }.joined(separator: "; "))
    }

    /// The headers of a script that means it.
    var fields: [(String, String)] { [cookieField, ("X-CSRF-Token", csrf)] }
}

extension Cluster {
    /// Makes an account that nobody else uses.
    func person() async throws -> Person {
        let mark = Hex.encode(Entropy.system.bytes(6))
        let password = "correct horse \(mark) staple"
        secrets.add(password, "password")
        let answer = try await node.send(
            "POST",
            "/v1/auth/register",
            json: """
                {"email":"P\(mark)@Example.TEST","username":"User_\(mark)","password":"\(password)"}
                """
        )
        guard answer.status == 201, let id = answer.text("account.id") else {
            throw ClusterError("not registered: \(answer.status) \(answer.body)")
        }
        return Person(
            email: "P\(mark)@Example.TEST",
            username: "User_\(mark)",
            password: password,
            id: id
        )
    }

    /// Sends a sign-in.
    func login(
        _ login: String,
        _ password: String,
        transport: String? = nil,
        _ fields: [(String, String)] = [],
        at client: HTTPClient? = nil
    ) async throws -> HTTPAnswer {
        let extra = transport.map { ",\"transport\":\"\($0)\"" } ?? ""
        return try await (client ?? node).send(
            "POST",
            "/v1/auth/login",
            fields,
            json: "{\"login\":\"\(login)\",\"password\":\"\(password)\"\(extra)}"
        )
    }

    /// Signs in as an application.
    func signIn(_ person: Person, at client: HTTPClient? = nil) async throws -> Tokens {
        try Tokens(await login(person.email, person.password, at: client))
    }

    /// Signs in as a browser.
    func browse(_ person: Person) async throws -> Browser {
        try Browser(await login(person.email, person.password, transport: "cookie"))
    }

    /// Sends a refresh.
    func refresh(_ token: String, at client: HTTPClient? = nil) async throws -> HTTPAnswer {
        try await (client ?? node).send(
            "POST",
            "/v1/auth/refresh",
            json: "{\"refresh_token\":\"\(token)\"}"
        )
    }

    /// What `/verify` says on every node, and the guarded application through the gateway.
    func verdicts(_ fields: [(String, String)]) async throws -> [Int] {
        var found: [Int] = []
        let safe = fields + [("X-Original-Method", "GET")]
        for node in nodes {
            found.append(try await node.client.send("GET", "/verify", safe).status)
        }
        if plan.hasGateway {
            found.append(try await gateway.send("GET", "/app/page", fields).status)
        }
        return found
    }

    /// Expects the same answer on every node and at the gateway.
    func expectEverywhere(
        _ status: Int,
        _ fields: [(String, String)],
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let found = try await verdicts(fields)
        let isEverywhere = found.allSatisfy { $0 == status }
        #expect(
            isEverywhere,
            "\(found) \(complaints)",
            sourceLocation: sourceLocation
        )
    }
}

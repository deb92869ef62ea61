// An authenticator that is not ours: `oathtool` of oath-toolkit, which knows RFC 6238 from its own
// reading of it. And people who have one.
import Glibc
import Primitives
import Testing

/// What somebody has on his phone.
struct Authenticator: Sendable {
    /// The seed in Base32.
    let secret: String

    /// The number of the half minute it is now.
    static var step: Int { Int(time(nil)) / 30 }

    /// The code of `steps` half minutes from now.
    func code(_ steps: Int = 0) async throws -> String {
        let moment = (Self.step + steps) * 30
        let output = try await Shell.run(
            ["oathtool", "--totp", "--base32", "--now=@\(moment)", secret]
        )
        return String(output.prefix { $0.isNumber })
    }
}

extension Cluster {
    /// Gives an account a second factor of which nobody has the seed.
    func addSecondFactor(to account: String) async throws {
        try await sql(
            """
            INSERT INTO second_factors (
                account_id, seed_sealed, master_key_version, begun_in, created_at, confirmed_at
            ) VALUES ('\(account)', 'x', 1, gen_random_uuid(), now(), now())
            """
        )
    }
}

/// Somebody with a second factor.
struct EnrolledPerson: Sendable {
    var person: Person
    let authenticator: Authenticator
    let recoveryCodes: [String]
    /// Of the session that enrolled it, which a password alone had opened.
    let before: Tokens
    let cluster: Cluster

    static let path = "/v1/me/second-factor"

    /// Enrols an authenticator for `person`.
    init(_ person: Person, in cluster: Cluster, at client: HTTPClient? = nil) async throws {
        let node = client ?? cluster.node
        let tokens = try await cluster.signIn(person, at: node)
        let begun = try await node.send("POST", Self.path, tokens.bearer)
        guard begun.status == 201, let secret = begun.text("secret") else {
            throw ClusterError("not begun: \(begun.status) \(begun.code ?? "")")
        }
        let authenticator = Authenticator(secret: secret)
        let confirmed = try await node.send(
            "POST",
            "\(Self.path)/confirm",
            tokens.bearer,
            json: "{\"code\":\"\(try await authenticator.code())\"}"
        )
        let codes = confirmed.json.at("recovery_codes")?.items.compactMap(\.string) ?? []
        guard confirmed.status == 200, codes.count == 10 else {
            throw ClusterError("not confirmed: \(confirmed.status) \(confirmed.code ?? "")")
        }
        self.person = person
        self.authenticator = authenticator
        recoveryCodes = codes
        before = tokens
        self.cluster = cluster
    }

    /// As if nothing had been shown for a while.
    func wait() async throws {
        try await cluster.sql(
            "UPDATE second_factors SET last_step = 0 WHERE account_id = '\(person.id)'"
        )
    }

    /// Sends a sign-in with `code`.
    func login(_ code: String?, at client: HTTPClient? = nil) async throws -> HTTPAnswer {
        let more = code.map { ",\"code\":\"\($0)\"" } ?? ""
        return try await (client ?? cluster.node).send(
            "POST",
            "/v1/auth/login",
            json: "{\"login\":\"\(person.email)\",\"password\":\"\(person.password)\"\(more)}"
        )
    }

    /// Signs in with both factors.
    func signIn(at client: HTTPClient? = nil) async throws -> Tokens {
        try await wait()
        return try Tokens(await login(try await authenticator.code(), at: client))
    }
}

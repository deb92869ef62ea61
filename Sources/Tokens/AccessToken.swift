// Access tokens: JWTs of RFC 9068, signed with ES256. The JSON is written by hand in a fixed
// order, which is faster than an encoder and leaves exactly one spelling for a set of claims.
import Crypto
import FoundationEssentials
package import Primitives

/// What an access token says.
package struct AccessClaims: Hashable, Sendable {
    /// `jti`: this token.
    package var tokenID: TokenID
    /// `sub`: whose it is.
    package var accountID: AccountID
    /// `sid`: the session that it belongs to.
    package var sessionID: SessionID
    /// `client_id`: the application; Watchword's own sessions use `watchword`.
    package var clientID: String
    /// `aud`: who may accept it.
    package var audience: String
    /// `sgn`: the generation of the account's signature.
    package var signatureGeneration: Int64
    /// `rlv`: the version of the account's rights when it was minted.
    package var rightsVersion: Int64
    /// `roles`: the unscoped roles; nil where there were too many to carry.
    package var roles: [RoleID]?
    /// `scope`: granted scopes, separated by spaces.
    package var scope: String
    /// `auth_time`: when the person last proved who they are.
    package var authenticatedAt: Timestamp
    /// `iat`, `iat_ms`: when it was minted, by the database's clock.
    package var issuedAt: Timestamp
    /// `exp`: when it ends, whole seconds.
    package var expiresAt: Timestamp
    /// The key that signed it; not a claim, taken from the header.
    package var keyID: KeyID
    /// `roles_exp`: when the first of the account's roles is over, whole seconds; after it `roles`
    /// counts no more.
    package var rightsExpireAt: Timestamp?
    /// `org`: the organisation that the session is for.
    package var organisationID: OrganisationID?
    /// `act`: who acts for the account (RFC 8693 section 4.1); nil for its owner.
    package var actor: TokenActor?
    /// `amr`: whether a second factor opened the session, and not a password alone (RFC 8176).
    package var hasSecondFactor: Bool
    /// What an API key is narrowed to; no token carries it.
    package var narrowedTo: [String]?
    /// Whether an API key was shown and no token; then `tokenID` is that of the key, and there is
    /// no session.
    package var isKey = false

    /// Claims of a token.
    package init(
        tokenID: TokenID,
        accountID: AccountID,
        sessionID: SessionID,
        clientID: String,
        audience: String,
        signatureGeneration: Int64,
        rightsVersion: Int64,
        roles: [RoleID]?,
        scope: String,
        authenticatedAt: Timestamp,
        issuedAt: Timestamp,
        expiresAt: Timestamp,
        keyID: KeyID,
        rightsExpireAt: Timestamp? = nil,
        organisationID: OrganisationID? = nil,
        actor: TokenActor? = nil,
        hasSecondFactor: Bool = false
    ) {
        self.tokenID = tokenID
        self.accountID = accountID
        self.sessionID = sessionID
        self.clientID = clientID
        self.audience = audience
        self.signatureGeneration = signatureGeneration
        self.rightsVersion = rightsVersion
        self.roles = roles
        self.scope = scope
        self.authenticatedAt = authenticatedAt
        self.issuedAt = issuedAt
        self.expiresAt = expiresAt
        self.keyID = keyID
        self.rightsExpireAt = rightsExpireAt
        self.organisationID = organisationID
        self.actor = actor
        self.hasSecondFactor = hasSecondFactor
    }
}

/// Writes and signs access tokens.
package enum AccessTokenWriter {
    /// The most roles a token carries, so that the cookie stays under 4 KiB.
    package static let roleLimit = 32

    /// The compact form of `claims`, signed by `key`; about 35 µs.
    package static func sign(
        _ claims: AccessClaims,
        issuer: String,
        with key: RingKey
    ) throws -> String {
        guard case .signing(let signing) = key.material else {
            preconditionFailure("only a signing key signs access tokens")
        }
        var out = KeyRing.header(of: key.id)
        out.append(UInt8(ascii: "."))
        Base64URL.append(Array(payload(claims, issuer: issuer).utf8), to: &out)
        let signature = try signing.signature(for: out)
        out.append(UInt8(ascii: "."))
        Base64URL.append(Array(signature.rawRepresentation), to: &out)
        return String(decoding: out, as: UTF8.self)
    }

    /// `amr` of a session that a second factor has opened; where a password did so alone it has
    /// none.
    private static let twoFactors = "[\"pwd\",\"otp\",\"mfa\"]"

    /// Issuer, audience, client and scope come from the configuration, which refuses quotes,
    /// backslashes and control characters; the rest are ids and numbers.
    private static func payload(_ claims: AccessClaims, issuer: String) -> String {
        var out = "{\"iss\":\"\(issuer)\",\"aud\":\"\(claims.audience)\""
        out += ",\"sub\":\"\(claims.accountID)\",\"client_id\":\"\(claims.clientID)\""
        out += ",\"exp\":\(claims.expiresAt.seconds),\"iat\":\(claims.issuedAt.seconds)"
        out += ",\"iat_ms\":\(claims.issuedAt.microseconds / 1000)"
        out += ",\"auth_time\":\(claims.authenticatedAt.seconds)"
        if claims.hasSecondFactor { out += ",\"amr\":\(Self.twoFactors)" }
        out += ",\"jti\":\"\(claims.tokenID)\",\"sid\":\"\(claims.sessionID)\""
        out += ",\"sgn\":\(claims.signatureGeneration),\"rlv\":\(claims.rightsVersion)"
        if let roles = claims.roles {
            out += ",\"roles\":[\(roles.map { "\"\($0)\"" }.joined(separator: ","))]"
        }
        if let end = claims.rightsExpireAt { out += ",\"roles_exp\":\(end.seconds)" }
        if let organisation = claims.organisationID { out += ",\"org\":\"\(organisation)\"" }
        if let actor = claims.actor { out += ",\"act\":\(actor.json)" }
        return out + ",\"scope\":\"\(claims.scope)\"}"
    }
}

/// Why a token is not one of ours, or not good any more.
package enum AccessTokenFlaw: Error, Hashable {
    /// Not three base64url parts, or too long.
    case malformed
    /// For another issuer or audience, bound to a key, with a header or claims that we never write,
    /// or of a key that is retired.
    case invalid
    /// It names a key of ours, which has not signed it.
    case forged
    /// Not looked at: too many forged ones have come.
    case unchecked(retryAfter: Duration)
    /// Over.
    case expired
    /// The header names a key this ring does not hold; a newer ring may.
    case unknownKey
}

/// Checks access tokens, without asking anybody.
package struct AccessTokenChecker: Sendable {
    /// A compact token longer than this is malformed; ours are below 3 KiB.
    package static let byteLimit = 8192
    /// `iss`, exactly.
    package let issuer: String
    /// The audiences this listener accepts.
    package let audiences: Set<String>

    /// A checker of tokens by `issuer` for one of `audiences`.
    package init(issuer: String, audiences: Set<String>) {
        self.issuer = issuer
        self.audiences = audiences
    }

    /// The claims of `token` if its form, key, signature, issuer, audience and lifetime hold.
    ///
    /// Expiry is not looked at: the caller does that each time, also for a token it remembers.
    ///
    /// - Parameters:
    /// - horizon: the longest life any token may have; a longer one is refused, because the
    /// revocations that cover it may be gone (revocation.md 1.9).
    package func check(
        _ token: some Collection<UInt8>,
        ring: KeyRing,
        horizon: Duration
    ) throws(AccessTokenFlaw) -> AccessClaims {
        guard token.count <= Self.byteLimit else { throw .malformed }
        let bytes = Array(token)
        let parts = bytes.split(
            separator: UInt8(ascii: "."),
            omittingEmptySubsequences: false
        )
        guard parts.count == 3, let payload = Base64URL.decode(parts[1]),
            let signature = Base64URL.decode(parts[2]), !parts[0].isEmpty,
            Base64URL.decode(parts[0]) != nil, signature.count == 64
        else { throw .malformed }
        guard let checker = ring.checkers[Array(parts[0])] else {
            throw ring.mayLackKey(of: bytes) ? AccessTokenFlaw.unknownKey : .invalid
        }
        let signed = bytes[0..<(parts[0].count + 1 + parts[1].count)]
        guard let parsed = try? P256.Signing.ECDSASignature(rawRepresentation: signature),
            checker.key.isValidSignature(parsed, for: signed)
        else {
            // `try?`: a signature that does not parse is as bad as one that does not verify.
            throw .forged
        }
        return try read(payload, keyID: checker.id, horizon: horizon)
    }

    private func read(
        _ payload: [UInt8],
        keyID: KeyID,
        horizon: Duration
    ) throws(AccessTokenFlaw) -> AccessClaims {
        guard MemberNames.areUnique(in: payload) else { throw .invalid }
        let wire: WireClaims
        do {
            wire = try JSONDecoder().decode(BearerClaims.self, from: Data(payload)).claims
        } catch {
            throw .invalid
        }
        guard wire.iss == issuer, audiences.contains(wire.aud),
            let token = TokenID(wire.jti), let account = AccountID(wire.sub),
            let session = SessionID(wire.sid), wire.exp - wire.iat <= horizon.wholeSeconds,
            wire.exp > wire.iat
        else { throw .invalid }
        var roles: [RoleID]?
        if let names = wire.roles {
            roles = names.compactMap { RoleID($0) }
            guard roles?.count == names.count else { throw .invalid }
        }
        let organisation = wire.org.flatMap { OrganisationID($0) }
        let actor = wire.act.flatMap(\.actor)
        guard (organisation == nil) == (wire.org == nil), (actor == nil) == (wire.act == nil)
        else { throw .invalid }
        return AccessClaims(
            tokenID: token,
            accountID: account,
            sessionID: session,
            clientID: wire.clientID,
            audience: wire.aud,
            signatureGeneration: wire.sgn,
            rightsVersion: wire.rlv,
            roles: roles,
            scope: wire.scope,
            authenticatedAt: Timestamp(seconds: wire.authTime),
            issuedAt: Timestamp(microseconds: wire.issuedMilliseconds * 1000),
            expiresAt: Timestamp(seconds: wire.exp),
            keyID: keyID,
            rightsExpireAt: wire.rolesEnd.map { Timestamp(seconds: $0) },
            organisationID: organisation,
            actor: actor,
            hasSecondFactor: wire.amr?.contains("mfa") ?? false
        )
    }

    /// The claims of a token that whoever has it may show.
    ///
    /// One that is bound to a key (`cnf`, RFC 7800 section 3.1: RFC 9449's `jkt`, RFC 8705's
    /// `x5t#S256`) is worth nothing without a proof of that key, and nobody here asks for one
    /// (revocation.md 1.9). The name alone counts: whatever it says, null too, says "not so".
    private struct BearerClaims: Decodable {
        let claims: WireClaims

        private enum Binding: String, CodingKey { case cnf }

        init(from decoder: any Decoder) throws {
            let members = try decoder.container(keyedBy: Binding.self)
            guard !members.contains(.cnf) else { throw AccessTokenFlaw.invalid }
            claims = try WireClaims(from: decoder)
        }
    }

    private struct WireClaims: Decodable {
        let iss: String
        let aud: String
        let sub: String
        let clientID: String
        let exp: Int64
        let iat: Int64
        let issuedMilliseconds: Int64
        let authTime: Int64
        let jti: String
        let sid: String
        let sgn: Int64
        let rlv: Int64
        let roles: [String]?
        let scope: String
        let rolesEnd: Int64?
        let org: String?
        let amr: [String]?
        let act: Actor?

        struct Actor: Decodable {
            let sub: String
            let sid: String
            let sgn: Int64
            let rlv: Int64

            var actor: TokenActor? {
                guard let account = AccountID(sub), let session = SessionID(sid) else { return nil }
                return TokenActor(
                    accountID: account,
                    sessionID: session,
                    signatureGeneration: sgn,
                    rightsVersion: rlv
                )
            }
        }

        enum CodingKeys: String, CodingKey {
            case iss, aud, sub, exp, iat, jti, sid, sgn, rlv, roles, scope, org, amr, act
            case rolesEnd = "roles_exp"
            case clientID = "client_id"
            case issuedMilliseconds = "iat_ms"
            case authTime = "auth_time"
        }
    }
}

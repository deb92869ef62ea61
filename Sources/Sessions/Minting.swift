// Turning the row that a minting statement returns into tokens. Every such statement holds the
// account's signature row FOR SHARE and the session row, and stamps `minted_at` from the
// database's clock under those locks; the tokens leave after its commit (revocation.md 1.8).
import Access
import Postgres
package import Primitives
package import Tokens

/// Settings of sessions and their tokens.
package struct SessionSettings: Sendable {
    /// `iss` of access tokens; also the public URL.
    package var issuer: String
    /// `aud` of access tokens.
    package var audience: String
    /// How long an access token lives.
    package var accessLifetime: Duration
    /// A session unused for this long is over.
    package var idleLimit: Duration
    /// A session is over after this long, used or not.
    package var absoluteLimit: Duration
    /// How long the just-replaced refresh token gets the same child; zero is off.
    package var refreshGrace: Duration

    /// Settings.
    package init(
        issuer: String,
        audience: String,
        accessLifetime: Duration,
        idleLimit: Duration,
        absoluteLimit: Duration,
        refreshGrace: Duration
    ) {
        self.issuer = issuer
        self.audience = audience
        self.accessLifetime = accessLifetime
        self.idleLimit = idleLimit
        self.absoluteLimit = absoluteLimit
        self.refreshGrace = refreshGrace
    }
}

/// How tokens travel: in the body for applications, in cookies for browsers.
package enum Transport: String, Sendable, CaseIterable {
    case body
    case cookie
}

/// What a sign-in or a refresh gives.
package struct TokenPair: Sendable {
    /// The session they belong to.
    package let sessionID: SessionID
    /// The access token.
    package let accessToken: Secret
    /// How long it lives, from now.
    package let accessLifetime: Duration
    /// The refresh token.
    package let refreshToken: Secret
    /// How long it may be used if nothing happens, from now.
    package let refreshLifetime: Duration
    /// What a script must send back to show that it can read the cookies.
    package let csrfValue: String

    /// A pair of tokens.
    package init(
        sessionID: SessionID,
        accessToken: Secret,
        accessLifetime: Duration,
        refreshToken: Secret,
        refreshLifetime: Duration,
        csrfValue: String
    ) {
        self.sessionID = sessionID
        self.accessToken = accessToken
        self.accessLifetime = accessLifetime
        self.refreshToken = refreshToken
        self.refreshLifetime = refreshLifetime
        self.csrfValue = csrfValue
    }
}

/// Minting is impossible for the moment.
enum MintFault: Fault {
    /// No key of some use is active.
    case noKey
    /// This node's token lifetime was not asserted lately, so revocations might not outlive it.
    case horizonStale
    /// Somebody acts in the session, and nobody says with which rights.
    case actorUnknown

    var isTransient: Bool { true }
    var description: String {
        switch self {
        case .noKey: "the key ring has no active key"
        case .actorUnknown: "a session in which somebody acts for another gets no second token"
        case .horizonStale: "the token lifetime was not asserted in time"
        }
    }
}

/// The part of a row that every minting statement returns, from some column on.
struct MintRow: Sendable {
    /// How many columns they are.
    static let columnCount = 16
    /// The SQL of those columns, over the parts `s` (session) and `a` (account).
    ///
    /// Rights and their version are of one snapshot, that of the statement: a row that was locked
    /// or changed after a wait is newer, and beside older roles its version would hide from every
    /// node that a role was taken meanwhile (W11).
    static func columns(session s: String, account a: String, lifetime: Int) -> String {
        """
        \(s).id, \(s).account_id, \(s).signature_generation, \(s).refresh_generation,
               \(s).authenticated_at, \(s).idle_expires_at, \(s).expires_at,
               (SELECT v.rights_version FROM accounts v WHERE v.id = \(a).id),
               ARRAY(SELECT ar.role_id
                       FROM account_roles ar
                      WHERE ar.account_id = \(s).account_id
                        AND ar.scope = ''
                        AND \(RightsStore.isLive("ar"))
                      ORDER BY ar.role_id
                      LIMIT \(AccessTokenWriter.roleLimit + 1)),
               clock_timestamp(),
               (SELECT l.asserted_at FROM token_lifetimes l WHERE l.lifetime_s = $\(lifetime)),
               (SELECT min(ar.expires_at)
                  FROM account_roles ar
                 WHERE ar.account_id = \(s).account_id
                   AND ar.expires_at > statement_timestamp()),
               \(s).organisation_id, \(s).actor_id, \(s).second_factor,
               \(KeyStore.signing)
        """
    }

    let sessionID: SessionID
    let accountID: AccountID
    let signatureGeneration: Int64
    let refreshGeneration: Int64
    let authenticatedAt: Timestamp
    let idleExpiresAt: Timestamp
    let expiresAt: Timestamp
    let rightsVersion: Int64
    let roles: [RoleID]
    let mintedAt: Timestamp
    let horizonAssertedAt: Timestamp?
    /// When the first of the account's roles is over.
    let rightsExpireAt: Timestamp?
    let organisationID: OrganisationID?
    let actorID: AccountID?
    /// Whether a second factor opened the session.
    let hasSecondFactor: Bool
    /// The key that signs; nil where none is active.
    let keyID: KeyID?

    init(_ row: PostgresRow) throws {
        sessionID = try row.get(0, as: SessionID.self)
        accountID = try row.get(1, as: AccountID.self)
        signatureGeneration = try row.get(2, as: Int64.self)
        refreshGeneration = try row.get(3, as: Int64.self)
        authenticatedAt = try row.get(4, as: Timestamp.self)
        idleExpiresAt = try row.get(5, as: Timestamp.self)
        expiresAt = try row.get(6, as: Timestamp.self)
        rightsVersion = try row.get(7, as: Int64.self)
        roles = try row.get(8, as: [RoleID].self)
        mintedAt = try row.get(9, as: Timestamp.self)
        horizonAssertedAt = try row.get(10, as: Timestamp?.self)
        rightsExpireAt = try row.get(11, as: Timestamp?.self)
        organisationID = try row.get(12, as: OrganisationID?.self)
        actorID = try row.get(13, as: AccountID?.self)
        hasSecondFactor = try row.get(14, as: Bool.self)
        keyID = try row.get(15, as: KeyID?.self)
    }
}

/// Makes tokens of rows.
package struct Minting: Sendable {
    let settings: SessionSettings
    let keys: KeyKeeper
    let horizon: TokenHorizon
    let entropy: Entropy

    /// A minter.
    package init(
        settings: SessionSettings,
        keys: KeyKeeper,
        horizon: TokenHorizon,
        entropy: Entropy
    ) {
        self.settings = settings
        self.keys = keys
        self.horizon = horizon
        self.entropy = entropy
    }

    /// The pair for a session in the state of `row`, which has been committed.
    ///
    /// Two signatures of work; no statement unless the horizon is stale, or the key is a new one.
    ///
    /// - Parameter actor: who acts in the session; there is one pair for it, and never another.
    func pair(
        _ row: MintRow,
        nonce: [UInt8],
        actor: TokenActor? = nil
    ) async throws -> TokenPair {
        guard row.actorID == actor?.accountID else { throw MintFault.actorUnknown }
        guard let asserted = row.horizonAssertedAt, row.mintedAt - asserted < TokenHorizon.slack
        else {
            // What was minted is thrown away: a revocation may have been stamped for a shorter
            // life. The client's retry falls into the grace window and gets the same child.
            try await horizon.assert()
            throw MintFault.horizonStale
        }
        // As the database knows it: one that was removed a moment ago signs nothing any more.
        guard let keyID = row.keyID, let key = try await keys.key(keyID) else {
            throw MintFault.noKey
        }
        let ring = keys.ring
        let refresh = RefreshToken(
            sessionID: row.sessionID,
            generation: row.refreshGeneration,
            nonce: nonce
        )
        guard let refreshText = refresh.text(ring: ring, at: row.mintedAt),
            let csrf = CSRFValue.make(for: row.sessionID, ring: ring, at: row.mintedAt)
        else { throw MintFault.noKey }
        let expiresAt = min(
            Timestamp(seconds: row.mintedAt.seconds) + settings.accessLifetime,
            Timestamp(seconds: row.expiresAt.seconds)
        )
        let claims = AccessClaims(
            tokenID: TokenID(at: row.mintedAt, entropy: entropy),
            accountID: row.accountID,
            sessionID: row.sessionID,
            clientID: "watchword",
            audience: settings.audience,
            signatureGeneration: row.signatureGeneration,
            rightsVersion: row.rightsVersion,
            roles: row.roles.count <= AccessTokenWriter.roleLimit ? row.roles : nil,
            scope: "",
            authenticatedAt: row.authenticatedAt,
            issuedAt: row.mintedAt,
            expiresAt: expiresAt,
            keyID: key.id,
            rightsExpireAt: row.rightsExpireAt.map { Timestamp(seconds: $0.seconds) },
            organisationID: row.organisationID,
            actor: actor,
            hasSecondFactor: row.hasSecondFactor
        )
        return TokenPair(
            sessionID: row.sessionID,
            accessToken: Secret(
                try AccessTokenWriter.sign(claims, issuer: settings.issuer, with: key)
            ),
            accessLifetime: expiresAt - Timestamp(seconds: row.mintedAt.seconds),
            refreshToken: Secret(refreshText),
            refreshLifetime: row.idleExpiresAt - Timestamp(seconds: row.mintedAt.seconds),
            csrfValue: csrf
        )
    }
}

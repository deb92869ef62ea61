// Acting as somebody else, to see what he sees. The session is short, cannot be refreshed, names
// who acts in its row, its token (`act`, RFC 8693 section 4.1) and the record, changes no
// credentials and ends no sessions (row 177), and is over when whoever acts is disabled, logs out,
// or what he or the other holds has changed, or he may less than the other (`Verifier+Actor`).
// Switched off unless the site wants it.
package import Access
import Accounts
import Audit
import Postgres
package import Primitives
package import Revocation
package import Tokens

/// Whether a second factor is wanted.
package enum SecondFactorRule: String, CaseIterable, Sendable {
    case required
    case off
}

/// Settings of administration.
package struct AdministrationSettings: Sendable {
    /// Whether administrators may act as others.
    package var allowsImpersonation: Bool
    /// How lately who destroys or gives power must have signed in; zero for whenever.
    package var recentSignIn: Duration
    /// Whether administration is for sessions that a second factor has opened.
    package var wantsSecondFactor: Bool

    /// Reads them.
    package init(from source: SettingsSource) {
        allowsImpersonation = source.boolean(
            "admin.impersonation",
            default: false,
            help: "Whether who holds users:impersonate may act as somebody else for 15 minutes."
        )
        recentSignIn = source.duration(
            "administration.recent_sign_in",
            default: .minutes(15),
            within: .zero ... .hours(24),
            help: "How lately who destroys or gives power must have signed in (docs/access.md); 0"
                + " is off."
        )
        wantsSecondFactor =
            source.choice(
                "administration.second_factor",
                SecondFactorRule.self,
                default: .off,
                help: "Whether administration is for sessions that a second factor has opened"
                    + " (docs/operations/administration.md); API keys and the terminal have none."
            ) == .required
    }
}

/// Why nobody is impersonated.
package enum ImpersonationRefusal: Refusal, Equatable {
    /// It is switched off.
    case off
    /// The one who asks acts as somebody else himself.
    case nested
    /// A key asks; whoever holds one is nobody whom the record could name.
    case byKey
    /// The token of the one who asks was outdated before this took hold (S4-T2).
    case outdated
    /// The account is disabled.
    case disabled

    package var code: ProblemCode {
        switch self {
        case .off, .nested, .byKey, .disabled: .permissionDenied
        case .outdated: .tokenRevoked
        }
    }
    package var detail: String? {
        switch self {
        case .byKey: "An API key acts as nobody else."
        case .outdated: nil
        case .off: "Impersonation is switched off (admin.impersonation)."
        case .nested: "Nobody acts as somebody else while acting as somebody else."
        case .disabled: "The account is disabled."
        }
    }
}

/// A session in which somebody else acts.
package struct Impersonation: Sendable {
    /// The session.
    package let sessionID: SessionID
    /// The access token.
    package let accessToken: Secret
    /// How long both live, from now.
    package let lifetime: Duration

    /// A session in which somebody else acts.
    package init(sessionID: SessionID, accessToken: Secret, lifetime: Duration) {
        self.sessionID = sessionID
        self.accessToken = accessToken
        self.lifetime = lifetime
    }
}

/// Opens sessions for others to act in.
package struct Impersonate: Sendable {
    let targets: AccountTargets
    let minting: Minting
    let settings: AdministrationSettings
    let entropy: Entropy

    /// What it takes, to begin and to go on.
    static let permission = AdminPermission.usersImpersonate.rawValue
    /// The longest life of such a session.
    static let limit: Duration = .minutes(15)

    /// The use case.
    package init(
        revoker: Revoker,
        minting: Minting,
        settings: AdministrationSettings,
        entropy: Entropy
    ) {
        targets = AccountTargets(revoker)
        self.minting = minting
        self.settings = settings
        self.entropy = entropy
    }

    /// Opens a session of `account` in which `actor` acts, as the holder of `caller`.
    ///
    /// - Throws: `ImpersonationRefusal`, `GrantRefusal`, `AdministrationRefusal`; or a fault.
    package func callAsFunction(
        _ account: AccountID,
        as caller: AccessClaims,
        by actor: Grantor,
        _ trace: RequestTrace
    ) async throws -> Impersonation {
        guard settings.allowsImpersonation else { throw ImpersonationRefusal.off }
        guard caller.actor == nil else { throw ImpersonationRefusal.nested }
        guard !caller.isKey else { throw ImpersonationRefusal.byKey }
        let session = SessionID(at: trace.now, entropy: entropy)
        // Nobody ever gets the refresh token that this would belong to.
        let unused = RefreshToken(sessionID: session, generation: 1, nonce: entropy.bytes(16))
        let binds = AuditBinds(trace, entropy: entropy)
        let query = ImpersonateStore.open(
            session,
            account,
            actor.account,
            unused.nonceDigest,
            trace.userAgent,
            trace.now + Self.limit,
            Int32(minting.settings.accessLifetime.wholeSeconds),
            binds
        )
        let (row, acting) = try await targets.permitted(account, .person, .heavy, by: actor) {
            transaction,
            grants in
            try grants.allow([Self.permission], in: .everywhere)
            // He shows the names of its roles to every gateway (row 169).
            try await grants.allowNames(heldBy: account, for: .now)
            // Whoever has logged out since he was let in here gets no new token by it.
            let generation = caller.signatureGeneration
            let version = try await transaction.first(
                ImpersonateStore.findActor(actor.account, generation, caller.sessionID)
            )
            guard let version else { throw ImpersonationRefusal.outdated }
            guard let row = try await transaction.first(query) else {
                throw ImpersonationRefusal.disabled
            }
            let acting = TokenActor(
                accountID: actor.account,
                sessionID: caller.sessionID,
                signatureGeneration: generation,
                rightsVersion: version
            )
            return (row, acting)
        }
        let pair = try await minting.pair(row, nonce: unused.nonce, actor: acting)
        return Impersonation(
            sessionID: session,
            accessToken: pair.accessToken,
            lifetime: pair.accessLifetime
        )
    }
}

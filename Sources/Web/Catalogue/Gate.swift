// Who may call an operation. The gate is part of the declaration, so the access table and the tests
// that try every operation with the wrong credential are derived from it.
package import Access
internal import Primitives

/// What a caller must show.
package enum Gate: Hashable, Sendable {
    /// Nothing.
    case anyone
    /// An access token, as bearer or as cookie; no API key.
    case credential
    /// An access token, also one that is revoked: ending a session that has ended is no mistake.
    case endedCredential
    /// An access token or an API key.
    case principal
    /// An access token whose account holds a permission everywhere.
    case permission(AdminPermission)
    /// An access token whose account holds a permission everywhere, or in the organisation that the
    /// request is about; the handler stays in `Caller.realm`.
    case delegated(AdminPermission)
    /// A refresh token, in the body or as cookie.
    case refreshCredential
    /// Being on the listener: management calls.
    case listener

    /// What the access table calls it.
    package var title: String {
        switch self {
        case .anyone: "anyone"
        case .credential: "access token"
        case .endedCredential: "access token, also a revoked one"
        case .principal: "access token or API key"
        case .permission(let permission): "permission `\(permission.rawValue)`"
        case .delegated(let permission):
            "permission `\(permission.rawValue)`, also in one organisation"
        case .refreshCredential: "refresh token"
        case .listener: "management listener"
        }
    }

    /// Whether whoever passes administers, which may be bound to networks (row 176).
    package var isAdministration: Bool {
        switch self {
        case .permission, .delegated: true
        case .anyone, .credential, .endedCredential, .principal, .refreshCredential, .listener:
            false
        }
    }

    /// Whether a cookie may be the credential, so that unsafe methods need a CSRF token.
    package var readsCookies: Bool {
        switch self {
        case .credential, .endedCredential, .principal, .permission, .delegated,
            .refreshCredential:
            true
        case .anyone, .listener: false
        }
    }

    /// The problems that passing this gate can end in.
    var problems: [ProblemCode] {
        let token: [ProblemCode] = [
            .tokenMissing, .tokenMalformed, .tokenInvalid, .tokenExpired, .tokenRevoked,
            // Its signature was not checked (decision 18).
            .tooManyAttempts,
        ]
        return switch self {
        case .anyone, .listener: []
        // Not for API keys: they have no session.
        case .credential, .endedCredential: token + [.permissionDenied]
        case .permission, .delegated:
            token + [.permissionDenied, .networkNotAllowed, .secondFactorRequired]
        case .principal: token
        case .refreshCredential:
            [
                .refreshTokenInvalid, .refreshTokenExpired, .refreshTokenReused,
                .refreshTokenRevoked,
            ]
        }
    }
}

/// What a caller must have proved lately, beside what he shows at the gate.
package enum Proof: Hashable, Sendable {
    /// Nothing: the credential is enough.
    case none
    /// Who he is: by a recent sign-in, because of what is at stake (row 178, decision 16).
    case recent(Stake)

    /// The problems that the lack of it can end in.
    var problems: [ProblemCode] {
        switch self {
        case .none: []
        case .recent: [.recentSignInRequired]
        }
    }
}

/// Why a call needs a recent proof.
package enum Stake: String, Hashable, Sendable, CaseIterable {
    /// It cannot be undone.
    case destruction
    /// It gives somebody power that outlasts the session.
    case power
    /// It changes what every node and gateway trusts or lets pass.
    case trust
    /// It changes what opens one's own account.
    case credential

    /// The reason, for manuals.
    package var sentence: String {
        switch self {
        case .destruction: "It cannot be undone."
        case .power:
            "It gives power that outlasts the session: whoever has stolen a token would have it"
                + " given to an account of his own first."
        case .trust: "It changes whom every node trusts, or what every gateway lets pass."
        case .credential:
            "It changes what opens the account: a thief of its token would shut the owner out."
        }
    }
}

/// Checks a gate, then a proof: refuses, or says who calls (nil where anyone may).
///
/// The CSRF token of a cookie's caller is checked here too, since only the session's side can.
package typealias Gatekeeper = @Sendable (Gate, Proof, RequestContext) async throws -> Caller?

/// By what an operation is throttled.
package enum ThrottleKey: String, Hashable, Sendable {
    case perAddress = "per address"
    case perAccount = "per account"
    case perSession = "per session"
}

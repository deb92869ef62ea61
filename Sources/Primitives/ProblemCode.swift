// Every way in which Watchword says no, once. A code is stable for ever: clients switch over it.
// From this list come the `type`, `title` and `status` of every problem answer (RFC 9457) and
// docs/problems.md. It must not say more than the public may know.

/// A stable, kebab-case name for one kind of refusal or failure.
package enum ProblemCode: String, CaseIterable, Sendable, Hashable {
    case malformedRequest = "malformed-request"
    case validationFailed = "validation-failed"
    case unsupportedMediaType = "unsupported-media-type"
    case bodyTooLarge = "body-too-large"
    case notFound = "not-found"
    case methodNotAllowed = "method-not-allowed"
    case requestTimeout = "request-timeout"
    case tokenMissing = "token-missing"
    case tokenMalformed = "token-malformed"
    case tokenInvalid = "token-invalid"
    case tokenExpired = "token-expired"
    case tokenRevoked = "token-revoked"
    case signInFailed = "sign-in-failed"
    case refreshTokenInvalid = "refresh-token-invalid"
    case refreshTokenExpired = "refresh-token-expired"
    case refreshTokenReused = "refresh-token-reused"
    case refreshTokenRevoked = "refresh-token-revoked"
    case passwordIncorrect = "password-incorrect"
    case secondFactorIncorrect = "second-factor-incorrect"
    case accountUnconfirmed = "account-unconfirmed"
    case csrfFailed = "csrf-failed"
    case crossSiteRequest = "cross-site-request"
    case originRefused = "origin-refused"
    case permissionDenied = "permission-denied"
    case originalRequestRefused = "original-request-refused"
    case registrationDisabled = "registration-disabled"
    case emailTaken = "email-taken"
    case usernameTaken = "username-taken"
    case permissionNotHeld = "permission-not-held"
    case selfChangeRefused = "self-change-refused"
    case recentSignInRequired = "recent-sign-in-required"
    case secondFactorRequired = "second-factor-required"
    case networkNotAllowed = "network-not-allowed"
    case approvalRequired = "approval-required"
    case approvalClosed = "approval-closed"
    case passwordChangeRequired = "password-change-required"
    case organisationRefused = "organisation-refused"
    case nameTaken = "name-taken"
    case builtIn = "built-in"
    case inUse = "in-use"
    case secondFactorPresent = "second-factor-present"
    case roleCycle = "role-cycle"
    case lastAdministrator = "last-administrator"
    case limitReached = "limit-reached"
    case idempotencyKeyReused = "idempotency-key-reused"
    case versionMismatch = "version-mismatch"
    case versionRequired = "version-required"
    case tooManyAttempts = "too-many-attempts"
    case tooManyConnections = "too-many-connections"
    case overloaded
    case deadlineExceeded = "deadline-exceeded"
    case storeUnavailable = "store-unavailable"
    case internalError = "internal-error"
}

extension ProblemCode {
    /// The HTTP status this code is always answered with.
    package var status: Int {
        switch self {
        case .malformedRequest, .validationFailed: 400
        case .tokenMissing, .tokenMalformed, .tokenInvalid, .tokenExpired, .tokenRevoked,
            .signInFailed, .refreshTokenInvalid, .refreshTokenExpired, .refreshTokenReused,
            .refreshTokenRevoked, .passwordIncorrect, .secondFactorIncorrect:
            401
        case .accountUnconfirmed, .csrfFailed, .crossSiteRequest, .originRefused,
            .permissionDenied, .originalRequestRefused, .registrationDisabled,
            .permissionNotHeld, .selfChangeRefused, .recentSignInRequired, .networkNotAllowed,
            .secondFactorRequired, .approvalRequired, .passwordChangeRequired,
            .organisationRefused:
            403
        case .notFound: 404
        case .methodNotAllowed: 405
        case .requestTimeout: 408
        case .emailTaken, .usernameTaken, .nameTaken, .builtIn, .inUse, .roleCycle,
            .lastAdministrator, .limitReached, .idempotencyKeyReused, .approvalClosed,
            .secondFactorPresent:
            409
        case .versionMismatch: 412
        case .bodyTooLarge: 413
        case .unsupportedMediaType: 415
        case .versionRequired: 428
        case .tooManyAttempts, .tooManyConnections: 429
        case .internalError: 500
        case .overloaded, .deadlineExceeded, .storeUnavailable: 503
        }
    }

    /// The short text of the problem's `title`; the same at every occurrence.
    package var title: String { manual.title }

    /// One sentence for docs/problems.md: when this is answered.
    package var meaning: String { manual.meaning }

    /// One sentence for docs/problems.md: what the caller can do about it.
    package var remedy: String { manual.remedy }
}

// The words of the problem manual: what each code means and what to do about it. Kept beside
// `ProblemCode` and apart from it so that the list of codes stays readable. Texts are public: they
// must not tell an unknown account from a wrong password (W6).

extension ProblemCode {
    /// The fixed texts of one code.
    struct Manual {
        let title: String
        let meaning: String
        let remedy: String

        init(_ title: String, _ meaning: String, _ remedy: String) {
            self.title = title
            self.meaning = meaning
            self.remedy = remedy
        }
    }

    var manual: Manual {
        switch self {
        case .malformedRequest, .validationFailed, .unsupportedMediaType, .bodyTooLarge, .notFound,
            .methodNotAllowed, .requestTimeout:
            requestManual
        case .tokenMissing, .tokenMalformed, .tokenInvalid, .tokenExpired, .tokenRevoked,
            .signInFailed, .refreshTokenInvalid, .refreshTokenExpired, .refreshTokenReused,
            .refreshTokenRevoked, .passwordIncorrect, .secondFactorIncorrect:
            credentialManual
        case .accountUnconfirmed, .csrfFailed, .crossSiteRequest, .originRefused,
            .permissionDenied, .originalRequestRefused, .registrationDisabled, .emailTaken,
            .usernameTaken:
            ruleManual
        case .permissionNotHeld, .selfChangeRefused, .recentSignInRequired, .networkNotAllowed,
            .secondFactorRequired, .secondFactorPresent,
            .approvalRequired, .approvalClosed, .passwordChangeRequired,
            .organisationRefused, .nameTaken, .builtIn, .inUse,
            .roleCycle, .lastAdministrator, .limitReached, .idempotencyKeyReused,
            .versionMismatch, .versionRequired:
            administrationManual
        case .tooManyAttempts, .tooManyConnections, .overloaded, .deadlineExceeded,
            .storeUnavailable, .internalError:
            serviceManual
        }
    }

    private var requestManual: Manual {
        switch self {
        case .malformedRequest:
            Manual(
                "Malformed request",
                "The bytes are not well-formed HTTP, JSON or percent-encoding.",
                "Correct the client; sending the same bytes again cannot work."
            )
        case .validationFailed:
            Manual(
                "Validation failed",
                "A member is missing, unknown, of the wrong type or outside its limits; `errors` "
                    + "names each one.",
                "Correct the members that `errors` names."
            )
        case .unsupportedMediaType:
            Manual(
                "Unsupported media type",
                "The body is not of the media type that the operation reads, or it is compressed.",
                "Send `Content-Type: application/json` and no `Content-Encoding`."
            )
        case .bodyTooLarge:
            Manual(
                "Body too large",
                "The request body is larger than the operation reads.",
                "Send a smaller body."
            )
        case .notFound:
            Manual(
                "Not found",
                "Nothing is at this path, or it is not yours to see.",
                "Check the path and the id; paths are compared byte by byte."
            )
        case .methodNotAllowed:
            Manual(
                "Method not allowed",
                "The path exists and does not answer this method.",
                "Use one of the methods that the `Allow` header names."
            )
        default:
            Manual(
                "Request timeout",
                "The request did not arrive completely in the time allowed.",
                "Send it again over a faster connection."
            )
        }
    }

    private var credentialManual: Manual {
        switch self {
        case .tokenMissing:
            Manual(
                "Token missing",
                "The operation needs an access token and none was sent.",
                "Send `Authorization: Bearer` and the token, or the access cookie."
            )
        case .tokenMalformed:
            Manual(
                "Token malformed",
                "What was sent as a token cannot be one.",
                "Send the token exactly as it was issued."
            )
        case .tokenInvalid:
            Manual(
                "Token invalid",
                "The token was not issued by this service or not for this use.",
                "Sign in again. Where `Retry-After` comes with it nobody has looked at the token: "
                    + "wait as long, and show it again."
            )
        case .tokenExpired:
            Manual(
                "Token expired",
                "The token's time is over.",
                "Refresh it, or sign in again."
            )
        case .tokenRevoked:
            Manual(
                "Token revoked",
                "The token was taken back by a log-out, a change of password or an administrator.",
                "Sign in again."
            )
        case .signInFailed:
            Manual(
                "Sign-in failed",
                "The login and password do not belong together.",
                "Check both; this version has no way to reset a password."
            )
        case .passwordIncorrect:
            Manual(
                "Password incorrect",
                "The current password, which this operation asks for again, is wrong.",
                "Type it again."
            )
        case .secondFactorIncorrect:
            Manual(
                "Second factor incorrect",
                "The password is right; the code is wrong, was used before, or its time is over.",
                "Wait for the next code, or use a recovery code. After many wrong codes in a row "
                    + "only a recovery code helps, or an administrator."
            )
        default:
            refreshManual
        }
    }

    private var refreshManual: Manual {
        switch self {
        case .refreshTokenExpired:
            Manual(
                "Refresh token expired",
                "The session was idle too long or reached its greatest age.",
                "Sign in again."
            )
        case .refreshTokenReused:
            Manual(
                "Refresh token reused",
                "The token had been exchanged before; the session was ended, because the thief and "
                    + "the owner cannot be told apart.",
                "Sign in again, and keep only the newest refresh token."
            )
        case .refreshTokenRevoked:
            Manual(
                "Refresh token revoked",
                "The session was ended by a log-out, a change of password or an administrator.",
                "Sign in again."
            )
        default:
            Manual(
                "Refresh token invalid",
                "The refresh token is missing or is not one of this service's.",
                "Sign in again."
            )
        }
    }

    private var ruleManual: Manual {
        switch self {
        case .accountUnconfirmed:
            Manual(
                "Account unconfirmed",
                "The address of this account has not been confirmed yet.",
                "Ask an administrator to confirm it; this version sends no mail."
            )
        case .csrfFailed:
            Manual(
                "CSRF check failed",
                "A cookie authenticates the call and the `X-CSRF-Token` header is missing or "
                    + "belongs to another session.",
                "Send the value of the CSRF cookie in `X-CSRF-Token`."
            )
        case .crossSiteRequest:
            Manual(
                "Cross-site request",
                "A browser sent this on behalf of another site (`Sec-Fetch-Site: cross-site`).",
                "Call from an origin that the configuration names."
            )
        case .originRefused:
            Manual(
                "Origin refused",
                "The `Origin` header names a site that the configuration does not.",
                "Add the exact origin to the configuration."
            )
        case .permissionDenied:
            Manual(
                "Permission denied",
                "The account does not hold the permission that the operation needs.",
                "Ask an administrator for a role that has it."
            )
        case .originalRequestRefused:
            Manual(
                "Original request refused",
                "What the gateway reported about the original request is missing, contradictory "
                    + "or ambiguous.",
                "Correct the gateway's configuration; see docs/gateways."
            )
        case .registrationDisabled:
            Manual(
                "Registration disabled",
                "This service does not let people register themselves.",
                "Ask an administrator for an account."
            )
        case .emailTaken:
            Manual(
                "E-mail address taken",
                "Another account has this address.",
                "Sign in to it, or use another address."
            )
        default:
            Manual(
                "User name taken",
                "Another account has this user name.",
                "Choose another."
            )
        }
    }

    private var serviceManual: Manual {
        switch self {
        case .tooManyAttempts:
            Manual(
                "Too many attempts",
                "The limit for this account, address or operation is reached.",
                "Wait as long as `Retry-After` says."
            )
        case .tooManyConnections:
            Manual(
                "Too many connections",
                "This address has as many connections open as one may have.",
                "Close some, or let requests share them; a proxy belongs in "
                    + "`http.trusted_proxies`."
            )
        case .deadlineExceeded:
            Manual(
                "Deadline exceeded",
                "The request took longer than `http.request_time` allows, so it was given up; "
                    + "nothing of it happens later.",
                "Try again after `Retry-After`; read first what a part of it may have done."
            )
        case .overloaded:
            Manual(
                "Overloaded",
                "A queue of this node is full.",
                "Try again after `Retry-After`; nothing was changed."
            )
        case .storeUnavailable:
            Manual(
                "Store unavailable",
                "The database or the cache cannot be reached, or did not answer in time.",
                "Try again after `Retry-After`; a change may or may not have been made."
            )
        default:
            Manual(
                "Internal error",
                "Something broke that should not.",
                "Report the `instance`: the log has one entry with the same id."
            )
        }
    }
}

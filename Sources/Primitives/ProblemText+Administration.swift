// The words of the problems that administration meets. Part of the problem manual; see
// `ProblemText.swift`.

extension ProblemCode {
    var administrationManual: Manual {
        switch self {
        case .permissionNotHeld:
            Manual(
                "Permission not held",
                "The change would give, take or touch a permission that the caller does not hold.",
                "Ask somebody who holds it."
            )
        case .selfChangeRefused:
            Manual(
                "Not for oneself",
                "Nobody changes the rights or the state of the own account.",
                "Ask another administrator."
            )
        case .recentSignInRequired:
            Manual(
                "Recent sign-in required",
                "What the call does needs somebody who has proved lately who he is. It is 403: the "
                    + "token is good, and to refresh it changes nothing.",
                "Sign in again, and repeat the call with the new token. `max_age` of "
                    + "`WWW-Authenticate` says in seconds how recent it must be (RFC 9470)."
            )
        case .secondFactorRequired:
            Manual(
                "Second factor required",
                "The password is right, and opens nothing alone: the account has a second factor, "
                    + "or what is called is for sessions that one has opened.",
                "Sign in with `code`: what the authenticator shows, or a recovery code. Who has no "
                    + "second factor enrols one first (`POST /v1/me/second-factor`)."
            )
        case .secondFactorPresent:
            Manual(
                "Second factor present",
                "The account has a second factor.",
                "Remove it first (`DELETE /v1/me/second-factor`)."
            )
        case .networkNotAllowed:
            Manual(
                "Network not allowed",
                "Administration is answered in some networks alone, and the call comes from "
                    + "elsewhere; the credential was not looked at.",
                "Call from a network of `administration.networks`. A gateway in between must be in "
                    + "`http.trusted_proxies`, and must forward the client's address."
            )
        case .approvalRequired:
            Manual(
                "Approval required",
                "Another person must approve this very request (`administration.two_people`), and "
                    + "has not, or not any more. Nothing has happened but that it can be approved.",
                "Have `approval_id` approved (`POST /v1/admin/approvals/{id}/give`), and send the "
                    + "same request again, byte for byte, before its time is over. It is carried "
                    + "out once."
            )
        case .approvalClosed:
            Manual(
                "Approval closed",
                "It was given, refused or used before, or its time is over.",
                "Read it (`GET /v1/admin/approvals/{id}`). One that was given can be refused until "
                    + "it is used. What was used, or is over, waits anew once the request is sent "
                    + "again; what was refused, when its time is over."
            )
        case .passwordChangeRequired:
            Manual(
                "New password required",
                "The password is right, and an administrator wants it replaced.",
                "Sign in with `new_password` beside the old one."
            )
        case .organisationRefused:
            Manual(
                "Organisation refused",
                "The account is no member of the organisation, or it is disabled or not there.",
                "Name another one of `GET /v1/me/organisations`, or none."
            )
        case .nameTaken:
            Manual(
                "Name taken",
                "Something of this kind has the name already.",
                "Choose another name."
            )
        case .builtIn:
            Manual(
                "Built in",
                "What Watchword itself rests on cannot be removed, renamed or described anew.",
                "Make one of your own."
            )
        case .inUse:
            Manual(
                "In use",
                "Something else refers to it.",
                "Remove what refers to it first."
            )
        case .roleCycle:
            Manual(
                "Roles in a circle",
                "A role would include itself by way of others.",
                "Take one of the inclusions away."
            )
        case .lastAdministrator:
            Manual(
                "Last administrator",
                "Nobody would be left who can administer Watchword (W12).",
                "Make another administrator first."
            )
        case .limitReached:
            Manual(
                "Limit reached",
                "There are as many of this kind as there may be.",
                "Remove some that are not needed any more."
            )
        case .idempotencyKeyReused:
            Manual(
                "Idempotency key reused",
                "The key came before with another request, or its first request is under way.",
                "Use a new key for each request; repeat a request as it was."
            )
        case .versionMismatch:
            Manual(
                "Version mismatch",
                "The resource has changed since the version that `If-Match` names (RFC 9110).",
                "Read it again and decide anew."
            )
        case .versionRequired:
            Manual(
                "Version required",
                "The change must say in `If-Match` which version it is made to (RFC 6585).",
                "Read the resource and send its `ETag` as `If-Match`."
            )
        default: preconditionFailure("\(rawValue) has its words elsewhere")
        }
    }
}

// The operations on sessions.
import HTTPTypes
import Primitives

/// Signing in, refreshing, listing and ending sessions.
package enum SessionAPI {
    static let signIn = Operation<SignInRequest, TokenReply>(
        "sessions.sign_in",
        .post,
        "/v1/auth/login",
        summary: "Sign in with an e-mail address or user name and a password.",
        tag: "Sessions",
        gate: .anyone,
        limits: [.perAccount, .perAddress],
        problems: [
            .signInFailed, .accountUnconfirmed, .passwordChangeRequired, .secondFactorRequired,
            .secondFactorIncorrect, .organisationRefused, .tooManyAttempts, .overloaded,
        ]
    )
    static let refresh = Operation<RefreshRequest, TokenReply>(
        "sessions.refresh",
        .post,
        "/v1/auth/refresh",
        summary: "Exchange a refresh token for a new pair. An old one ends the session.",
        tag: "Sessions",
        gate: .refreshCredential,
        problems: [.tokenMissing],
        bodyIsOptional: true
    )
    static let logOut = Operation<NoInput, NoReply>(
        "sessions.log_out",
        .post,
        "/v1/auth/logout",
        summary: "End this session, its access tokens included, on every node.",
        tag: "Sessions",
        gate: .endedCredential,
        success: 204
    )
    static let logOutEverywhere = Operation<NoInput, NoReply>(
        "sessions.log_out_everywhere",
        .post,
        "/v1/auth/logout-all",
        summary: "End every session of the account, on every node.",
        tag: "Sessions",
        gate: .credential,
        success: 204
    )
    static let list = Operation<ListQuery, SessionPageReply>(
        "sessions.list",
        .get,
        "/v1/me/sessions",
        summary: "The living sessions of the account, newest first.",
        tag: "Sessions",
        gate: .credential
    )
    static let endOthers = Operation<EndOthersQuery, TokenReply>(
        "sessions.end_others",
        .delete,
        "/v1/me/sessions",
        summary: "End all sessions but this one, which gets a new pair of tokens.",
        tag: "Sessions",
        gate: .credential,
        problems: [.permissionDenied]
    )
    static let end = Operation<NoInput, NoReply>(
        "sessions.end",
        .delete,
        "/v1/me/sessions/{id}",
        summary: "End one session of the account.",
        tag: "Sessions",
        gate: .credential,
        success: 204,
        problems: [.notFound]
    )
    static let chooseOrganisation = Operation<SessionOrganisationRequest, NoReply>(
        "sessions.choose_organisation",
        .put,
        "/v1/me/sessions/current/organisation",
        summary: "Say which organisation this session is for; its next tokens name it.",
        tag: "Sessions",
        gate: .credential,
        success: 204,
        problems: [.organisationRefused, .permissionDenied]
    )
    static let history = Operation<ListQuery, LoginPageReply>(
        "sessions.login_history",
        .get,
        "/v1/me/login-history",
        summary: "The sign-ins and failed attempts of the account, newest first.",
        tag: "Sessions",
        gate: .credential
    )

    /// All of them.
    static let operations: [OperationInfo] = [
        signIn.info, refresh.info, logOut.info, logOutEverywhere.info, list.info, endOthers.info,
        end.info, chooseOrganisation.info, history.info,
    ]
}

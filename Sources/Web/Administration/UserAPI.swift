// The operations by which administrators look after people's accounts.
import Access
import HTTPTypes
import Primitives

/// Administration of people.
package enum UserAPI {
    private static let tag = "Users"
    private static let path = "/v1/admin/users"
    /// Why a change of somebody else's account can be refused.
    private static let changeProblems: [ProblemCode] = [
        .notFound, .selfChangeRefused, .permissionNotHeld, .permissionDenied,
    ]

    static let list = Operation<UserQuery, UserPageReply>(
        "users.list",
        .get,
        path,
        summary: "Accounts by filter, newest first; by address where `email_prefix` is given.",
        tag: tag,
        gate: .delegated(.usersRead)
    )
    static let get = Operation<NoInput, UserReply>(
        "users.get",
        .get,
        "\(path)/{id}",
        summary: "One account with its roles and its profile.",
        tag: tag,
        gate: .delegated(.usersRead),
        // Roles, sign-ins and passwords change without the account's version.
        traits: [.answersVersion, .outgrowsVersion]
    )
    static let disable = Operation<NoInput, NoReply>(
        "users.disable",
        .post,
        "\(path)/{id}/disable",
        summary: "Let nobody use an account; no token of it opens anything any more.",
        tag: tag,
        gate: .delegated(.usersWrite),
        success: 204,
        problems: changeProblems + [.lastAdministrator],
        traits: [.answersRightsVersion]
    )
    static let enable = Operation<NoInput, NoReply>(
        "users.enable",
        .post,
        "\(path)/{id}/enable",
        summary: "Let an account be used again, by signing in anew.",
        tag: tag,
        gate: .delegated(.usersWrite),
        proof: .recent(.power),
        success: 204,
        problems: changeProblems,
        traits: [.answersRightsVersion]
    )
    static let delete = Operation<NoInput, NoReply>(
        "users.delete",
        .delete,
        "\(path)/{id}",
        summary: "Erase a person, free the names, end every session. The id stays taken.",
        tag: tag,
        gate: .delegated(.usersWrite),
        proof: .recent(.destruction),
        success: 204,
        problems: changeProblems + [.lastAdministrator],
        traits: [.answersRightsVersion]
    )

    static let create = Operation<UserCreateRequest, UserReply>(
        "users.create",
        .post,
        path,
        summary: "Make an account for somebody, with the default roles.",
        tag: tag,
        gate: .delegated(.usersWrite),
        proof: .recent(.power),
        success: 201,
        problems: [.notFound, .permissionNotHeld, .emailTaken, .usernameTaken, .overloaded],
        traits: [.idempotent, .answersLocation, .mayBeMinimal]
    )
    static let change = Operation<UserChangeRequest, UserReply>(
        "users.change",
        .patch,
        "\(path)/{id}",
        summary: "Change names, profile or confirmation. Another address ends every session.",
        tag: tag,
        gate: .delegated(.usersWrite),
        problems: changeProblems
            + [.emailTaken, .usernameTaken, .lastAdministrator],
        traits: [.needsVersion, .answersVersion, .mayBeMinimal]
    )
    static let unlock = Operation<NoInput, NoReply>(
        "users.unlock",
        .post,
        "\(path)/{id}/unlock",
        summary: "Forget the failed sign-ins of an account, so that it may try again.",
        tag: tag,
        gate: .delegated(.usersWrite),
        success: 204,
        problems: changeProblems
    )
    static let requirePasswordChange = Operation<NoInput, NoReply>(
        "users.require_password_change",
        .post,
        "\(path)/{id}/require-password-change",
        summary: "Let the password open no session until it is replaced at a sign-in.",
        tag: tag,
        gate: .delegated(.usersWrite),
        success: 204,
        problems: changeProblems
    )
    static let resetSecondFactor = Operation<NoInput, NoReply>(
        "users.reset_second_factor",
        .delete,
        "\(path)/{id}/second-factor",
        summary: "Take away a second factor that is lost, and end every session of the account.",
        tag: tag,
        gate: .delegated(.usersWrite),
        proof: .recent(.power),
        success: 204,
        problems: changeProblems
    )
    static let sessions = Operation<ListQuery, SessionPageReply>(
        "users.sessions",
        .get,
        "\(path)/{id}/sessions",
        summary: "The living sessions of an account, newest first.",
        tag: tag,
        gate: .delegated(.usersRead)
    )
    static let endSession = Operation<NoInput, NoReply>(
        "users.end_session",
        .delete,
        "\(path)/{id}/sessions/{session}",
        summary: "End one session of an account.",
        tag: tag,
        gate: .delegated(.usersWrite),
        success: 204,
        problems: changeProblems
    )
    static let endSessions = Operation<NoInput, NoReply>(
        "users.end_sessions",
        .delete,
        "\(path)/{id}/sessions",
        summary: "End every session of an account.",
        tag: tag,
        gate: .delegated(.usersWrite),
        success: 204,
        problems: changeProblems
    )
    static let history = Operation<ListQuery, LoginPageReply>(
        "users.login_history",
        .get,
        "\(path)/{id}/login-history",
        summary: "The sign-ins and failed attempts of an account, newest first.",
        tag: tag,
        gate: .delegated(.usersRead)
    )
    static let impersonate = Operation<NoInput, ImpersonationReply>(
        "users.impersonate",
        .post,
        "\(path)/{id}/impersonate",
        summary: "Act as somebody for 15 minutes at most; the token says who acts.",
        tag: tag,
        gate: .permission(.usersImpersonate),
        proof: .recent(.power),
        success: 201,
        problems: changeProblems
    )
    static let bulk = Operation<UserBulkRequest, UserBulkReply>(
        "users.bulk",
        .post,
        "\(path)/bulk",
        summary: "Do one thing to many accounts; each succeeds or fails by itself.",
        tag: tag,
        gate: .delegated(.usersWrite),
        proof: .recent(.destruction),
        traits: [.answersRightsVersion]
    )

    /// All of them.
    static let operations: [OperationInfo] = [
        list.info, create.info, bulk.info, get.info, change.info, delete.info, disable.info,
        enable.info, unlock.info, requirePasswordChange.info, resetSecondFactor.info,
        sessions.info, endSessions.info,
        endSession.info, history.info, impersonate.info,
    ]
}

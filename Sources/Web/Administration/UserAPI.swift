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
        traits: [.answersVersion]
    )
    static let disable = Operation<NoInput, NoReply>(
        "users.disable",
        .post,
        "\(path)/{id}/disable",
        summary: "Let nobody use an account; no token of it opens anything any more.",
        tag: tag,
        gate: .delegated(.usersWrite),
        success: 204,
        problems: changeProblems + [.lastAdministrator]
    )
    static let enable = Operation<NoInput, NoReply>(
        "users.enable",
        .post,
        "\(path)/{id}/enable",
        summary: "Let an account be used again, by signing in anew.",
        tag: tag,
        gate: .delegated(.usersWrite),
        success: 204,
        problems: changeProblems
    )
    static let delete = Operation<NoInput, NoReply>(
        "users.delete",
        .delete,
        "\(path)/{id}",
        summary: "Erase a person, free the names, end every session. The id stays taken.",
        tag: tag,
        gate: .delegated(.usersWrite),
        success: 204,
        problems: changeProblems + [.lastAdministrator]
    )

    /// All of them.
    static let operations: [OperationInfo] = [
        list.info, get.info, disable.info, enable.info, delete.info,
    ]
}

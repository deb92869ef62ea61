// The operations on accounts of services and their API keys.
import Access
import HTTPTypes
import Primitives

/// Administration of services.
package enum ServiceAPI {
    private static let tag = "Services"
    private static let path = "/v1/admin/service-accounts"
    private static let changeProblems: [ProblemCode] = [
        .notFound, .selfChangeRefused, .permissionNotHeld, .permissionDenied,
    ]

    static let list = Operation<ServiceQuery, ServicePageReply>(
        "services.list",
        .get,
        path,
        summary: "Accounts of services, newest first.",
        tag: tag,
        gate: .permission(.servicesRead)
    )
    static let create = Operation<ServiceRequest, ServiceReply>(
        "services.create",
        .post,
        path,
        summary: "Make an account of a service; it holds nothing until it is given roles.",
        tag: tag,
        gate: .permission(.servicesWrite),
        success: 201,
        problems: [.usernameTaken],
        traits: [.idempotent, .answersVersion, .answersLocation, .mayBeMinimal]
    )
    static let get = Operation<NoInput, ServiceReply>(
        "services.get",
        .get,
        "\(path)/{id}",
        summary: "One account of a service.",
        tag: tag,
        gate: .permission(.servicesRead),
        traits: [.answersVersion]
    )
    static let disable = Operation<NoInput, NoReply>(
        "services.disable",
        .post,
        "\(path)/{id}/disable",
        summary: "Let none of its keys open anything, on every node.",
        tag: tag,
        gate: .permission(.servicesWrite),
        success: 204,
        problems: changeProblems + [.lastAdministrator],
        traits: [.answersRightsVersion]
    )
    static let enable = Operation<NoInput, NoReply>(
        "services.enable",
        .post,
        "\(path)/{id}/enable",
        summary: "Let its keys be used again.",
        tag: tag,
        gate: .permission(.servicesWrite),
        proof: .recent(.power),
        success: 204,
        problems: changeProblems,
        traits: [.answersRightsVersion]
    )
    static let delete = Operation<NoInput, NoReply>(
        "services.delete",
        .delete,
        "\(path)/{id}",
        summary: "Delete an account of a service with its keys. The id stays taken.",
        tag: tag,
        gate: .permission(.servicesWrite),
        proof: .recent(.destruction),
        success: 204,
        problems: changeProblems + [.lastAdministrator],
        traits: [.answersRightsVersion]
    )
    static let keys = Operation<ListQuery, APIKeyPageReply>(
        "services.keys",
        .get,
        "\(path)/{id}/keys",
        summary: "The keys of a service, without the keys themselves.",
        tag: tag,
        gate: .permission(.servicesRead)
    )
    static let createKey = Operation<APIKeyRequestBody, NewAPIKeyReply>(
        "services.create_key",
        .post,
        "\(path)/{id}/keys",
        summary: "Make a key. The answer holds it for the only time.",
        tag: tag,
        gate: .permission(.servicesWrite),
        proof: .recent(.power),
        success: 201,
        problems: [.selfChangeRefused, .permissionNotHeld, .limitReached],
        traits: [.idempotent, .answersRightsVersion]
    )
    static let revokeKey = Operation<NoInput, NoReply>(
        "services.revoke_key",
        .delete,
        "\(path)/{id}/keys/{key}",
        summary: "Take a key back; refused at every gateway when it is answered.",
        tag: tag,
        gate: .permission(.servicesWrite),
        success: 204,
        traits: [.answersRightsVersion]
    )

    /// All of them.
    static let operations: [OperationInfo] = [
        list.info, create.info, get.info, disable.info, enable.info, delete.info, keys.info,
        createKey.info, revokeKey.info,
    ]
}

// The operations on organisations and their members.
import Access
import HTTPTypes
import Primitives

/// Administration of organisations.
package enum OrganisationAPI {
    private static let tag = "Organisations"
    private static let path = "/v1/admin/organisations"
    private static let memberProblems: [ProblemCode] = [
        .notFound, .permissionNotHeld, .selfChangeRefused,
    ]

    static let list = Operation<ListQuery, OrganisationPageReply>(
        "organisations.list",
        .get,
        path,
        summary: "All organisations; for a delegate his own.",
        tag: tag,
        gate: .delegated(.organisationsRead)
    )
    static let create = Operation<OrganisationRequest, OrganisationReply>(
        "organisations.create",
        .post,
        path,
        summary: "Make an organisation without members.",
        tag: tag,
        gate: .permission(.organisationsWrite),
        success: 201,
        problems: [.nameTaken, .limitReached],
        traits: [.idempotent, .answersVersion, .answersLocation, .mayBeMinimal]
    )
    static let get = Operation<NoInput, OrganisationReply>(
        "organisations.get",
        .get,
        "\(path)/{id}",
        summary: "One organisation.",
        tag: tag,
        gate: .delegated(.organisationsRead),
        traits: [.answersVersion]
    )
    static let update = Operation<OrganisationChangeRequest, OrganisationReply>(
        "organisations.change",
        .patch,
        "\(path)/{id}",
        summary: "Change an organisation; a disabled one opens nothing at any gateway.",
        tag: tag,
        gate: .permission(.organisationsWrite),
        problems: [.permissionNotHeld],
        traits: [.needsVersion, .answersVersion, .answersRightsVersion, .mayBeMinimal]
    )
    static let remove = Operation<NoInput, NoReply>(
        "organisations.remove",
        .delete,
        "\(path)/{id}",
        summary: "Remove an organisation and all that is held in it.",
        tag: tag,
        gate: .permission(.organisationsWrite),
        proof: .recent(.destruction),
        success: 204,
        problems: [.permissionNotHeld],
        traits: [.answersRightsVersion]
    )
    static let members = Operation<ListQuery, MemberPageReply>(
        "organisations.members",
        .get,
        "\(path)/{id}/members",
        summary: "The members of an organisation, with the roles that they have there.",
        tag: tag,
        gate: .delegated(.organisationsRead)
    )
    static let add = Operation<MemberRequest, MemberReply>(
        "organisations.add_member",
        .post,
        "\(path)/{id}/members",
        summary: "Make an account a member; 200 where it was one.",
        tag: tag,
        gate: .delegated(.organisationsWrite),
        proof: .recent(.power),
        success: 201,
        problems: memberProblems + [.limitReached],
        alternatives: [AlternativeReply(200, MemberReply.self)],
        traits: [.idempotent, .answersRightsVersion, .mayBeMinimal]
    )
    static let drop = Operation<NoInput, NoReply>(
        "organisations.remove_member",
        .delete,
        "\(path)/{id}/members/{account}",
        summary: "Remove a member and the roles he has there; in force when it is answered.",
        tag: tag,
        gate: .delegated(.organisationsWrite),
        success: 204,
        problems: memberProblems,
        traits: [.answersRightsVersion]
    )
    static let own = Operation<ListQuery, MembershipPageReply>(
        "accounts.organisations",
        .get,
        "/v1/me/organisations",
        summary: "The organisations that the caller can act in, with his roles there.",
        tag: "Accounts",
        gate: .credential
    )

    /// All of them.
    static let operations: [OperationInfo] = [
        list.info, create.info, get.info, update.info, remove.info, members.info, add.info,
        drop.info, own.info,
    ]
}

// The operations that tell who may do what: for applications (`/v1/authorize`), by the protocol of
// AuthZEN 1.0, for the caller himself, and, with the reason, for administrators.
import Access
import HTTPTypes
import Primitives

/// Decisions.
package enum DecisionAPI {
    private static let tag = "Decisions"

    static let authorize = Operation<AuthorizeRequest, AuthorizeReply>(
        "decisions.authorize",
        .post,
        "/v1/authorize",
        summary: "May accounts do things? Up to 100 checks; others' with `access:check`.",
        tag: tag,
        gate: .principal,
        problems: [.permissionDenied]
    )
    static let evaluation = Operation<EvaluationRequest, EvaluationReply>(
        "decisions.evaluation",
        .post,
        "/access/v1/evaluation",
        summary: "One decision, in the form of AuthZEN 1.0.",
        tag: tag,
        gate: .principal,
        problems: [.permissionDenied]
    )
    static let evaluations = Operation<EvaluationsRequest, EvaluationsReply>(
        "decisions.evaluations",
        .post,
        "/access/v1/evaluations",
        summary: "Up to 100 decisions, in the form of AuthZEN 1.0.",
        tag: tag,
        gate: .principal,
        problems: [.permissionDenied]
    )
    static let configuration = RawOperation(
        "decisions.configuration",
        .only([.get, .head]),
        "/.well-known/authzen-configuration",
        summary: "Where the decisions of AuthZEN 1.0 are.",
        tag: tag,
        gate: .anyone,
        contentType: "application/json"
    )
    static let mine = Operation<MyPermissionsQuery, MyPermissionsReply>(
        "decisions.my_permissions",
        .get,
        "/v1/me/permissions",
        summary: "What the caller may do: everywhere, on a resource, or as `X-Org`.",
        tag: tag,
        gate: .principal,
        problems: [.permissionDenied]
    )
    static let why = Operation<WhyQuery, WhyReply>(
        "decisions.why",
        .get,
        "/v1/admin/users/{id}/permissions",
        summary: "Why an account may do something: by which role, through which other.",
        tag: tag,
        gate: .permission(.rolesRead),
        problems: [.notFound]
    )

    /// All of them.
    static let operations: [OperationInfo] = [
        authorize.info, evaluation.info, evaluations.info, configuration.info, mine.info, why.info,
    ]
}

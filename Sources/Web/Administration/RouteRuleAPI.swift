// The operations on the rules of gateways. All rules have one version, which is their ETag: what a
// rule means depends on those before it, so whoever changes one must have seen them all.
import Access
import HTTPTypes
import Primitives

/// Reading, changing and trying out route rules.
package enum RouteRuleAPI {
    static let list = Operation<ListQuery, RouteRulePageReply>(
        "routes.list",
        .get,
        "/v1/admin/route-rules",
        summary: "The route rules in the order in which they are tried.",
        tag: "Route rules",
        gate: .permission(.routesRead),
        traits: [.answersVersion]
    )
    static let insert = Operation<NewRouteRuleRequest, RouteRuleReply>(
        "routes.insert",
        .post,
        "/v1/admin/route-rules",
        summary: "Make a route rule, at a position or at the end.",
        tag: "Route rules",
        gate: .permission(.routesWrite),
        proof: .recent(.trust),
        success: 201,
        problems: [.limitReached],
        traits: [.idempotent, .answersVersion, .answersLocation, .mayBeMinimal]
    )
    static let replace = Operation<RouteRuleSetRequest, RouteRuleSetReply>(
        "routes.replace",
        .put,
        "/v1/admin/route-rules",
        summary: "Put these in the place of all route rules, at once. Needs `If-Match`.",
        tag: "Route rules",
        gate: .permission(.routesWrite),
        proof: .recent(.trust),
        problems: [.limitReached],
        traits: [.needsVersion, .answersVersion, .mayBeMinimal],
        bodyBytes: 1024 * 1024
    )
    static let get = Operation<NoInput, RouteRuleReply>(
        "routes.get",
        .get,
        "/v1/admin/route-rules/{id}",
        summary: "One route rule.",
        tag: "Route rules",
        gate: .permission(.routesRead),
        problems: [.notFound],
        traits: [.answersVersion]
    )
    static let update = Operation<RouteRulePatch, RouteRuleReply>(
        "routes.update",
        .patch,
        "/v1/admin/route-rules/{id}",
        summary: "Change or move a route rule. Needs `If-Match`.",
        tag: "Route rules",
        gate: .permission(.routesWrite),
        proof: .recent(.trust),
        problems: [.notFound],
        traits: [.needsVersion, .answersVersion, .mayBeMinimal]
    )
    static let delete = Operation<NoInput, NoReply>(
        "routes.delete",
        .delete,
        "/v1/admin/route-rules/{id}",
        summary: "Take a route rule away. Needs `If-Match`.",
        tag: "Route rules",
        gate: .permission(.routesWrite),
        proof: .recent(.trust),
        success: 204,
        problems: [.notFound],
        traits: [.needsVersion]
    )
    static let explain = Operation<ExplainRouteRequest, RouteExplanationReply>(
        "routes.explain",
        .post,
        "/v1/admin/route-rules/explain",
        summary: "Which rule a request would meet, and whether an account would pass. Asking about"
            + " somebody else needs `access:check` as well.",
        tag: "Route rules",
        gate: .permission(.routesRead),
        problems: [.notFound]
    )

    /// All of them.
    static let operations: [OperationInfo] = [
        list.info, insert.info, replace.info, get.info, update.info, delete.info, explain.info,
    ]
}

// Trying out route rules: a request in words, and what would become of it, with the reason for each
// rule that was passed over. It says nothing that the rules themselves do not.
import Access
import Primitives

/// `POST /v1/admin/route-rules/explain`.
package struct ExplainRouteRequest: RequestBody {
    let method: String
    let path: String
    let host: String?
    let account: AccountID?
    let organisation: OrganisationID?

    package init(_ members: inout MemberReader) throws {
        method = members.text("method", 1...20, help: "The method of the request.")
        path = members.text("path", 1...8192, help: "Its path, as sent; a query does not matter.")
        host = members.optionalText("host", 1...255, help: "Its host.")
        account = members.optional("account", .id(), help: "Who would make it.")
        organisation = members.optional(
            "organisation",
            .id(),
            help: "In which organisation he would make it, as `X-Org` says or his session."
        )
    }
}

/// What would become of a request.
package enum RouteVerdict: String, Sendable, CaseIterable {
    /// It passes.
    case passes
    /// It is refused.
    case refused
    /// That depends on who makes it.
    case depends
}

/// An earlier rule, and in what it differs.
package struct PassedOverReply: ReplyBody {
    let rule: RouteRule
    let reason: RouteMismatch

    package func write(_ members: inout MemberWriter) {
        members.id("id", rule.id, help: "The rule.")
        members.integer("position", Int64(rule.position), help: "Its place.")
        members.choice("reason", reason, help: "What of the request is not what it is for.")
    }
    package static var example: Self {
        Self(rule: RouteRuleReply.example.rule, reason: .method)
    }
}

/// What would become of a request, and why.
package struct RouteExplanationReply: ReplyBody {
    var verdict: RouteVerdict
    var isAmbiguous = false
    var rule: RouteRuleReply?
    var resource: String?
    var earlier: [PassedOverReply] = []

    package func write(_ members: inout MemberWriter) {
        members.choice(
            "verdict",
            verdict,
            help: "`passes`, `refused`, or `depends` on who makes it where no account is named."
        )
        members.boolean(
            "ambiguous",
            isAmbiguous,
            help: "Whether it is refused because it can be read in two ways, whatever the rules."
        )
        members.object("rule", rule, help: "The rule that counts; null where none is for it.")
        members.text("resource", resource, help: "The resource of the rule, filled in.")
        members.objects(
            "earlier",
            earlier,
            help: "The rules before it, all of them where none is for it, and why not."
        )
    }
    package static var example: Self {
        Self(verdict: .depends, rule: .example, resource: "project:7", earlier: [.example])
    }
}

// Requests and replies of AuthZEN 1.0 (OpenID Authorization API 1.0, sections 5 to 7): subject,
// action and resource are objects with a type and an id; what else they hold is not looked at.
import Access
import Primitives

/// Somebody, or something.
package struct EntityRequest: RequestBody {
    let type: String
    let id: String

    package init(_ members: inout MemberReader) throws {
        type = members.text("type", 1...63, help: "`user` for an account; else of what kind.")
        id = members.text("id", 1...190, help: "Its id.")
        members.ignoreOthers()
    }
}

/// What is to be done.
package struct ActionRequest: RequestBody {
    let name: String

    package init(_ members: inout MemberReader) throws {
        name = members.text(
            "name",
            1...127,
            help: "`write`, which on an `orders` is the permission `orders:write`; or that itself."
        )
        members.ignoreOthers()
    }
}

/// `POST /access/v1/evaluation`.
package struct EvaluationRequest: RequestBody {
    let subject: EntityRequest
    let action: ActionRequest
    let resource: EntityRequest

    package init(_ members: inout MemberReader) throws {
        subject = members.object("subject", EntityRequest.self, help: "Who.")
        action = members.object("action", ActionRequest.self, help: "Does what.")
        resource = members.object("resource", EntityRequest.self, help: "To what.")
        members.ignoreOthers()
    }
}

/// One of several; what it leaves out is taken from the request around it.
package struct EvaluationPart: RequestBody {
    let subject: EntityRequest?
    let action: ActionRequest?
    let resource: EntityRequest?

    package init(_ members: inout MemberReader) throws {
        subject = members.optionalObject("subject", EntityRequest.self, help: "Who.")
        action = members.optionalObject("action", ActionRequest.self, help: "Does what.")
        resource = members.optionalObject("resource", EntityRequest.self, help: "To what.")
        members.ignoreOthers()
    }
}

/// How several are carried out.
package struct EvaluationOptions: RequestBody {
    enum Semantic: String, CaseIterable, Sendable {
        case all = "execute_all"
        case untilDenied = "deny_on_first_deny"
        case untilPermitted = "permit_on_first_permit"
    }
    let semantic: Semantic

    package init(_ members: inout MemberReader) throws {
        semantic = members.choice(
            "evaluations_semantic",
            Semantic.self,
            default: .all,
            help: "Whether the first denial, or the first permission, ends it."
        )
        members.ignoreOthers()
    }
}

/// `POST /access/v1/evaluations`.
package struct EvaluationsRequest: RequestBody {
    let shared: EvaluationPart
    let evaluations: [EvaluationPart]
    let options: EvaluationOptions?

    package init(_ members: inout MemberReader) throws {
        shared = try EvaluationPart(&members)
        evaluations =
            members.optional(
                "evaluations",
                .list(.object(EvaluationPart.self), 0...Decisions.limit),
                help: "What is asked; without it there is one question, the request itself."
            ) ?? []
        options = members.optionalObject("options", EvaluationOptions.self, help: "How.")
    }
}

/// A decision.
package struct EvaluationReply: ReplyBody {
    let decision: Bool

    package func write(_ members: inout MemberWriter) {
        members.boolean("decision", decision, help: "Whether it is permitted, now.")
    }
    package static var example: Self { Self(decision: true) }
}

/// Decisions, in the order of the questions.
package struct EvaluationsReply: ReplyBody {
    let decisions: [Bool]
    /// A request without `evaluations` is answered as a single one is.
    let isSingle: Bool

    package func write(_ members: inout MemberWriter) {
        if isSingle {
            members.boolean("decision", decisions[0], help: "Whether it is permitted, now.")
        } else {
            members.objects(
                "evaluations",
                decisions.map { EvaluationReply(decision: $0) },
                help: "One for each question that was looked at, in the same order."
            )
        }
    }
    package static var example: Self { examples[0] }
    package static var examples: [Self] {
        [Self(decisions: [true], isSingle: false), Self(decisions: [true], isSingle: true)]
    }
}

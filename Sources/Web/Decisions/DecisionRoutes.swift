// The handlers of the operations on decisions.
import Access
import HTTPTypes
import Primitives
import Sessions
import Tokens

extension WebServices {
    func bindDecisions(_ bindings: inout Bindings) {
        bindings.bind(DecisionAPI.authorize) { request, context in
            let claims = context.claims
            let questions = request.checks.map { check in
                DecisionQuestion(
                    permission: check.permission,
                    subject: check.subject ?? claims.accountID,
                    resource: check.resource,
                    organisation: check.organisation
                )
            }
            let answers = try await decide(questions, claims)
            return Answer(
                AuthorizeReply(
                    results: zip(answers, questions).map {
                        CheckReply(isAllowed: $0, permission: $1.permission)
                    }
                )
            )
        }
        bindings.bind(DecisionAPI.evaluation) { request, context in
            let question = Self.question(request.subject, request.action, request.resource)
            let answers = try await evaluate([question], context.claims)
            return Answer(EvaluationReply(decision: answers[0]))
                .with(requestID: context.headers[.requestID])
        }
        bindings.bind(DecisionAPI.evaluations, evaluateMany)
        bindings.bind(DecisionAPI.configuration) { _, _ in
            // The issuer is a URL of the configuration: nothing in it needs an escape.
            let base = verifier.issuer
            let json = """
                {"policy_decision_point":"\(base)",\
                "access_evaluation_endpoint":"\(base)/access/v1/evaluation",\
                "access_evaluations_endpoint":"\(base)/access/v1/evaluations"}
                """
            return Reply(200, contentType: "application/json", body: Array(json.utf8))
        }
        bindings.bind(DecisionAPI.mine) { query, context in
            let claims = context.claims
            let organisation = try OrganisationChoice.read(context.headers, claims)
            let holding = try await hold(claims, in: organisation, on: query.resource)
            return Answer(
                MyPermissionsReply(
                    roles: holding.names,
                    permissions: holding.permissions,
                    version: claims.rightsVersion
                )
            )
        }
        bindings.bind(DecisionAPI.why, explain)
    }

    private func evaluateMany(
        _ request: EvaluationsRequest,
        _ context: RequestContext
    ) async throws -> Answer<EvaluationsReply> {
        let isSingle = request.evaluations.isEmpty
        let parts = isSingle ? [request.shared] : request.evaluations
        var errors: [MemberError] = []
        let questions = parts.enumerated().compactMap { index, part -> DecisionQuestion?? in
            guard let subject = part.subject ?? request.shared.subject,
                let action = part.action ?? request.shared.action,
                let resource = part.resource ?? request.shared.resource
            else {
                let place = isSingle ? "subject" : "evaluations.\(index)"
                errors.append(
                    MemberError(place, "missing", "subject, action and resource must be given")
                )
                return nil
            }
            return .some(Self.question(subject, action, resource))
        }
        guard errors.isEmpty else { throw ValidationRefusal(errors) }
        var answers = try await evaluate(questions, context.claims)
        let end: Array<Bool>.Index? =
            switch request.options?.semantic ?? .all {
            case .all: nil
            case .untilDenied: answers.firstIndex(of: false)
            case .untilPermitted: answers.firstIndex(of: true)
            }
        if let end { answers = Array(answers[...end]) }
        return Answer(EvaluationsReply(decisions: answers, isSingle: isSingle))
            .with(requestID: context.headers[.requestID])
    }

    /// Decides; a question about nobody, or about what is no permission, is answered no.
    private func evaluate(
        _ questions: [DecisionQuestion?],
        _ claims: AccessClaims
    ) async throws -> [Bool] {
        var answers = try await decide(questions.compactMap(\.self), claims)[...]
        return questions.map { $0 == nil ? false : answers.removeFirst() }
    }

    private static func question(
        _ subject: EntityRequest,
        _ action: ActionRequest,
        _ resource: EntityRequest
    ) -> DecisionQuestion? {
        guard ["user", "account", "service"].contains(subject.type),
            let account = AccountID(subject.id)
        else { return nil }
        let isWhole = action.name.contains(":")
        let permission = isWhole ? action.name : "\(resource.type):\(action.name)"
        // A role that holds `orders:*` would permit `orders:*` itself, and `orders:x:y` (W10).
        guard PermissionNames.isName(permission) else { return nil }
        let named = "\(resource.type):\(resource.id)"
        return DecisionQuestion(
            permission: permission,
            subject: account,
            resource: RoleScope.isResource(named) ? named : nil,
            organisation: nil
        )
    }

    private func explain(
        _ query: WhyQuery,
        _ context: RequestContext
    ) async throws -> Answer<WhyReply> {
        let account: AccountID = try context.id("id")
        let answers = try await rights.read(
            [RightsQuestion(account, version: .min)],
            isForGateway: false
        )
        guard let found = answers[account], found.version != .min else {
            throw WebRefusal(.notFound)
        }
        let place = query.organisation
        let held = found.mayAct(in: place) ? found.holdings(in: place, on: query.resource) : []
        let snapshot = try await roles.snapshot(knowing: held.map(\.role))
        let reasons = held.compactMap { one -> ReasonReply? in
            snapshot.source(of: query.permission, in: [one.role]).map { source in
                ReasonReply(
                    held: one,
                    heldName: snapshot.roles[source.held]?.name ?? "",
                    by: source.by,
                    byName: snapshot.roles[source.by]?.name ?? ""
                )
            }
        }
        return Answer(WhyReply(reasons: reasons, version: found.version))
    }
}

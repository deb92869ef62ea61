// An operation, declared once as a value. The router, openapi.json, the access table and the tests
// of both are derived from it. Must not hold behaviour: handlers are bound elsewhere.
package import HTTPTypes
package import Primitives

/// A call that the API answers.
package struct Operation<Input: OperationInput, Output: ReplyBody>: Sendable {
    /// What the catalogue knows about it.
    package let info: OperationInfo

    /// Declares an operation.
    ///
    /// The name is `domain.verb_phrase`, unique and stable; the path has `{name}` for one segment;
    /// `problems` are what its handler refuses with besides what its shape implies; `alternatives`
    /// are further answers that are not problems; `traits` are what it takes and answers in header
    /// fields.
    package init(
        _ name: String,
        _ method: HTTPRequest.Method,
        _ path: String,
        summary: String,
        tag: String,
        gate: Gate,
        proof: Proof = .none,
        success: Int = 200,
        limits: [ThrottleKey] = [],
        problems: [ProblemCode] = [],
        alternatives: [AlternativeReply] = [],
        traits: Set<OperationTrait> = [],
        bodyBytes: Int = 64 * 1024,
        bodyIsOptional: Bool = false
    ) {
        info = OperationInfo(
            name: name,
            methods: .only([method]),
            pattern: PathPattern(path),
            summary: summary,
            tag: tag,
            gate: gate,
            proof: proof,
            success: success,
            limits: limits,
            declaredProblems: problems,
            carrier: Input.carrier,
            input: Input.carrier == .nothing ? nil : MemberReader.describe(Input.self),
            bodyBytes: bodyBytes,
            bodyIsOptional: bodyIsOptional,
            output: Output.self == NoReply.self
                ? .nothing
                : .json(
                    MemberWriter.describeAll(Output.self),
                    examples: Output.examples.map { MemberWriter.encode($0) }
                ),
            alternatives: alternatives,
            traits: traits
        )
        info.checkTraits()
    }
}

/// A call that is not answered in JSON, or not at one path: pages, keys, metrics, `/verify`.
package struct RawOperation: Sendable {
    /// What the catalogue knows about it.
    package let info: OperationInfo

    /// Declares a raw operation; its handler sees the request and writes the reply itself.
    package init(
        _ name: String,
        _ methods: RouteMethods,
        _ path: String,
        isPrefix: Bool = false,
        summary: String,
        tag: String,
        gate: Gate,
        contentType: String?,
        limits: [ThrottleKey] = [],
        problems: [ProblemCode] = []
    ) {
        info = OperationInfo(
            name: name,
            methods: methods,
            pattern: PathPattern(path, isPrefix: isPrefix),
            summary: summary,
            tag: tag,
            gate: gate,
            proof: .none,
            success: 200,
            limits: limits,
            declaredProblems: problems,
            carrier: .nothing,
            input: nil,
            bodyBytes: 0,
            bodyIsOptional: true,
            output: contentType.map { .raw(contentType: $0) } ?? .nothing,
            alternatives: [],
            traits: []
        )
    }
}

/// A further answer that is not a problem, such as 202 where 201 is usual.
package struct AlternativeReply: Sendable {
    let status: Int
    let schemas: [Schema]
    let examples: [[UInt8]]

    /// An answer with `status` and a body of `type`.
    package init<Body: ReplyBody>(_ status: Int, _ type: Body.Type) {
        self.status = status
        schemas = MemberWriter.describeAll(type)
        examples = Body.examples.map { MemberWriter.encode($0) }
    }
}

/// What is known about an operation, without its types.
package struct OperationInfo: Sendable {
    enum Output: Sendable {
        case nothing
        case json([Schema], examples: [[UInt8]])
        case raw(contentType: String)
    }
    /// Its stable name.
    package let name: String
    /// The methods it answers.
    package let methods: RouteMethods
    /// Its path.
    package let pattern: PathPattern
    /// One sentence.
    package let summary: String
    /// The heading it stands under.
    package let tag: String
    /// Who may call it.
    package let gate: Gate
    /// What the caller must have proved lately.
    package let proof: Proof
    /// The status of success.
    package let success: Int
    /// By what it is throttled.
    package let limits: [ThrottleKey]
    let declaredProblems: [ProblemCode]
    /// Where its input travels.
    package let carrier: InputCarrier
    let input: Schema?
    /// The largest body it takes.
    package let bodyBytes: Int
    /// Whether it may be called without a body.
    package let bodyIsOptional: Bool
    let output: Output
    let alternatives: [AlternativeReply]
    /// What it takes and answers in header fields.
    package let traits: Set<OperationTrait>

    /// Whether it may change something.
    package var isUnsafe: Bool {
        switch methods {
        case .any: true
        case .only(let list): list.contains { !OriginRules.isSafe($0) }
        }
    }

    /// Whether the dispatcher looks at where the page comes from.
    ///
    /// What answers any method decides for itself, as /verify does from what the gateway reports:
    /// the request it judges is not the one it gets.
    package var checksOrigin: Bool { methods != .any }

    /// Whether a call needs a CSRF token when a cookie is its credential.
    package var needsCSRFToken: Bool { isUnsafe && gate.readsCookies }

    /// Every problem it can answer: what it declares, and what its shape implies.
    package var problems: [ProblemCode] {
        var all: Set<ProblemCode> = [
            .malformedRequest, .requestTimeout, .overloaded, .deadlineExceeded, .storeUnavailable,
            .internalError,
        ]
        all.formUnion(declaredProblems)
        all.formUnion(gate.problems + proof.problems)
        if canNeedTwoPeople { all.formUnion([.approvalRequired, .limitReached]) }
        switch carrier {
        case .nothing: break
        case .query: all.insert(.validationFailed)
        case .body, .form:
            all.formUnion([.validationFailed, .unsupportedMediaType, .bodyTooLarge])
        }
        if !pattern.parameters.isEmpty { all.insert(.notFound) }
        if isUnsafe, checksOrigin { all.formUnion([.crossSiteRequest, .originRefused]) }
        if needsCSRFToken { all.insert(.csrfFailed) }
        if !limits.isEmpty { all.insert(.tooManyAttempts) }
        for trait in traits { all.formUnion(trait.problems) }
        return ProblemCode.allCases.filter(all.contains)
    }
}

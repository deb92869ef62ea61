// All operations of a listener, and the binding of each to exactly one handler. An operation with
// no handler, or with two, or a handler without an operation, is a bug that stops the start.
package import Access
internal import HTTPTypes
package import Primitives
internal import Revocation

/// A list of operations with unique names.
package struct Catalogue: Sendable {
    /// The operations, in the order of the manual.
    package let operations: [OperationInfo]

    /// A catalogue of `operations`.
    package init(_ operations: [OperationInfo]) {
        let names = operations.map(\.name)
        precondition(Set(names).count == names.count, "two operations share a name")
        self.operations = operations
    }
}

/// Collects the handlers of a catalogue and makes its routes.
package struct Bindings {
    private let catalogue: Catalogue
    private let gatekeeper: Gatekeeper
    private let answers: (any IdempotentAnswers)?
    private let marks: (any CursorMarks)?
    private let approvals: Approvals?
    private var routes: [String: Route] = [:]

    /// Bindings for `catalogue`, with `gatekeeper` at every gate, `answers` to keep those of
    /// idempotent operations, `marks` for the cursors of lists, and `approvals` for what needs a
    /// second person; nil where there are none.
    package init(
        _ catalogue: Catalogue,
        answers: (any IdempotentAnswers)? = nil,
        marks: (any CursorMarks)? = nil,
        approvals: Approvals? = nil,
        gatekeeper: @escaping Gatekeeper
    ) {
        self.catalogue = catalogue
        self.answers = answers
        self.marks = marks
        self.approvals = approvals
        self.gatekeeper = gatekeeper
    }

    /// Binds the handler of an operation.
    package mutating func bind<Input, Output>(
        _ operation: Operation<Input, Output>,
        _ handler: @escaping @Sendable (Input, RequestContext) async throws -> Answer<Output>
    ) {
        let info = operation.info
        let gatekeeper = gatekeeper
        let answers = answers
        let approvals = approvals
        let seal = marks.map { CursorSeal($0, list: info.name) }
        precondition(
            answers != nil || !info.traits.contains(.idempotent),
            "operation \(info.name) is idempotent, and nothing keeps its answers"
        )
        add(info) { context, body in
            try await Self.declared(info) {
                var context = context
                // Before the body: a stranger does not make the node take one.
                context.caller = try await Self.pass(info, gatekeeper, context)
                let bytes = try await Self.collect(info, context, body)
                // A body has a limit of its own (`bodyTime`); the answer's time runs from its end.
                if body.isPresent { context.deadline = .after(context.timeAllowed) }
                // And after it: whoever held it back may have been disabled, signed out or demoted
                // meanwhile, which was acknowledged before this request was complete (W1, W11).
                if body.isPresent, bytes != nil {
                    context.caller = try await Self.pass(info, gatekeeper, context)
                }
                let known = context
                let input = try CursorSeal.$current.withValue(seal) {
                    try Self.read(Input.self, info, known, bytes)
                }
                context.expected = try info.expectedVersion(context.headers)
                let request = try IdempotentRequest(info, context, body: bytes ?? [])
                let ready = context
                let reply = try await CursorSeal.$current.withValue(seal) {
                    try await ready.timed {
                        try await Self.once(request, answers) {
                            try await approvals?.check(info, ready, body: bytes ?? [])
                            return try await Self.versioned(info, ready) {
                                try await handler(input, ready)
                            }
                        }
                    }
                }
                return info.preferred(
                    try info.notModified(reply, ready.headers),
                    ready.headers
                )
            }
        }
    }

    /// Binds the handler of a raw operation.
    package mutating func bind(
        _ operation: RawOperation,
        _ handler: @escaping Route.Run
    ) {
        let info = operation.info
        let gatekeeper = gatekeeper
        add(info) { context, body in
            try await Self.declared(info) {
                var context = context
                context.caller = try await Self.pass(info, gatekeeper, context)
                let known = context
                return try await known.timed { try await handler(known, body) }
            }
        }
    }

    /// The routes, once every operation has its handler.
    package func finish() -> [Route] {
        catalogue.operations.map { info in
            guard let route = routes[info.name] else {
                preconditionFailure("operation \(info.name) has no handler")
            }
            return route
        }
    }

    private mutating func add(_ info: OperationInfo, run: @escaping Route.Run) {
        precondition(
            catalogue.operations.contains { $0.name == info.name },
            "operation \(info.name) is not in the catalogue"
        )
        precondition(routes[info.name] == nil, "operation \(info.name) has two handlers")
        let isRaw = if case .raw = info.output { true } else { info.methods == .any }
        routes[info.name] = Route(
            info.name,
            info.methods,
            info.pattern,
            checksOrigin: info.checksOrigin,
            allowsCORS: !isRaw,
            run: run
        )
    }

    /// Passes the gate of an operation, and says who calls.
    private static func pass(
        _ info: OperationInfo,
        _ gatekeeper: Gatekeeper,
        _ context: RequestContext
    ) async throws -> Caller? {
        try await context.timed { try await gatekeeper(info.gate, info.proof, context) }
    }

    /// Runs a handler; in debug builds a refusal that its operation does not declare traps.
    private static func declared(
        _ info: OperationInfo,
        _ run: () async throws -> Reply
    ) async throws -> Reply {
        do {
            return try await run()
        } catch {
            assert(
                info.problems.contains(Problem(error).code),
                "\(info.name) refuses with \(Problem(error).code.rawValue), which it does not "
                    + "declare"
            )
            throw error
        }
    }

    /// Runs a handler; where the operation changes rights, its answer tells the version that
    /// `at_least` takes.
    ///
    /// Where nothing was revoked the time of the request stands for it: versions are times.
    private static func versioned<Output>(
        _ info: OperationInfo,
        _ context: RequestContext,
        _ run: () async throws -> Answer<Output>
    ) async throws -> Reply {
        guard info.traits.contains(.answersRightsVersion) else {
            return try await run().reply(info)
        }
        let versions = RevokedVersions()
        let answer = try await RevokedVersions.$current.withValue(versions, operation: run)
        let known = versions.highest > 0 ? versions.highest : context.now.microseconds
        return answer.reply(info, rightsVersion: known)
    }

    /// Runs a handler; one whose request has a key, once.
    private static func once(
        _ request: IdempotentRequest?,
        _ answers: (any IdempotentAnswers)?,
        _ run: () async throws -> Reply
    ) async throws -> Reply {
        guard let request, let answers else { return try await run() }
        let (bytes, isReplay) = try await answers.once(request) { try await run().kept }
        guard var reply = Reply(kept: bytes) else { throw UnreadableAnswer() }
        if isReplay { reply.headers[.idempotentReplayed] = "true" }
        return reply
    }

    /// The body as it came; nil where it is not looked at, or left out as it may be.
    private static func collect(
        _ info: OperationInfo,
        _ context: RequestContext,
        _ body: IncomingBody
    ) async throws -> [UInt8]? {
        switch info.carrier {
        case .nothing, .query: return nil
        case .body:
            if !body.isPresent, info.bodyIsOptional { return nil }
            try MediaType.require("application/json", context.headers)
        case .form: try MediaType.require("application/x-www-form-urlencoded", context.headers)
        }
        return try await body.collect(info.bodyBytes)
    }

    private static func read<Input: OperationInput>(
        _ type: Input.Type,
        _ info: OperationInfo,
        _ context: RequestContext,
        _ bytes: [UInt8]?
    ) throws -> Input {
        switch info.carrier {
        case .nothing: return try MemberReader.decode(type, json: [:])
        case .query:
            guard let form = FormText.parse(context.query ?? "") else {
                throw WebRefusal(.malformedRequest, "The query is not well-formed.")
            }
            return try MemberReader.decode(type, form: form)
        case .body:
            guard let bytes else { return try MemberReader.decode(type, json: [:]) }
            guard case .object(let members) = try JSONReader.read(bytes) else {
                throw WebRefusal(.malformedRequest, "The body must be a JSON object.")
            }
            return try MemberReader.decode(type, json: members)
        case .form:
            guard let text = String(validating: bytes ?? [], as: UTF8.self),
                let form = FormText.parse(text)
            else { throw WebRefusal(.malformedRequest, "The form is not well-formed.") }
            return try MemberReader.decode(type, form: form)
        }
    }
}

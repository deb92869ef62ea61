// From a request to its answer: context, route, origin rules, handler, problem, headers, log line.
// Knows nothing about sockets. Every answer leaves through `finish`, so none can miss a header.
package import HTTPTypes
package import Logging
package import Primitives

/// Answers requests from a table of routes.
package struct Dispatcher: Sendable {
    private let settings: HTTPSettings
    private let router: Router
    private let origins: OriginRules
    private let addresses: ClientAddress
    private let security: SecurityHeaders
    private let clock: WallClock
    private let entropy: Entropy
    private let logger: Logger

    /// A dispatcher for `routes`.
    package init(
        _ settings: HTTPSettings,
        routes: [Route],
        clock: WallClock,
        entropy: Entropy,
        logger: Logger
    ) {
        self.settings = settings
        router = Router(routes)
        origins = OriginRules(issuer: settings.issuer, allowed: settings.allowedOrigins)
        addresses = ClientAddress(trusted: settings.trustedProxies)
        security = SecurityHeaders(issuer: settings.issuer)
        self.clock = clock
        self.entropy = entropy
        self.logger = logger
    }

    /// Answers one request; what goes wrong is an answer too.
    package func answer(
        _ head: HTTPRequest,
        peer: IPAddress,
        body: IncomingBody
    ) async -> Reply {
        let started = MonotonicInstant.now
        var context = makeContext(head, peer: peer, started: started)
        var pattern = "-"
        var refusal: ProblemCode?
        var reply: Reply
        do {
            guard head.path?.utf8.first == UInt8(ascii: "/") else {
                throw WebRefusal(.malformedRequest, "The request target must be a path.")
            }
            switch router.match(context.method, context.path) {
            case .found(let route, let parameters):
                pattern = route.pattern.text
                context.pathParameters = parameters
                if route.checksOrigin { try origins.check(context.method, context.headers) }
                reply = try await route.run(context, body)
                if route.allowsCORS {
                    origins.addCORS(to: &reply.headers, request: context.headers)
                }
            case .wrongMethod(let routes):
                pattern = routes[0].pattern.text
                reply = try refuseMethod(routes, context)
                // A preflight is answered here as well.
                if reply.status.code == 405 { refusal = .methodNotAllowed }
            case .notFound: throw WebRefusal(.notFound)
            }
        } catch {
            let problem = Problem(error)
            refusal = problem.code
            reply = render(problem, context)
            // After these, bytes of this request may still be on their way.
            reply.closesConnection = error is BrokenRequest || reply.status.code == 413
            // A page of an allowed origin may read its problems as well.
            origins.addCORS(to: &reply.headers, request: context.headers)
        }
        finish(&reply, id: context.id, now: context.now)
        log(context, pattern, reply, refusal, since: started)
        return reply
    }

    /// Whether a peer is a configured proxy, as `RequestContext.isPeerTrusted` says.
    func isTrusted(_ peer: IPAddress) -> Bool { addresses.isTrusted(peer) }

    /// Whose request it is, as `RequestContext.clientAddress` says.
    func client(of head: HTTPRequest, peer: IPAddress) -> IPAddress {
        addresses.find(peer: peer, forwardedFor: head.headerFields[values: .forwardedFor])
    }

    /// The refusal of a request that was judged before it became one here: rendered, dressed and
    /// logged as `answer` does it.
    func refuse(
        _ head: HTTPRequest,
        route: String,
        peer: IPAddress,
        _ error: any Error
    ) -> Reply {
        let started = MonotonicInstant.now
        let context = makeContext(head, peer: peer, started: started)
        let problem = Problem(error)
        var reply = render(problem, context)
        origins.addCORS(to: &reply.headers, request: context.headers)
        finish(&reply, id: context.id, now: context.now)
        log(context, route, reply, problem.code, since: started)
        return reply
    }

    /// Logs, at level debug alone, a request that was let pass before it became one here.
    ///
    /// A line costs several times what such an answer does (decision 11).
    func logPassed(route: String, peer: IPAddress, head: () -> HTTPRequest) {
        guard logger.logLevel <= .debug else { return }
        let started = MonotonicInstant.now
        let context = makeContext(head(), peer: peer, started: started)
        log(context, route, Reply(200), nil, since: started)
    }

    /// The answer to bytes that never became a request: framing errors, timeouts.
    package func refuse(_ code: ProblemCode, _ detail: String?, peer: IPAddress) -> Reply {
        let now = clock.now()
        let id = RequestID(at: now, entropy: entropy)
        var problem = Problem(code, detail)
        if code == .methodNotAllowed { problem.allow = [] }
        var reply = problem.reply(issuer: settings.issuer, id: id)
        reply.closesConnection = true
        finish(&reply, id: id, now: now)
        logger.info(
            "request",
            metadata: [
                "request_id": .string(id.description), "method": "-", "route": "-",
                "status": .string(String(code.status)), "problem": .string(code.rawValue),
                "address": .string(peer.description),
            ]
        )
        return reply
    }

    private func makeContext(
        _ head: HTTPRequest,
        peer: IPAddress,
        started: MonotonicInstant
    ) -> RequestContext {
        let now = clock.now()
        let target = head.path ?? ""
        let mark = target.utf8.firstIndex(of: UInt8(ascii: "?"))
        let headers = head.headerFields
        let client = self.client(of: head, peer: peer)
        return RequestContext(
            id: RequestID(at: now, entropy: entropy),
            now: now,
            deadline: Deadline(started + settings.limits.requestTime),
            timeAllowed: settings.limits.requestTime,
            clientAddress: client,
            isClientTrusted: addresses.isTrusted(client),
            peerAddress: peer,
            isPeerTrusted: addresses.isTrusted(peer),
            userAgent: RequestContext.cleanUserAgent(headers[.userAgent]),
            method: head.method,
            path: mark.map { String(target[..<$0]) } ?? target,
            query: mark.map { String(target[target.utf8.index(after: $0)...]) },
            host: head.authority ?? "",
            headers: headers,
            baseLogger: logger
        )
    }

    private func refuseMethod(_ routes: [Route], _ context: RequestContext) throws -> Reply {
        let methods = Router.methods(of: routes)
        if context.method == .options, origins.isCORSOn, routes.contains(where: \.allowsCORS),
            context.headers.contains(.accessControlRequestMethod)
        {
            var reply = try origins.preflight(context.headers, methods: methods)
            origins.addCORS(to: &reply.headers, request: context.headers)
            return reply
        }
        var problem = Problem(.methodNotAllowed)
        problem.allow = methods
        return render(problem, context)
    }

    private func render(_ problem: Problem, _ context: RequestContext) -> Reply {
        if let cause = problem.cause {
            // Once, here; the chain is the error's own description, which never holds a secret.
            context.logger.error(
                "fault",
                metadata: [
                    "error": .string(String(describing: cause)),
                    "problem": .string(problem.code.rawValue),
                ]
            )
        }
        return problem.reply(issuer: settings.issuer, id: context.id)
    }

    /// Adds what every answer carries.
    func finish(_ reply: inout Reply, id: RequestID, now: Timestamp) {
        security.add(to: &reply.headers)
        reply.headers[.date] = now.httpDate
        if reply.headers[.requestID] == nil { reply.headers[.requestID] = id.description }
        if reply.closesConnection { reply.headers[.connection] = "close" }
        // RFC 9110 section 8.6: no length where there can be no body.
        if reply.status.code != 204 && reply.status.code != 304 {
            reply.headers[.contentLength] = String(reply.body.count)
        }
    }

    private func log(
        _ context: RequestContext,
        _ pattern: String,
        _ reply: Reply,
        _ refusal: ProblemCode?,
        since started: MonotonicInstant
    ) {
        guard logger.logLevel <= .info else { return }
        var metadata: Logger.Metadata = [
            "request_id": .string(context.id.description),
            "method": .string(context.method.rawValue),
            "route": .string(pattern),
            "status": .string(String(reply.status.code)),
            "duration_us": .string(String((MonotonicInstant.now - started).wholeMicroseconds)),
            "address": .string(context.clientAddress.description),
        ]
        // 403 alone does not tell a lack of permission from a call out of a wrong network.
        if let refusal { metadata["problem"] = .string(refusal.rawValue) }
        if let id = context.headers[.requestID], TraceRules.isRequestID(id) {
            metadata["upstream_request_id"] = .string(id)
        }
        if let trace = context.headers[.traceParent], let id = TraceRules.traceID(trace) {
            metadata["trace_id"] = .string(id)
        }
        logger.info("request", metadata: metadata)
    }
}

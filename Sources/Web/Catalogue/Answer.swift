// What a handler returns: a body of the declared type, and what goes with it.
package import HTTPTypes

/// A successful answer.
package struct Answer<Output: ReplyBody>: Sendable {
    let body: any ReplyBody
    let status: Int?
    let cookies: [SetCookie]
    private(set) var headers: HTTPFields

    /// The declared body with the declared status.
    package init(_ body: Output, cookies: [SetCookie] = [], headers: HTTPFields = [:]) {
        self.body = body
        status = nil
        self.cookies = cookies
        self.headers = headers
    }

    private init(body: any ReplyBody, status: Int, cookies: [SetCookie]) {
        self.body = body
        self.status = status
        self.cookies = cookies
        headers = [:]
    }

    /// One of the declared alternatives.
    package static func alternative(
        _ status: Int,
        _ body: some ReplyBody,
        cookies: [SetCookie] = []
    ) -> Self {
        Self(body: body, status: status, cookies: cookies)
    }

    /// The same answer with the version of what it shows, as `ETag`.
    package func with(version: Int64) -> Self { with(.eTag, EntityTags.field(version)) }

    /// The same answer with the place of what was made: the path of `operation`, whose parameters
    /// are `segments` in order.
    package func with(location operation: OperationInfo, _ segments: String...) -> Self {
        with(.location, operation.pattern.path(segments))
    }

    /// The same answer with the version of the account's rights in which the change is in force.
    package func with(rightsVersion: Int64) -> Self {
        with(.rightsVersion, String(rightsVersion))
    }

    /// The same answer under the name that the caller has given the request (AuthZEN 1.0, request
    /// identification); ours, where that is none.
    func with(requestID field: String?) -> Self {
        guard let field, TraceRules.isRequestID(field) else { return self }
        return with(.requestID, field)
    }

    private func with(_ name: HTTPField.Name, _ value: String) -> Self {
        var answer = self
        answer.headers[name] = value
        return answer
    }

    /// The answer as it is sent; `version` is that of rights, where the operation tells one and the
    /// handler has not.
    func reply(_ info: OperationInfo, rightsVersion version: Int64? = nil) -> Reply {
        var headers = headers
        if let version, headers[.rightsVersion] == nil {
            headers[.rightsVersion] = String(version)
        }
        if let status {
            assert(
                info.alternatives.contains { $0.status == status },
                "\(info.name) does not declare an answer with status \(status)"
            )
        }
        var reply =
            body is NoReply
            ? Reply(status ?? info.success)
            : Reply.json(status ?? info.success, MemberWriter.encode(body))
        if status == nil { info.checkFields(headers) }
        for field in headers { reply.headers.append(field) }
        reply.set(cookies)
        return reply
    }
}

extension Answer where Output == NoReply {
    /// The declared status without a body.
    package static var done: Self { Self(NoReply()) }

    /// The declared status without a body, with cookies.
    package static func done(cookies: [SetCookie]) -> Self { Self(NoReply(), cookies: cookies) }
}

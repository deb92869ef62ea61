// Problems as RFC 9457 has them, and how errors become problems. A refusal says its code; a fault
// says that the store is away or that something broke, and its text goes to the log alone; anything
// else is 500. No text of an error that is not a refusal ever reaches a client.
internal import Access
internal import HTTPTypes
package import Primitives

/// A refusal or failure on its way out.
package struct Problem: Sendable {
    /// Which problem.
    package let code: ProblemCode
    /// A sentence for this occurrence.
    package var detail: String?
    /// What is wrong with which member.
    package var errors: [MemberError] = []
    /// How long to wait.
    package var retryAfter: Duration?
    /// Cookies to set with it.
    package var cookies: [SetCookie] = []
    /// How recent the caller's proof of who he is must be.
    package var maximumAge: Duration?
    /// What the request waits for, where another person must approve it.
    package var approval: ApprovalID?
    /// The methods the path answers, for 405.
    package var allow: [String]?
    /// What went wrong inside, for the log alone; nil for refusals.
    package var cause: (any Error)?

    /// A problem with `code`.
    package init(_ code: ProblemCode, _ detail: String? = nil) {
        self.code = code
        self.detail = detail
    }

    /// The problem that `error` is.
    package init(_ error: any Error) {
        switch error {
        case let refusal as CookieRefusal:
            self.init(refusal.refusal)
            cookies = refusal.cookies
        case let refusal as any Refusal:
            self.init(refusal.code, refusal.detail)
            errors = refusal.memberErrors
            retryAfter = refusal.retryAfter
            if case .proofTooOld(let limit)? = refusal as? GateRefusal { maximumAge = limit }
            if case .required(let view)? = refusal as? ApprovalRefusal { approval = view.id }
        case let late as DeadlineExceeded:
            self.init(.deadlineExceeded)
            cause = late
        case let fault as any Fault:
            self.init(fault.isTransient ? .storeUnavailable : .internalError)
            cause = fault
        case let json as JSONRefusal:
            self.init(.malformedRequest, Self.detail(of: json))
        case is CancellationError:
            // Only a drain or a passed deadline cancels a request; neither is the caller's doing.
            self.init(.overloaded)
            cause = error
        default:
            self.init(.internalError)
            cause = error
        }
    }

    private static func detail(of refusal: JSONRefusal) -> String {
        switch refusal {
        case .tooDeep: "The JSON is nested deeper than \(JSONReader.maximumDepth) levels."
        case .duplicateKey: "The JSON has the same key twice in one object."
        case .nul: "The JSON holds a NUL character."
        case .invalidText: "The JSON is not valid UTF-8."
        case .numberOutOfRange: "The JSON holds a number that is out of range."
        case .malformed: "The body is not a JSON text."
        }
    }

    /// The answer to request `id` of the service at `issuer`.
    package func reply(issuer: String, id: RequestID) -> Reply {
        var reply = Reply(
            code.status,
            contentType: "application/problem+json; charset=utf-8",
            body: json(issuer: issuer, id: id)
        )
        if let challenge { reply.headers[.wwwAuthenticate] = challenge }
        if let allow { reply.headers[.allow] = allow.joined(separator: ", ") }
        if let wait = retryAfter ?? (code.status == 429 || code.status == 503 ? .zero : nil) {
            // Rounded up, and never zero: "again at once" would be a loop.
            let seconds = max((wait + .microseconds(999_999)).wholeSeconds, 1)
            reply.headers[.retryAfter] = String(seconds)
        }
        reply.set(cookies)
        return reply
    }

    /// RFC 6750 section 3.1: no error code when no credential was sent.
    private var challenge: String? {
        switch code {
        // RFC 9470 section 3, which has it with 401; why it is 403 here is in decision 16.
        case .recentSignInRequired:
            "Bearer realm=\"watchword\", error=\"insufficient_user_authentication\", "
                + "max_age=\"\(maximumAge?.wholeSeconds ?? 0)\""
        case .tokenMalformed, .tokenInvalid, .tokenExpired, .tokenRevoked:
            "Bearer realm=\"watchword\", error=\"invalid_token\""
        case _ where code.status == 401: "Bearer realm=\"watchword\""
        default: nil
        }
    }

    private func json(issuer: String, id: RequestID) -> [UInt8] {
        var out = Array("{\"type\":".utf8)
        JSONText.append("\(issuer)/problems/\(code.rawValue)", to: &out)
        out += ",\"title\":".utf8
        JSONText.append(code.title, to: &out)
        out += ",\"status\":\(code.status)".utf8
        out += ",\"detail\":".utf8
        JSONText.append(detail ?? code.meaning, to: &out)
        out += ",\"code\":".utf8
        JSONText.append(code.rawValue, to: &out)
        out += ",\"instance\":\"urn:uuid:\(id)\"".utf8
        if let approval { out += ",\"approval_id\":\"\(approval)\"".utf8 }
        if !errors.isEmpty {
            out += ",\"errors\":[".utf8
            for (index, error) in errors.enumerated() {
                out += (index == 0 ? "{\"member\":" : ",{\"member\":").utf8
                JSONText.append(error.member, to: &out)
                out += ",\"code\":".utf8
                JSONText.append(error.code, to: &out)
                out += ",\"detail\":".utf8
                JSONText.append(error.detail, to: &out)
                out.append(UInt8(ascii: "}"))
            }
            out.append(UInt8(ascii: "]"))
        }
        out.append(UInt8(ascii: "}"))
        return out
    }
}

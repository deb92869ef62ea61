// `Idempotency-Key`: a creating call that may be sent again when its answer was lost. What came of
// the first is kept elsewhere, behind a protocol; here the key is read, the request is reduced to a
// digest, and answers become bytes and come back. Only successful answers are kept.
internal import Crypto
internal import HTTPTypes
package import Primitives
internal import Tokens

/// A call with a key, as the keeper of answers sees it.
package struct IdempotentRequest: Sendable {
    /// Whose key it is; two accounts may use the same.
    package let account: AccountID
    /// SHA-256 of the key.
    package let keyDigest: [UInt8]
    /// SHA-256 of all that makes it another request: the API key it was made with, operation,
    /// organisation, path, query and body.
    package let requestDigest: [UInt8]
    /// This attempt at it.
    package let attempt: RequestID
    /// When it arrived.
    package let now: Timestamp

    /// A call with a key.
    package init(
        account: AccountID,
        keyDigest: [UInt8],
        requestDigest: [UInt8],
        attempt: RequestID,
        now: Timestamp
    ) {
        self.account = account
        self.keyDigest = keyDigest
        self.requestDigest = requestDigest
        self.attempt = attempt
        self.now = now
    }
}

/// Keeps the answers of calls with a key; Web's side of a store.
package protocol IdempotentAnswers: Sendable {
    /// Runs `run` unless this request was carried out before, and keeps what it returns.
    ///
    /// Of two with the same key at once exactly one runs. What `run` throws is kept from nobody:
    /// the key is free again unless something was committed.
    ///
    /// - Returns: the answer, and whether it is that of an earlier call.
    /// - Throws: `IdempotencyRefusal`; what `run` throws.
    func once(
        _ request: IdempotentRequest,
        _ run: () async throws -> [UInt8]
    ) async throws -> (answer: [UInt8], isReplay: Bool)
}

/// Why a call with a key is not carried out.
package enum IdempotencyRefusal: Refusal, Equatable {
    /// The key came before, with another request.
    case otherRequest
    /// The first call with the key is not finished.
    case underWay
    /// It was carried out, and the node ended before it could keep the answer.
    case answerLost

    package var code: ProblemCode { .idempotencyKeyReused }
    package var detail: String? {
        switch self {
        case .otherRequest: "The key was used for another request."
        case .underWay: "The first request with this key is under way."
        case .answerLost: "The request was carried out; its answer was lost. Look for the result."
        }
    }
    package var retryAfter: Duration? { self == .underWay ? .seconds(1) : nil }
}

extension IdempotentRequest {
    static let keyLength = 1...255

    /// The call, where it has a key and its operation takes one.
    ///
    /// - Throws: `malformed-request` unless the key is one of 1 to 255 visible ASCII characters.
    init?(_ info: OperationInfo, _ context: RequestContext, body: [UInt8]) throws(WebRefusal) {
        let keys = context.headers[values: .idempotencyKey]
        guard info.traits.contains(.idempotent), let key = keys.first else { return nil }
        guard keys.count == 1, Self.keyLength.contains(key.utf8.count),
            key.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        else {
            throw WebRefusal(
                .malformedRequest,
                "Idempotency-Key must be 1 to 255 visible ASCII characters, once."
            )
        }
        self.init(
            account: context.claims.accountID,
            keyDigest: Array(SHA256.hash(data: Array(key.utf8))),
            requestDigest: RequestDigest.of(info, context, body: body),
            attempt: context.id,
            now: context.now
        )
    }
}

extension Reply {
    /// Status, fields and body as bytes: lengths in front, numbers big-endian.
    var kept: [UInt8] {
        precondition(!headers.contains(.setCookie), "a kept answer sets no cookies")
        var out: [UInt8] = []
        func append(_ number: Int) { out += [UInt8(number >> 8), UInt8(number & 0xFF)] }
        append(status.code)
        append(headers.count)
        for field in headers {
            for text in [field.name.rawName, field.value] {
                append(text.utf8.count)
                out += text.utf8
            }
        }
        return out + body
    }

    /// What `kept` wrote; nil for anything else.
    init?(kept bytes: [UInt8]) {
        var rest = bytes[...]
        func number() -> Int? {
            guard rest.count >= 2 else { return nil }
            defer { rest = rest.dropFirst(2) }
            return Int(rest[rest.startIndex]) << 8 | Int(rest[rest.startIndex + 1])
        }
        func text() -> String? {
            guard let count = number(), rest.count >= count else { return nil }
            defer { rest = rest.dropFirst(count) }
            return String(validating: rest.prefix(count), as: UTF8.self)
        }
        guard let status = number(), let count = number() else { return nil }
        var headers = HTTPFields()
        for _ in 0..<count {
            guard let name = text().flatMap({ HTTPField.Name($0) }), let value = text() else {
                return nil
            }
            headers.append(HTTPField(name: name, value: value))
        }
        self.init(status, headers: headers, body: Array(rest))
    }
}

/// A kept answer that cannot be read: it was written by something else.
struct UnreadableAnswer: Fault {
    var isTransient: Bool { false }
    var description: String { "the kept answer of an idempotency key cannot be read" }
}

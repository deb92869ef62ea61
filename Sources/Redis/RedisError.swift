// What can go wrong between this node and Redis. A Redis that is down is a normal state of the
// cluster: callers fall back on `isTransient` faults. Messages never contain arguments or secrets.
internal import Primitives

/// A fault of Redis or of the way to it.
package struct RedisError: Fault, Equatable {
    /// The kinds of fault.
    package enum Kind: Sendable, Equatable {
        /// Redis answered with an error; `code` is its first word (`NOSCRIPT`, `WRONGTYPE`).
        case server(code: String, message: String)
        /// There is no connection, or it broke; what was in flight may have been executed.
        case connection(String)
        /// The deadline passed; the command may have been executed.
        case deadline
        /// A limit was reached; its name is the payload. The command was not sent.
        case overloaded(limit: String)
        /// The peer does not speak RESP2 as agreed, or a bound on sizes was passed.
        case protocolViolation(String)
    }

    /// Which kind.
    package let kind: Kind

    /// A fault of `kind`.
    package init(_ kind: Kind) { self.kind = kind }

    /// A fault from the text of an error reply, without the arguments Redis may echo in it.
    package init(reply: String) {
        var text = reply[...]
        if let echo = reply.firstRange(of: ", with args beginning with") {
            text = reply[..<echo.lowerBound]
        }
        let code = text.prefix { $0 != " " }
        let message = text.dropFirst(code.count).drop { $0 == " " }
        kind = .server(code: String(code), message: String(message))
    }

    /// The first word of an error reply; nil for other faults.
    package var code: String? {
        if case .server(let code, _) = kind { code } else { nil }
    }

    package var isTransient: Bool {
        switch kind {
        case .server(let code, _):
            ["LOADING", "BUSY", "TRYAGAIN", "MASTERDOWN", "CLUSTERDOWN"].contains(code)
        case .connection, .deadline, .overloaded: true
        case .protocolViolation: false
        }
    }

    package var description: String {
        switch kind {
        case .server(let code, let message): "Redis answered \(code): \(message)"
        case .connection(let reason): "Redis cannot be reached: \(reason)"
        case .deadline: "Redis did not answer within the deadline"
        case .overloaded(let limit): "Too many Redis commands are under way (\(limit))"
        case .protocolViolation(let reason): "Redis broke the protocol: \(reason)"
        }
    }
}

extension String {
    /// The first place `other` stands in the text, without Foundation.
    fileprivate func firstRange(of other: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(other) {
                return start..<index(start, offsetBy: other.count)
            }
            start = index(after: start)
        }
        return nil
    }
}

// What an operation takes: one initialiser that both decodes and describes, member by member, so
// that a member cannot be read and not documented, or documented and not read.
package import Primitives

/// Where an operation's input travels.
package enum InputCarrier: Hashable, Sendable {
    /// There is none.
    case nothing
    /// A JSON object in the body.
    case body
    /// The query of the URL.
    case query
    /// A form in the body (`application/x-www-form-urlencoded`), for OAuth.
    case form
}

/// The input of an operation.
package protocol OperationInput: Sendable {
    /// Where it travels.
    static var carrier: InputCarrier { get }
    /// Reads every member; complaints are collected by the reader, so this rarely throws.
    init(_ members: inout MemberReader) throws
}

/// A JSON object in the request's body.
package protocol RequestBody: OperationInput {}
extension RequestBody {
    package static var carrier: InputCarrier { .body }
}

/// The query of the URL; a name given twice is refused unless it is a list (row 254).
package protocol QueryParameters: OperationInput {}
extension QueryParameters {
    package static var carrier: InputCarrier { .query }
}

/// A form in the request's body.
package protocol FormBody: OperationInput {}
extension FormBody {
    package static var carrier: InputCarrier { .form }
}

/// For operations without input; a query or a body is not looked at.
package struct NoInput: OperationInput {
    package static let carrier = InputCarrier.nothing

    /// Reads nothing.
    package init(_ members: inout MemberReader) {}
    /// No input.
    package init() {}
}

/// Members that break their declaration.
package struct ValidationRefusal: Refusal {
    /// What is wrong with which member; at most ``maximumErrors``.
    package let memberErrors: [MemberError]

    /// How many complaints one answer carries.
    package static let maximumErrors = 50

    /// A refusal with the first complaints of `errors`.
    package init(_ errors: [MemberError]) {
        memberErrors = Array(errors.prefix(Self.maximumErrors))
    }

    package var code: ProblemCode { .validationFailed }
    package var detail: String? { "Some members are missing, unknown or not as declared." }
}

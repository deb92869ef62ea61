// How a connection tells the handler that waits for a body that the body will not come.
package import Primitives

/// A request whose body broke the framing, grew too large or came too slowly; the connection ends
/// with the answer.
package struct BrokenRequest: Refusal, Hashable {
    package let code: ProblemCode
    package let detail: String?

    /// A broken request, answered with `code`.
    package init(_ code: ProblemCode, _ detail: String?) {
        self.code = code
        self.detail = detail
    }
}

// A refusal: an expected "no", as against a fault. Each use case has an enum that conforms; the
// edge renders it as a problem. It must carry nothing that the caller may not read.

/// An expected "no" with a stable code.
package protocol Refusal: Error, Sendable {
    /// Which problem this is.
    var code: ProblemCode { get }
    /// A sentence for this occurrence; never a secret, and never whether an account exists (W6).
    var detail: String? { get }
    /// How long to wait before trying again; sent as `Retry-After` in whole seconds.
    var retryAfter: Duration? { get }
    /// What is wrong with which member.
    var memberErrors: [MemberError] { get }
}

extension Refusal {
    package var detail: String? { nil }
    package var retryAfter: Duration? { nil }
    package var memberErrors: [MemberError] { [] }
}

/// What is wrong with one member of a request.
package struct MemberError: Hashable, Sendable {
    /// The member, with dots between levels and numbers in lists: `checks.0.permission`.
    package let member: String
    /// A stable kebab-case name of the complaint: `missing`, `too-long`.
    package let code: String
    /// A sentence; never the value that was sent.
    package let detail: String

    /// A complaint about `member`.
    package init(_ member: String, _ code: String, _ detail: String) {
        self.member = member
        self.code = code
        self.detail = detail
    }
}

// When the request that is being answered is given up. Bound around its gate and its handler, so
// that whatever they do in the end knows it without each use case handing it on: a store begins
// nothing for a request whose time is up. It is not how the caller is told; that is the edge's.

/// The end of the request that the current task answers.
package enum RequestDeadline {
    /// When it is given up; nil outside of requests.
    @TaskLocal package static var current: Deadline?
}

/// A request was given up because its time was over.
package struct DeadlineExceeded: Fault {
    /// What it was about to do, or was doing.
    package let doing: String

    /// A request given up while `doing` that.
    package init(doing: String) { self.doing = doing }

    package var isTransient: Bool { true }
    package var description: String { "the request's time was up: \(doing)" }
}

// Which version of a resource a change is made to: what `If-Match` said. A mutation has it in its
// WHERE, so that of two changes to one version exactly one is made (RFC 9110 section 13.1.1).

/// The versions that a change may find.
package enum ExpectedVersion: Hashable, Sendable {
    /// Any, as long as there is something to change: `If-Match: *`.
    case any
    /// One of these; none where no tag was one of ours.
    case oneOf([Int64])

    /// For SQL: `($2::bigint[] IS NULL OR version = ANY ($2))`.
    package var values: [Int64]? {
        switch self {
        case .any: nil
        case .oneOf(let versions): versions
        }
    }

    /// Whether a resource of `version` may be changed.
    package func matches(_ version: Int64) -> Bool { values?.contains(version) ?? true }
}

/// The resource is there, in another version than the change expects.
package struct VersionMismatch: Refusal, Equatable {
    package let code = ProblemCode.versionMismatch

    /// A mismatch.
    package init() {}
}

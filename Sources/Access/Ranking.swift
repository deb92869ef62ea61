// Who may change whom: nobody touches somebody who holds a permission that he himself does not
// hold, or he could become him by a new password (checklist rows 169, 170). One place, so that
// every use case asks the same question.
package import Primitives

/// Compares what accounts may.
package struct Ranking: Sendable {
    let keeper: RoleKeeper

    /// A comparison by the roles of `keeper`.
    package init(_ keeper: RoleKeeper) { self.keeper = keeper }

    /// Whether somebody with the roles `held` may change somebody with the roles `other`.
    ///
    /// No statement, unless this node has yet to meet one of the roles.
    ///
    /// - Parameter limit: what the key of the one who asks is narrowed to; nil for all he may.
    package func mayChange(
        _ other: [RoleID],
        holding held: [RoleID],
        narrowedTo limit: [String]?
    ) async throws -> Bool {
        let snapshot = try await keeper.snapshot(knowing: held + other)
        return snapshot.permissions(of: other).allSatisfy { permission in
            // A namespace is held by who holds it whole: as a name, `orders:*` is of no other use.
            snapshot.permits(permission, held) && limit.map { $0.contains(permission) } ?? true
        }
    }
}

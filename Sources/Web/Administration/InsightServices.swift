// What the handlers for looking at a cluster need: its audit log, its numbers, its keys and the
// settings of the node that answers. Filled by the composition root.
package import Audit
package import Primitives
package import Sessions

/// The use cases behind what administrators look at.
package struct InsightServices: Sendable {
    /// The audit log.
    package let audit: AuditLists
    /// Numbers by the hour.
    package let statistics: Statistics
    /// Every setting of this node with the value in effect; secrets are dots.
    package let settings: [SettingDeclaration]

    /// The services of a node.
    package init(audit: AuditLists, statistics: Statistics, settings: [SettingDeclaration]) {
        self.audit = audit
        self.statistics = statistics
        self.settings = settings
    }

    /// The operations, in the order of the manual.
    static let operations =
        AuditAPI.operations + StatisticsAPI.operations + SettingsAPI.operations
        + SigningKeyAPI.operations
}

extension WebServices {
    func bindInsight(_ bindings: inout Bindings) {
        bindAudit(&bindings)
        bindStatistics(&bindings)
        bindSettings(&bindings)
        bindSigningKeys(&bindings)
    }
}

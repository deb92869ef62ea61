// The transactional outbox: an event is a row of the transaction that causes it, so none is lost
// and none tells of a change that was rolled back (W9). What carries the rows outwards comes later.

/// What others may want to hear of; the raw value is `outbox.topic`, stable for ever.
package enum OutboxTopic: String, Sendable, CaseIterable {
    case accountRegistered = "account.registered"
    case accountChanged = "account.changed"
    case accountDisabled = "account.disabled"
    case accountEnabled = "account.enabled"
    case accountDeleted = "account.deleted"
    case signedIn = "session.signed-in"
    case sessionEnded = "session.ended"
    case impersonated = "session.impersonated"
    case loggedOutEverywhere = "session.logged-out-everywhere"
    case refreshReused = "session.refresh-reused"
    case passwordChanged = "password.changed"
    case secondFactorAdded = "second-factor.added"
    case secondFactorRemoved = "second-factor.removed"
    case recoveryCodeUsed = "second-factor.recovery-code-used"
    case recoveryCodesRenewed = "second-factor.recovery-codes-renewed"
    case roleChanged = "role.changed"
    case roleAssigned = "role.assigned"
    case roleUnassigned = "role.unassigned"
    case routeRulesChanged = "route-rules.changed"
    case organisationChanged = "organisation.changed"
    case organisationRemoved = "organisation.removed"
    case memberAdded = "organisation.member-added"
    case memberRemoved = "organisation.member-removed"
    case apiKeyCreated = "api-key.created"
    case apiKeyRevoked = "api-key.revoked"
}

/// SQL of the outbox.
package enum Outbox {
    /// A data-modifying part of a `WITH` list that adds one event for each row of `source` (which
    /// must have at most one).
    ///
    /// - Parameters:
    ///   - account: an SQL expression over `source`.
    ///   - payload: an SQL expression of type `jsonb`; never a secret.
    ///   - entry: the number of the parameter that holds the event's id.
    ///   - at: the number of the parameter that holds its time.
    package static func append(
        as name: String,
        _ topic: OutboxTopic,
        account: String,
        payload: String,
        from source: String,
        entry: Int,
        at: Int
    ) -> String {
        """
        \(name) AS (
            INSERT INTO outbox (id, created_at, topic, account_id, payload)
            SELECT $\(entry)::uuid, $\(at)::timestamptz, '\(topic.rawValue)', \(account), \(payload)
              FROM \(source)
        )
        """
    }
}

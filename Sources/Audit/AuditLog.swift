// The append-only record of who did what to whom. An entry is a part of the statement that makes
// the change, so that there is never one without the other (W9).
package import Postgres
package import Primitives

/// What can be recorded; the raw value is `audit_events.action`, stable for ever.
package enum AuditAction: String, Sendable, CaseIterable {
    case accountRegistered = "account.registered"
    case accountCreated = "account.created"
    case accountChanged = "account.changed"
    case accountDisabled = "account.disabled"
    case accountEnabled = "account.enabled"
    case accountDeleted = "account.deleted"
    case accountUnlocked = "account.unlocked"
    case administratorCreated = "account.administrator-created"
    case signedIn = "session.signed-in"
    case signInFailed = "session.sign-in-failed"
    case refreshedInGrace = "session.refreshed-in-grace"
    case refreshReused = "session.refresh-reused"
    case sessionEnded = "session.ended"
    case otherSessionsEnded = "session.others-ended"
    case allSessionsEnded = "session.all-ended"
    case organisationChosen = "session.organisation-chosen"
    case impersonated = "session.impersonated"
    case loggedOutEverywhere = "session.logged-out-everywhere"
    case passwordChanged = "password.changed"
    case passwordChangeFailed = "password.change-failed"
    case passwordChangeRequired = "password.change-required"
    case passwordRehashed = "password.rehashed"
    case secondFactorAdded = "second-factor.added"
    case secondFactorRemoved = "second-factor.removed"
    case recoveryCodeUsed = "second-factor.recovery-code-used"
    case recoveryCodesRenewed = "second-factor.recovery-codes-renewed"
    case permissionCreated = "permission.created"
    case permissionChanged = "permission.changed"
    case permissionRemoved = "permission.removed"
    case roleCreated = "role.created"
    case roleChanged = "role.changed"
    case roleRemoved = "role.removed"
    case roleAssigned = "role.assigned"
    case roleUnassigned = "role.unassigned"
    case routeRulesChanged = "route-rules.changed"
    case signingKeyMade = "signing-key.made"
    case signingKeyRemoved = "signing-key.removed"
    case organisationCreated = "organisation.created"
    case organisationChanged = "organisation.changed"
    case organisationRemoved = "organisation.removed"
    case memberAdded = "organisation.member-added"
    case memberRemoved = "organisation.member-removed"
    case apiKeyCreated = "api-key.created"
    case apiKeyRevoked = "api-key.revoked"
    case approvalRequested = "approval.requested"
    case approvalGiven = "approval.given"
    case approvalRefused = "approval.refused"
    case approvalUsed = "approval.used"
}

/// The four parameters of every recorded statement, in this order: id, time, address, request.
package struct AuditBinds: PostgresBind {
    /// The id of the entry; also that of the event in the outbox.
    package let entry: EntryID
    /// `now` of the request.
    package let at: Timestamp
    /// The client's address.
    package let address: String
    /// The request.
    package let request: RequestID

    /// The binds for one change of `trace`.
    package init(_ trace: RequestTrace, entropy: Entropy) {
        entry = EntryID(at: trace.now, entropy: entropy)
        at = trace.now
        address = trace.address
        request = trace.requestID
    }

    /// Those of the four.
    package static let parameterTypes =
        EntryID.parameterTypes + Timestamp.parameterTypes + String.parameterTypes
        + RequestID.parameterTypes

    /// Appends the four.
    package func appendParameters(into out: inout [UInt8]) {
        entry.appendParameters(into: &out)
        at.appendParameters(into: &out)
        address.appendParameters(into: &out)
        request.appendParameters(into: &out)
    }
}

/// SQL of the audit log.
package enum AuditLog {
    /// A data-modifying part of a `WITH` list that records `action` for each row of `source`
    /// (which must have at most one).
    ///
    /// - Parameters:
    ///   - name: the name this part gets.
    ///   - account, session: SQL expressions over `source`, or `NULL`.
    ///   - actor: who did it, where that is not the account; an SQL expression.
    ///   - detail: an SQL expression of type `jsonb`.
    ///   - first: the number of the first of the four `AuditBinds` parameters.
    package static func append(
        as name: String,
        _ action: AuditAction,
        account: String,
        session: String = "NULL",
        actor: String? = nil,
        detail: String = "'{}'::jsonb",
        from source: String,
        binds first: Int
    ) -> String {
        """
        \(name) AS (
            INSERT INTO audit_events (
                id, at, action, actor_id, account_id, session_id, ip_address, request_id, detail
            )
            SELECT $\(first)::uuid, $\(first + 1)::timestamptz, '\(action.rawValue)',
                   \(actor ?? account), \(account), \(session), $\(first + 2)::text,
                   $\(first + 3)::uuid, \(detail)
              FROM \(source)
        )
        """
    }

    /// A part that records each row of `source`, which has the columns `entry`, `action`,
    /// `account_id`, `session_id` and `detail`: what a node does by itself, for nobody.
    ///
    /// - Parameters:
    ///   - reason: a member of every detail.
    ///   - at: the number of the parameter that is their time.
    package static func appendAll(
        as name: String,
        from source: String,
        reason: String,
        at: Int
    ) -> String {
        """
        \(name) AS (
            INSERT INTO audit_events (
                id, at, action, actor_id, account_id, session_id, ip_address, detail
            )
            SELECT s.entry, $\(at), s.action, NULL, s.account_id, s.session_id, 'system',
                   s.detail || '{"reason": "\(reason)"}'
              FROM \(source) s
        )
        """
    }
}

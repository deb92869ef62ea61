// The organisation that a session is for. Its tokens name it from the next refresh on, and `X-Org`
// may name no other then. It is a choice and no right: what is held there is looked up at each
// check. A session stays for an organisation that is closed to it, and is refused there, until
// another one is chosen, or none: what was asked for in one is never answered for all (W10).
import Access
import Audit
package import Postgres
package import Primitives
package import Tokens

/// Why a session is for no such organisation.
package enum SessionOrganisationRefusal: Refusal, Equatable {
    /// The account may not act in it, or there is none of that id.
    case notMember
    /// A session in which somebody else acts stays as it is.
    case impersonating
    /// The session ended before this took hold.
    case ended

    package var code: ProblemCode {
        switch self {
        case .notMember: .organisationRefused
        case .impersonating: .permissionDenied
        case .ended: .tokenRevoked
        }
    }
}

/// Chooses the organisation of a session.
package struct SessionOrganisation: Sendable {
    let database: any PostgresExecutor
    let entropy: Entropy

    /// The use case.
    package init(database: any PostgresExecutor, entropy: Entropy) {
        self.database = database
        self.entropy = entropy
    }

    /// Makes the caller's session one for `organisation`, or for none.
    ///
    /// - Throws: `SessionOrganisationRefusal`; or a fault.
    package func callAsFunction(
        _ organisation: OrganisationID?,
        _ caller: AccessClaims,
        _ trace: RequestTrace
    ) async throws {
        guard caller.actorID == nil else { throw SessionOrganisationRefusal.impersonating }
        let binds = AuditBinds(trace, entropy: entropy)
        let found = try await database.first(
            SessionOrganisationStore.choose(
                caller.sessionID,
                caller.accountID,
                organisation,
                binds
            )
        )
        guard let found, found.isAllowed else { throw SessionOrganisationRefusal.notMember }
        guard found.isChosen else { throw SessionOrganisationRefusal.ended }
    }
}

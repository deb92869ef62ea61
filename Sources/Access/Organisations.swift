// Organisations and who is a member of which. A member holds nothing there by being one; roles are
// given to him with the scope of the organisation. Whoever leaves loses what he held there at every
// gateway when that is answered (W11): the version of his rights grows and goes into the revocation
// log in the transaction of the change (revocation.md H28). When an organisation is disabled,
// enabled or removed its own generation does so, once for all members (H23).
import Audit
package import Postgres
package import Primitives
package import Revocation

/// Whether an organisation may be acted in.
package enum OrganisationState: String, Sendable, CaseIterable {
    case active
    case disabled
}

/// An organisation as administrators see it.
package struct OrganisationView: Sendable {
    /// The organisation.
    package let id: OrganisationID
    /// Its name in machines; unique.
    package let name: String
    /// Its name for people.
    package let displayName: String
    /// Whether anybody may act in it.
    package let state: OrganisationState
    /// Grows with each change.
    package let version: Int64
    /// Since when it is there.
    package let createdAt: Timestamp
    /// When it was last changed.
    package let updatedAt: Timestamp

    /// An organisation.
    package init(
        id: OrganisationID,
        name: String,
        displayName: String,
        state: OrganisationState,
        version: Int64,
        createdAt: Timestamp,
        updatedAt: Timestamp
    ) {
        self.id = id
        self.name = name
        self.displayName = displayName
        self.state = state
        self.version = version
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }
}

/// Why an organisation cannot be made or changed so.
package enum OrganisationRefusal: Refusal, Equatable {
    /// There is none of that id within the caller's reach, or no such account.
    case notFound
    /// Another has the name.
    case nameTaken
    /// There are as many as there may be.
    case limitReached

    package var code: ProblemCode {
        switch self {
        case .notFound: .notFound
        case .nameTaken: .nameTaken
        case .limitReached: .limitReached
        }
    }
}

/// Makes and changes organisations.
package struct Organisations: Sendable {
    /// The most organisations.
    package static let limit = 100_000
    /// The most organisations of one account.
    package static let membershipLimit = 1000

    let revoker: Revoker
    let database: any PostgresExecutor
    let entropy: Entropy

    /// The use cases.
    package init(revoker: Revoker, database: any PostgresExecutor, entropy: Entropy) {
        self.revoker = revoker
        self.database = database
        self.entropy = entropy
    }

    /// Organisations in the order of their ids; of a delegate his own.
    package func list(
        within realm: Realm,
        _ request: PageRequest
    ) async throws -> Page<OrganisationView> {
        let after: OrganisationID = request.after()
        let rows = try await database.rows(
            OrganisationStore.list(after, realm.organisationID, request.rowLimit)
        )
        return Page(rows, of: request) { $0.id.bytes }
    }

    /// One organisation.
    ///
    /// - Throws: `OrganisationRefusal.notFound`, also for what is outside the realm.
    package func find(_ id: OrganisationID, within realm: Realm) async throws -> OrganisationView {
        try Self.check(id, realm)
        guard let view = try await database.first(OrganisationStore.find(id)) else {
            throw OrganisationRefusal.notFound
        }
        return view
    }

    /// The id of the organisation with that id or name.
    ///
    /// - Throws: `OrganisationRefusal.notFound`.
    package func named(_ text: String) async throws -> OrganisationID {
        if let id = OrganisationID(text) { return id }
        guard let id = try await database.first(OrganisationStore.findNamed(text)) else {
            throw OrganisationRefusal.notFound
        }
        return id
    }

    /// Makes an organisation without members.
    ///
    /// - Throws: `OrganisationRefusal.nameTaken`, `.limitReached`; or a fault.
    package func create(
        _ name: String,
        displayName: String,
        by grantor: Grantor,
        _ trace: RequestTrace
    ) async throws -> OrganisationView {
        let binds = AuditBinds(trace, entropy: entropy)
        do {
            let query = OrganisationStore.insert(
                OrganisationID(at: trace.now, entropy: entropy),
                name,
                displayName,
                grantor.account,
                binds
            )
            // A transaction, though of one statement: an idempotency key is marked in it, or not
            // where it is refused.
            return try await revoker.transaction { transaction in
                guard let made = try await transaction.first(query) else {
                    throw OrganisationRefusal.limitReached
                }
                return made
            }
        } catch let error as PostgresError where error.isUniqueViolation(of: Self.nameKey) {
            throw OrganisationRefusal.nameTaken
        }
    }

    private static let nameKey = "organisations_name_key"

    /// Changes what an organisation is called, or whether anybody may act in it.
    ///
    /// With a new state nobody's rights there are as they were; then it needs a caller who holds
    /// all that is held there, for disabling takes it and enabling gives it.
    ///
    /// - Throws: `OrganisationRefusal`, `GrantRefusal.notHeld`, `VersionMismatch`; or a fault.
    package func change(
        _ id: OrganisationID,
        displayName: String?,
        state: OrganisationState?,
        expecting version: ExpectedVersion = .any,
        by grantor: Grantor,
        _ trace: RequestTrace
    ) async throws -> OrganisationView {
        let binds = AuditBinds(trace, entropy: entropy)
        return try await revoker.transaction { transaction in
            if let state {
                // What is woken lasts; what is put to sleep does not.
                let time: HeldTime = state == .active ? .until(nil) : .now
                try await takeAll(id, for: time, by: grantor, transaction)
            }
            let changed = try await transaction.first(
                OrganisationStore.update(
                    id,
                    displayName,
                    state?.rawValue,
                    grantor.actor,
                    binds,
                    version.values
                )
            )
            guard let view = try await transaction.first(OrganisationStore.find(id)) else {
                throw OrganisationRefusal.notFound
            }
            guard changed != nil else { throw VersionMismatch() }
            return view
        }
    }

    /// Removes an organisation: when this returns nobody acts in it any more, on any node, whatever
    /// the number of its members.
    ///
    /// One short transaction. `OrganisationSweeper` takes away the memberships and the roles that
    /// are held there; until then they are rows that count nowhere.
    ///
    /// - Throws: `OrganisationRefusal`, `GrantRefusal.notHeld`; or a fault.
    package func remove(
        _ id: OrganisationID,
        by grantor: Grantor,
        _ trace: RequestTrace
    ) async throws {
        let binds = AuditBinds(trace, entropy: entropy)
        try await revoker.transaction { transaction in
            try await takeAll(id, by: grantor, transaction)
            let removed = try await transaction.first(
                OrganisationStore.remove(
                    id,
                    grantor.actor,
                    binds
                )
            )
            guard removed != nil else { throw OrganisationRefusal.notFound }
        }
    }

    /// Locks the organisation against new members and new roles there; refuses unless the caller
    /// holds all that anybody holds there.
    ///
    /// The lock on the organisation is no row's and comes before all others, so whoever waits for
    /// it holds none. No member is locked, whatever their number.
    private func takeAll(
        _ id: OrganisationID,
        for time: HeldTime = .now,
        by grantor: Grantor,
        _ transaction: RevokingTransaction
    ) async throws {
        _ = try await transaction.rows(OrganisationStore.lock(id))
        // What is held in one that was removed is nobody's.
        guard try await transaction.first(OrganisationStore.find(id)) != nil else {
            throw OrganisationRefusal.notFound
        }
        let grants = try await Grants(transaction, by: grantor)
        let scope = RoleScope.organisation(id)
        let roles = try await transaction.rows(OrganisationStore.rolesHeld(scope.text))
        do {
            try await grants.allowGiving(roles, in: scope, for: time)
        } catch GrantRefusal.endsSooner {
            // There is no end to give here.
            throw GrantRefusal.notHeld
        }
    }

    /// What is outside a delegate's organisation is not there.
    static func check(_ id: OrganisationID, _ realm: Realm) throws(OrganisationRefusal) {
        if let own = realm.organisationID, own != id { throw .notFound }
    }
}

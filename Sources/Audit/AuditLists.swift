// What administrators read of the audit log: newest first, page by page, whole or about one
// account, by one actor, of one action, between two instants. Whoever administers one organisation
// is shown the entries about its members and no others, and of these none that tells what they are
// or hold in another one.
package import Postgres
package import Primitives

/// One entry of the audit log.
package struct AuditEntry: Sendable {
    /// The entry.
    package let id: EntryID
    /// When.
    package let at: Timestamp
    /// What was done: a raw value of `AuditAction`, or of one that a newer node knows.
    package let action: String
    /// Who did it; nil where nobody is known.
    package let actor: AccountID?
    /// To whom.
    package let account: AccountID?
    /// In or to which session.
    package let session: SessionID?
    /// From where.
    package let address: String
    /// With which request.
    package let request: RequestID?
    /// More, as the JSON text of an object; never a secret (W7).
    package let detail: String

    /// An entry.
    package init(
        id: EntryID,
        at: Timestamp,
        action: String,
        actor: AccountID?,
        account: AccountID?,
        session: SessionID?,
        address: String,
        request: RequestID?,
        detail: String
    ) {
        self.id = id
        self.at = at
        self.action = action
        self.actor = actor
        self.account = account
        self.session = session
        self.address = address
        self.request = request
        self.detail = detail
    }

    init(_ row: PostgresRow) throws {
        id = try row.get(0, as: EntryID.self)
        at = try row.get(1, as: Timestamp.self)
        action = try row.get(2, as: String.self)
        actor = try row.get(3, as: AccountID?.self)
        account = try row.get(4, as: AccountID?.self)
        session = try row.get(5, as: SessionID?.self)
        address = try row.get(6, as: String.self)
        request = try row.get(7, as: RequestID?.self)
        detail = try row.get(8, as: String.self)
    }
}

/// Which entries are wanted; what is nil does not matter.
package struct AuditFilter: Sendable {
    /// About whom.
    package var account: AccountID?
    /// By whom.
    package var actor: AccountID?
    /// Of which kind.
    package var action: AuditAction?
    /// From when on.
    package var from: Timestamp?
    /// Before when.
    package var to: Timestamp?
    /// About members of which organisation only.
    package var organisation: OrganisationID?

    /// A filter.
    package init(
        account: AccountID? = nil,
        actor: AccountID? = nil,
        action: AuditAction? = nil,
        from: Timestamp? = nil,
        to: Timestamp? = nil,
        organisation: OrganisationID? = nil
    ) {
        self.account = account
        self.actor = actor
        self.action = action
        self.from = from
        self.to = to
        self.organisation = organisation
    }

    var way: AuditStore.Way {
        if account != nil { return .account }
        if actor != nil { return .actor }
        return action != nil ? .action : .everything
    }
}

/// Lists the audit log.
package struct AuditLists: Sendable {
    let database: any PostgresExecutor

    /// The use case.
    package init(database: any PostgresExecutor) { self.database = database }

    /// The entries that `filter` wants, newest first; one statement, two for an organisation.
    package func entries(
        _ filter: AuditFilter,
        _ request: PageRequest
    ) async throws -> Page<AuditEntry> {
        let end = filter.to.map { EntryID.first(at: $0 + .microseconds(1000)) } ?? .beyond
        let cursor = request.cursor.flatMap { EntryID(bytes: $0.bytes) } ?? .beyond
        let statement =
            try await isListedByMembers(filter)
            ? AuditStore.listByMembers : AuditStore.list(filter.way)
        let rows = try await database.rows(
            statement(
                filter.from.map(EntryID.first) ?? EntryID(high: 0, low: 0),
                min(end, cursor),
                filter.from ?? Timestamp(seconds: 0),
                filter.to,
                filter.account,
                filter.actor,
                filter.action?.rawValue,
                filter.organisation,
                request.rowLimit
            )
        )
        return Page(rows, of: request) { $0.id.bytes }
    }

    /// A small organisation's entries are few among all: its members are looked up one by one.
    ///
    /// A large one's are met soon when the log is read downwards.
    private func isListedByMembers(_ filter: AuditFilter) async throws -> Bool {
        guard let organisation = filter.organisation, filter.account == nil else { return false }
        let limit = AuditStore.memberLimit
        let count = try await database.first(AuditStore.countMembers(organisation, limit + 1)) ?? 0
        return count <= limit
    }
}

extension ID {
    /// The lowest id that can be made in the millisecond of `instant`.
    package static func first(at instant: Timestamp) -> Self {
        ID(high: UInt64(max(0, instant.microseconds / 1000)) << 16, low: 0)
    }

    /// Above every id.
    package static var beyond: Self { ID(high: .max, low: .max) }
}

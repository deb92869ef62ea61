// Accounts as administrators see them: lists by filter, page by page, and one with all that is
// known of it. Never a hash: the statements do not read one (checklist row 168).
package import Access
package import Postgres
package import Primitives

/// An account in a list.
package struct AccountSummary: Sendable {
    /// The account.
    package let id: AccountID
    /// A person or a service.
    package let kind: AccountKind
    /// The address as it was typed; nil for a service, and once it is deleted.
    package let email: String?
    /// The user name as it was typed.
    package let username: String?
    /// Whether it may be used.
    package let state: AccountState
    /// Whether the address is confirmed.
    package let isConfirmed: Bool
    /// When it was made.
    package let createdAt: Timestamp
    /// When somebody last signed in to it.
    package let lastLoginAt: Timestamp?
    let canonicalEmail: String?

    /// An account in a list.
    package init(
        id: AccountID,
        kind: AccountKind,
        email: String?,
        username: String?,
        state: AccountState,
        isConfirmed: Bool,
        createdAt: Timestamp,
        lastLoginAt: Timestamp?,
        canonicalEmail: String? = nil
    ) {
        self.id = id
        self.kind = kind
        self.email = email
        self.username = username
        self.state = state
        self.isConfirmed = isConfirmed
        self.createdAt = createdAt
        self.lastLoginAt = lastLoginAt
        self.canonicalEmail = canonicalEmail
    }
}

/// All that administrators see of an account.
package struct AccountDetail: Sendable {
    /// What lists say of it.
    package let summary: AccountSummary
    /// Grows with each change; for `If-Match`.
    package let version: Int64
    /// When an administrator last changed it.
    package let updatedAt: Timestamp
    /// The names of the roles it holds in the realm of who asks, sorted.
    package let roles: [String]
    /// Whether it has a password.
    package let hasPassword: Bool
    /// Whether the password must be replaced at the next sign-in.
    package let mustChangePassword: Bool
    /// Whether a second factor is asked for when it signs in.
    package let hasSecondFactor: Bool
    /// What its owner told about himself.
    package let profile: AccountProfile

    /// All that is seen of an account.
    package init(
        summary: AccountSummary,
        version: Int64,
        updatedAt: Timestamp,
        roles: [String],
        hasPassword: Bool,
        mustChangePassword: Bool,
        hasSecondFactor: Bool,
        profile: AccountProfile
    ) {
        self.summary = summary
        self.version = version
        self.updatedAt = updatedAt
        self.roles = roles
        self.hasPassword = hasPassword
        self.mustChangePassword = mustChangePassword
        self.hasSecondFactor = hasSecondFactor
        self.profile = profile
    }
}

/// Which accounts are wanted; nil members do not matter.
package struct AccountFilter: Sendable {
    /// Whether they may be used.
    package var state: AccountState?
    /// A role that they hold, wherever; in the realm of an organisation, there.
    package var role: RoleID?
    /// How the canonical address begins.
    package var emailPrefix: String?
    /// The first moment at which they were made.
    package var createdFrom: Timestamp?
    /// The first moment that is too late.
    package var createdTo: Timestamp?
    /// People or services.
    package var kind: AccountKind?

    /// A filter.
    package init(
        state: AccountState? = nil,
        role: RoleID? = nil,
        emailPrefix: String? = nil,
        createdFrom: Timestamp? = nil,
        createdTo: Timestamp? = nil,
        kind: AccountKind? = nil
    ) {
        self.state = state
        self.role = role
        self.emailPrefix = emailPrefix
        self.createdFrom = createdFrom
        self.createdTo = createdTo
        self.kind = kind
    }
}

/// Lists and shows accounts to administrators.
package struct AccountLists: Sendable {
    let database: any PostgresExecutor

    /// The use case.
    package init(database: any PostgresExecutor) { self.database = database }

    /// The accounts of a realm that a filter takes: newest first, or by address where the filter
    /// has the beginning of one.
    ///
    /// One statement. The cursor is the last item's id, or its address; it opens nothing that the
    /// filter and the realm do not show (row 180).
    ///
    /// - Throws: `AdministrationRefusal.invalid` for a cursor that no page of such a list gave.
    package func list(
        _ filter: AccountFilter,
        in realm: Realm,
        _ request: PageRequest
    ) async throws -> Page<AccountSummary> {
        let prefix = try filter.emailPrefix.map { text throws(AdministrationRefusal) in
            guard let folded = EmailAddress.canonicalBeginning(text) else {
                throw .invalid([MemberError("email_prefix", "malformed", "cannot begin an address")]
                )
            }
            return folded
        }
        var before = AccountID(high: .max, low: .max)
        var after = prefix ?? ""
        if let cursor = request.cursor {
            if let prefix {
                guard let text = String(validating: cursor.bytes, as: UTF8.self),
                    text.hasPrefix(prefix), !text.utf8.contains(0)
                else { throw Self.badCursor }
                after = text
            } else {
                guard let id = AccountID(bytes: cursor.bytes) else { throw Self.badCursor }
                before = id
            }
        }
        let (first, end) = (filter.createdFrom ?? Self.epoch, filter.createdTo ?? Self.never)
        // The id of an account begins with the millisecond in which it was made, so the primary key
        // finds the time, and the column decides to the microsecond.
        let rows = try await database.rows(
            AccountListStore.list(filter, realm)(
                Self.lowest(first),
                min(before, Self.lowest(end + .milliseconds(1))),
                first,
                end,
                request.rowLimit,
                filter.state?.rawValue,
                filter.role,
                realm.organisationID,
                after,
                // No address has this character, and none sorts behind it.
                (prefix ?? "") + "\u{10FFFF}",
                request.cursor != nil
            )
        )
        return Page(rows, of: request) { last in
            prefix == nil ? last.id.bytes : Array((last.canonicalEmail ?? "").utf8)
        }
    }

    /// One account of a realm.
    ///
    /// - Throws: `AdministrationRefusal.noSuchAccount`, also for what is outside the realm.
    package func get(
        _ account: AccountID,
        in realm: Realm,
        now: Timestamp
    ) async throws -> AccountDetail {
        let found = try await database.first(
            AccountListStore.findDetail(account, realm.organisationID, now)
        )
        guard let found else { throw AdministrationRefusal.noSuchAccount }
        return found
    }

    /// The account that somebody calls by its id, its address or its user name.
    ///
    /// What has the form of an id is one: whoever takes such a user name is not meant by it.
    ///
    /// - Throws: `AdministrationRefusal.noSuchAccount` for a name that nobody has.
    package func named(_ text: String) async throws -> AccountID {
        if let id = AccountID(text) { return id }
        guard let name = LoginName(text),
            let id = try await database.first(AdministrationStore.findNamed(name.canonical))
        else { throw AdministrationRefusal.noSuchAccount }
        return id
    }

    /// The lowest id that can be made at an instant.
    private static func lowest(_ instant: Timestamp) -> AccountID {
        AccountID(high: UInt64(max(0, instant.microseconds / 1000)) << 16, low: 0)
    }

    private static let epoch = Timestamp(seconds: 0)
    private static let never = Timestamp(seconds: 253_402_300_799)
    private static let badCursor = AdministrationRefusal.invalid([
        MemberError("cursor", "malformed", "must be a cursor of an earlier page")
    ])
}

// Who may give what to whom: nobody gives or takes what he does not hold, or gives it for longer
// than he holds it, nobody changes himself, nobody changes somebody who holds more, and there is
// always an administrator (W12). Everything is read in the transaction of the change, under the
// locks of those it concerns, so that two changes at once cannot both rest on what the other takes
// away (rows 169 to 172); so is whether who changes may do so still (W1, W11, decision 19).
import Postgres
package import Primitives
package import Revocation

/// Why rights cannot be changed so.
package enum GrantRefusal: Refusal, Equatable {
    /// There is no such account, role or permission within the caller's reach.
    case notFound
    /// It would touch a permission that the caller does not hold.
    case notHeld
    /// The caller's own right to it ends sooner, at least of a part.
    case endsSooner
    /// It is the caller's own account.
    case isSelf
    /// Nobody would be left.
    case lastAdministrator
    /// What the caller showed was taken back after he was let in.
    case outdated
    /// The caller was let in, and has lost since what let him in.
    case notPermitted

    package var code: ProblemCode {
        switch self {
        case .notFound: .notFound
        case .notHeld: .permissionNotHeld
        case .endsSooner: .validationFailed
        case .isSelf: .selfChangeRefused
        case .lastAdministrator: .lastAdministrator
        case .outdated: .tokenRevoked
        case .notPermitted: .permissionDenied
        }
    }

    package var memberErrors: [MemberError] {
        guard self == .endsSooner else { return [] }
        let detail = "must be given, and no later than the end of what the giver holds himself"
        return [MemberError("expires_at", "beyond-own", detail)]
    }
}

/// The rules of giving and taking, within one transaction.
package struct Grants: Sendable {
    let transaction: RevokingTransaction
    let by: Grantor
    /// What the administrator holds.
    let held: HeldPermissions

    /// Locks those whom a change concerns, and reads what its maker holds.
    ///
    /// The first statements of a transaction: signatures are locked before any other row, in the
    /// order of their ids. A delegate's organisation stays as it is meanwhile; that lock is no
    /// row's and comes first. Whoever was disabled, signed out or demoted since he was let in is
    /// refused: he may have waited for these locks while that was done.
    package init(
        _ transaction: RevokingTransaction,
        by grantor: Grantor,
        changing accounts: [AccountID] = []
    ) async throws {
        self.transaction = transaction
        by = grantor
        guard let actor = grantor.actor else {
            if !accounts.isEmpty { _ = try await transaction.rows(GrantStore.lock(accounts)) }
            held = .everything
            return
        }
        if let organisation = grantor.realm.organisationID {
            _ = try await transaction.rows(OrganisationStore.share(organisation))
            // Whoever was let in before it was removed comes too late.
            guard try await transaction.first(OrganisationStore.find(organisation)) != nil else {
                throw GrantRefusal.notFound
            }
        }
        let others = accounts.filter { $0 != actor }.sorted()
        let before = others.filter { $0 < actor }
        if !before.isEmpty { _ = try await transaction.rows(GrantStore.lock(before)) }
        _ = try await transaction.rows(GrantStore.share(actor))
        try await Self.check(actor, grantor.credential, transaction)
        let after = others.filter { $0 > actor }
        if !after.isEmpty { _ = try await transaction.rows(GrantStore.lock(after)) }
        held = try await Self.read(actor, transaction, withDisabled: false)
            .narrowed(to: grantor.narrowedTo)
        if let permission = grantor.permission {
            let place = grantor.realm.organisationID.map(RoleScope.organisation) ?? .everywhere
            guard held.covers(permission.rawValue, in: place) else {
                throw GrantRefusal.notPermitted
            }
        }
    }

    /// Refuses where the account of the caller may not be used any more, or what he showed.
    ///
    /// After the lock on his signature, which stands in the way of both; a statement of its own,
    /// because the one that waited for the lock has the snapshot of before.
    private static func check(
        _ actor: AccountID,
        _ credential: Grantor.Credential?,
        _ transaction: RevokingTransaction
    ) async throws {
        let found = try await transaction.first(
            GrantStore.findActor(
                actor,
                credential?.generation,
                credential?.session,
                credential?.key
            )
        )
        guard found != nil else { throw GrantRefusal.outdated }
    }

    /// Refuses unless the caller may change `target`: another, who holds nothing that he does not.
    ///
    /// - Parameters:
    ///   - time: for how long the change lets the target use what it holds: the caller must hold it
    ///     as long.
    ///   - place: where the change is felt. What the target holds in another organisation than that
    ///     is not looked at: it is nobody's business there (row 175).
    package func allowChange(
        of target: AccountID,
        for time: HeldTime = .now,
        in place: RoleScope = .everywhere
    ) async throws {
        guard target != by.actor else { throw GrantRefusal.isSelf }
        if let organisation = by.realm.organisationID {
            let isMember = try await transaction.first(GrantStore.isMember(organisation, target))
            guard isMember != nil else { throw GrantRefusal.notFound }
        }
        let theirs = try await Self.read(target, transaction).felt(in: place)
        guard held.covers(theirs, for: time) else { throw GrantRefusal.notHeld }
    }

    /// Refuses unless the caller holds all that `roles` permit wherever `scope` reaches, so long
    /// as he gives it for; and the roles themselves where they are names alone.
    package func allowGiving(
        _ roles: [RoleID],
        in scope: RoleScope,
        for time: HeldTime = .now
    ) async throws {
        try allow(try await permissions(of: roles), in: scope, for: time)
        try await allowNames(of: roles, in: scope, for: time)
    }

    /// The roles that every new account has.
    package func defaultRoles() async throws -> [RoleID] {
        try await transaction.rows(GrantStore.defaultRoles())
    }

    /// What `roles` permit, with all that they include.
    func permissions(of roles: [RoleID]) async throws -> [String] {
        try await transaction.rows(GrantStore.permissionsOf(roles))
    }

    /// Refuses unless the caller holds `permissions` wherever `scope` reaches, so long as that.
    package func allow(
        _ permissions: [String],
        in scope: RoleScope,
        for time: HeldTime = .now
    ) throws {
        guard permissions.allSatisfy({ held.covers($0, in: scope) }) else {
            throw GrantRefusal.notHeld
        }
        guard permissions.allSatisfy({ held.covers($0, in: scope, for: time) }) else {
            throw GrantRefusal.endsSooner
        }
    }

    /// Whether `account` is one of the administrators.
    ///
    /// The lock on its signature keeps the answer true until the end of the transaction.
    package func administers(_ account: AccountID) async throws -> Bool {
        try await transaction.first(GrantStore.findSeat(account)) != nil
    }

    /// Makes a change; where it `touchesSeat`, under the lock of the administrators' seat, and
    /// refused if nobody is left who can administer Watchword (W12).
    ///
    /// - Parameter wantsConfirmed: whether nobody signs in whose address is not confirmed.
    package func keepingAnAdministrator<R>(
        if touchesSeat: Bool,
        wantsConfirmed: Bool,
        _ change: () async throws -> R
    ) async throws -> R {
        guard touchesSeat else { return try await change() }
        _ = try await transaction.rows(GrantStore.lockRole(BuiltInRole.admin))
        let changed = try await change()
        let found = try await transaction.first(GrantStore.findAdministrator(wantsConfirmed))
        guard found != nil else { throw GrantRefusal.lastAdministrator }
        return changed
    }

    /// What an account holds; who is judged holds also what is asleep in a disabled organisation.
    static func read(
        _ account: AccountID,
        _ transaction: RevokingTransaction,
        withDisabled: Bool = true
    ) async throws -> HeldPermissions {
        var held = HeldPermissions()
        let rows = try await transaction.rows(GrantStore.permissions(account, withDisabled))
        for (text, end, permissions) in rows {
            guard let scope = RoleScope(stored: text) else { continue }
            held.add(scope, until: end, permissions)
        }
        return held
    }
}

/// The SQL of giving and taking.
enum GrantStore {
    /// Locks the signatures of accounts that are to be changed; who is minted for them waits.
    static let lock = Statement(
        "grants.lock",
        """
        SELECT g.account_id
          FROM account_signatures g
         WHERE g.account_id = ANY($1)
         ORDER BY g.account_id
           FOR NO KEY UPDATE
        """,
        binds: [AccountID].self,
        decode: { try $0.get(0, as: AccountID.self) }
    )

    /// Locks the signature of him who changes, so that his own rights stay meanwhile.
    static let share = Statement(
        "grants.share",
        "SELECT g.account_id FROM account_signatures g WHERE g.account_id = $1 FOR SHARE",
        binds: AccountID.self,
        decode: { try $0.get(0, as: AccountID.self) }
    )

    /// Him who changes, if his account is active, what he showed is of generation `$2`, and
    /// neither session `$3` nor key `$4` is over; nil for what he did not show.
    static let findActor = Statement(
        "grants.find_actor",
        """
        SELECT a.id
          FROM accounts a
          JOIN account_signatures g ON g.account_id = a.id
         WHERE a.id = $1
           AND a.state = 'active'
           AND ($2::bigint IS NULL OR g.generation = $2)
           AND ($3::uuid IS NULL
                OR EXISTS (SELECT
                             FROM sessions s
                            WHERE s.id = $3
                              AND s.account_id = a.id
                              AND s.revoked_at IS NULL))
           AND ($4::uuid IS NULL
                OR EXISTS (SELECT
                             FROM api_keys k
                            WHERE k.id = $4
                              AND k.account_id = a.id
                              AND k.revoked_at IS NULL))
        """,
        binds: AccountID.self,
        Int64?.self,
        SessionID?.self,
        APIKeyID?.self,
        decode: { try $0.get(0, as: AccountID.self) }
    )

    static let lockRole = Statement(
        "grants.lock_role",
        "SELECT r.id FROM roles r WHERE r.id = $1 FOR UPDATE",
        binds: RoleID.self,
        decode: { try $0.get(0, as: RoleID.self) }
    )

    static let isMember = Statement(
        "grants.is_member",
        """
        SELECT m.account_id
          FROM organisation_members m
          JOIN organisations o ON o.id = m.organisation_id
         WHERE m.organisation_id = $1
           AND m.account_id = $2
           AND o.removed_at IS NULL
        """,
        binds: OrganisationID.self,
        AccountID.self,
        decode: { try $0.get(0, as: AccountID.self) }
    )

    /// What an account holds, by scope and end; in an organisation only as a member, and in one
    /// that is disabled where `$2` says so: it may be enabled again, so who is judged holds it.
    static let permissions = Statement(
        "grants.permissions",
        """
        \(RightsStore.held(withDisabled: "$2"))
        SELECT e.scope, e.expires_at, array_agg(DISTINCT p.permission)
          FROM reach e
          JOIN roles r ON r.id = e.role_id
          JOIN role_permissions p ON p.role_id = r.id
         WHERE r.removed_at IS NULL
         GROUP BY e.scope, e.expires_at
        """,
        binds: AccountID.self,
        Bool.self,
        decode: { row in
            (
                try row.get(0, as: String.self), try row.get(1, as: Timestamp?.self),
                try row.get(2, as: [String].self)
            )
        }
    )

    /// What roles permit, with all that they include.
    static let permissionsOf = Statement(
        "grants.permissions_of",
        """
        \(RightsStore.included)
        SELECT DISTINCT p.permission
          FROM reach e
          JOIN role_permissions p ON p.role_id = e.id
        """,
        binds: [RoleID].self,
        decode: { try $0.get(0, as: String.self) }
    )

    static let defaultRoles = Statement(
        "grants.default_roles",
        "SELECT r.id FROM roles r WHERE r.is_default AND r.removed_at IS NULL",
        decode: { try $0.get(0, as: RoleID.self) }
    )

    /// Whether an account holds the seat, be it for a time.
    static let findSeat = Statement(
        "grants.find_seat",
        """
        SELECT ar.account_id
          FROM account_roles ar
         WHERE ar.account_id = $1
           AND ar.role_id = '\(BuiltInRole.admin)'
           AND ar.scope = ''
        """,
        binds: AccountID.self,
        decode: { try $0.get(0, as: AccountID.self) }
    )

    /// Somebody who can sign in, and will hold the seat for ever; `$1` says whether that takes a
    /// confirmed address.
    static let findAdministrator = Statement(
        "grants.find_administrator",
        """
        SELECT ar.account_id
          FROM account_roles ar
          JOIN accounts a ON a.id = ar.account_id
          JOIN account_passwords p ON p.account_id = a.id
         WHERE ar.role_id = '\(BuiltInRole.admin)'
           AND ar.scope = ''
           AND ar.expires_at IS NULL
           AND a.state = 'active'
           AND a.kind = 'person'
           AND (a.confirmed_at IS NOT NULL OR NOT $1)
         LIMIT 1
        """,
        binds: Bool.self,
        decode: { try $0.get(0, as: AccountID.self) }
    )

    static var statements: [StatementInfo] {
        [
            lock.info, share.info, findActor.info, lockRole.info, isMember.info, permissions.info,
            permissionsOf.info, defaultRoles.info, findSeat.info, findAdministrator.info,
        ]
    }
}

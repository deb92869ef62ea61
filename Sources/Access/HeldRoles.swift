// The roles of accounts that hold more than a token carries. Read from the database once for all
// requests that wait for the same account, then remembered for a while by account and version of
// its rights: whoever changes roles raises that version in the same transaction. Every number is
// bounded; what cannot be read grants nothing (W8, W10).
import Postgres
import Primitives
import Synchronization

/// The roles of accounts, resolved in the node.
final class HeldRoles: Sendable {
    /// How long a reading counts, as long as the roles' own.
    static let lifetime: Duration = .seconds(60)
    /// The most accounts remembered: twice this, in two generations.
    static let generationLimit = 1000
    /// The most roles of one account that are read.
    static let roleLimit = 1000

    private struct Reading {
        let version: Int64
        let roles: [RoleID]
        let readAt: MonotonicInstant
    }
    private struct State {
        var young: [AccountID: Reading] = [:]
        var old: [AccountID: Reading] = [:]
    }
    private let database: any PostgresExecutor
    private let reads = SharedRead<AccountID>()
    private let state = Mutex(State())

    init(database: any PostgresExecutor) { self.database = database }

    /// The roles of `account`, by a reading that is not older than `version` of its rights.
    ///
    /// An account that is gone, or whose rights are older than the token says, holds none.
    func roles(of account: AccountID, version: Int64) async throws -> [RoleID] {
        // Who has waited twice for a reading of an older version has waited enough.
        for _ in 0..<3 {
            if let known = known(account, version) { return known }
            var roles: [RoleID] = []
            let isRead = try await reads.run(account) {
                roles = try await read(account, version)
            }
            if isRead { return roles }
        }
        throw SharedReadFault.unread
    }

    private func known(_ account: AccountID, _ version: Int64) -> [RoleID]? {
        let now = MonotonicInstant.now
        return state.withLock { state in
            guard let reading = state.young[account] ?? state.old[account],
                reading.version >= version, now - reading.readAt < Self.lifetime
            else { return nil }
            return reading.roles
        }
    }

    private func read(_ account: AccountID, _ version: Int64) async throws -> [RoleID] {
        let now = MonotonicInstant.now
        guard let row = try await database.first(Self.find(account, Int32(Self.roleLimit))) else {
            return []
        }
        let reading = Reading(version: row.version, roles: row.roles, readAt: now)
        state.withLock { state in
            if state.young.count >= Self.generationLimit {
                state.old = state.young
                state.young = [:]
            }
            state.young[account] = reading
        }
        return reading.version >= version ? reading.roles : []
    }

    static let find = Statement(
        "roles.find_held",
        """
        SELECT a.rights_version,
               ARRAY(SELECT ar.role_id
                       FROM account_roles ar
                      WHERE ar.account_id = a.id
                      ORDER BY ar.role_id
                      LIMIT $2)
          FROM accounts a
         WHERE a.id = $1
        """,
        binds: AccountID.self,
        Int32.self,
        decode: { row in
            (version: try row.get(0, as: Int64.self), roles: try row.get(1, as: [RoleID].self))
        }
    )
}

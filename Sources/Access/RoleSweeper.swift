// Takes away what is over: assignments whose end has passed, and those of roles that were removed,
// with the roles themselves. Nobody's rights change by it, because none of these rows counts any
// more. In small bites, so that millions of them hold nobody up.
package import Logging
package import Postgres
import Primitives
import ServiceLifecycle

/// Sweeps assignments that are over.
package struct RoleSweeper: Service {
    private let database: any PostgresExecutor
    private let logger: Logger

    /// A sweeper.
    package init(database: any PostgresExecutor, logger: Logger) {
        self.database = database
        self.logger = logger
    }

    /// Sweeps every minute until shutdown.
    package func run() async throws {
        await untilShutdown(every: .minutes(1)) {
            try await sweep()
        } onFailure: {
            logger.warning("what is over was not swept", metadata: ["error": "\($0)"])
        }
    }

    /// Sweeps all that is over now.
    package func sweep() async throws {
        while try await database.execute(Self.overdue()) == Bites.size { try Bites.pause() }
        var last = RoleID(high: 0, low: 0)
        while let role = try await database.first(Self.nextRemoved(last)) {
            try await Bites.take(Self.removed, of: role, from: database)
            last = role
        }
        _ = try await database.execute(Self.roles())
    }

    /// A bite of the assignments that ended a day ago, the first to end first: until then one is
    /// still there for whoever wonders.
    ///
    /// Along `account_roles_expiry_idx`, and with an order of no more than it has: of many that
    /// end at the same instant none is sorted. Of several nodes that sweep none waits for another.
    static let overdue = Statement(
        "roles.sweep_overdue",
        Bites.assignments(
            "ar.expires_at < statement_timestamp() - interval '1 day'",
            by: "ar.expires_at"
        ),
        kind: .write
    )

    /// The next role after `$1` that was removed.
    static let nextRemoved = Statement(
        "roles.next_removed",
        """
        SELECT r.id
          FROM roles r
         WHERE r.id > $1
           AND r.removed_at IS NOT NULL
         ORDER BY r.id
         LIMIT 1
        """,
        binds: RoleID.self,
        decode: { try $0.get(0, as: RoleID.self) }
    )

    /// A bite of the assignments of role `$1`, if it is removed still, to accounts from `$2` on.
    ///
    /// One role a statement, along `account_roles_role_idx`: of several roles at once, or of those
    /// that are over as well, PostgreSQL would read the whole table.
    static let removed = Statement(
        "roles.sweep_removed",
        """
        \(Bites.assignments(
            """
            ar.role_id = $1
                   AND ar.account_id >= $2
                   AND EXISTS (SELECT FROM roles r WHERE r.id = $1 AND r.removed_at IS NOT NULL)
            """
        ))
        RETURNING d.account_id
        """,
        kind: .solo,
        binds: RoleID.self,
        AccountID.self,
        decode: { try $0.get(0, as: AccountID.self) }
    )

    /// A role goes a day after its removal: tokens that carry it are over by then.
    static let roles = Statement(
        "roles.sweep",
        """
        DELETE FROM roles r
         WHERE r.removed_at < statement_timestamp() - interval '1 day'
           AND NOT EXISTS (SELECT FROM account_roles ar WHERE ar.role_id = r.id)
        """,
        kind: .write
    )

    /// All statements, for the test that prepares them.
    package static var statements: [StatementInfo] {
        [overdue.info, nextRemoved.info, removed.info, roles.info]
    }
}

/// All statements on rights, for the test that prepares them.
package enum AccessStatements {
    /// The statements.
    package static var all: [StatementInfo] {
        RoleKeeper.statements + RightsStore.statements + GrantStore.statements
            + AssignmentStore.statements + RoleStore.statements + PermissionStore.statements
            + RoleSweeper.statements + OrganisationSweeper.statements
            + OrganisationStore.statements + MembershipStore.statements + APIKeyStore.statements
            + KeyUses.statements + RoleNameStore.statements + ApprovalStore.statements
    }
}

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

    /// How many rows one bite takes.
    static let bite = 1000

    /// A sweeper.
    package init(database: any PostgresExecutor, logger: Logger) {
        self.database = database
        self.logger = logger
    }

    /// Sweeps every minute until shutdown.
    package func run() async throws {
        while !Task.isShuttingDownGracefully {
            do {
                try await cancelWhenGracefulShutdown { try await Task.sleep(for: .minutes(1)) }
                try await sweep()
            } catch is CancellationError where Task.isShuttingDownGracefully || Task.isCancelled {
                return
            } catch {
                logger.warning("what is over was not swept", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Sweeps all that is over now.
    package func sweep() async throws {
        while try await database.execute(Self.assignments()) == Self.bite {
            try Task.checkCancellation()
        }
        _ = try await database.execute(Self.roles())
    }

    /// Of several nodes that sweep, none waits for another.
    ///
    /// A day after its end an assignment is
    /// still there for whoever wonders.
    static let assignments = Statement(
        "roles.sweep_assignments",
        """
        DELETE FROM account_roles d
         USING (SELECT ar.account_id, ar.role_id, ar.scope
                  FROM account_roles ar
                 WHERE ar.expires_at < statement_timestamp() - interval '1 day'
                    OR ar.role_id IN (SELECT r.id FROM roles r WHERE r.removed_at IS NOT NULL)
                 LIMIT \(bite)
                   FOR UPDATE SKIP LOCKED) o
         WHERE d.account_id = o.account_id
           AND d.role_id = o.role_id
           AND d.scope = o.scope
        """,
        kind: .write
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
    package static var statements: [StatementInfo] { [assignments.info, roles.info] }
}

/// All statements on rights, for the test that prepares them.
package enum AccessStatements {
    /// The statements.
    package static var all: [StatementInfo] {
        RoleKeeper.statements + RightsStore.statements + GrantStore.statements
            + AssignmentStore.statements + RoleStore.statements + PermissionStore.statements
            + RoleSweeper.statements + OrganisationSweeper.statements
            + OrganisationStore.statements + MembershipStore.statements + APIKeyStore.statements
            + KeyUses.statements
    }
}

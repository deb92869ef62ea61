// Takes away what is left of organisations that were removed: memberships, the roles that were held
// there, and last the organisation itself. Nobody's rights change by it, because none of these rows
// counts since the removal was acknowledged. In small bites, each of its own and guarded by the
// removal itself: any node can begin, stop or die at any point, and several can sweep at once.
package import Logging
package import Postgres
package import Primitives
import ServiceLifecycle

/// Sweeps organisations that were removed.
package struct OrganisationSweeper: Service {
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
            logger.warning("a removed organisation was not swept", metadata: ["error": "\($0)"])
        }
    }

    /// Sweeps all that is removed now, as far as nobody else is at it.
    package func sweep() async throws {
        var last = OrganisationID(high: 0, low: 0)
        while let organisation = try await database.first(Self.next(last)) {
            try await Bites.take(Self.memberships, of: organisation, from: database)
            try await Bites.take(Self.roles, of: organisation, from: database)
            _ = try await database.execute(Self.organisation(organisation))
            last = organisation
        }
    }

    /// The next organisation after `$1` that was removed.
    static let next = Statement(
        "organisations.next_removed",
        """
        SELECT o.id
          FROM organisations o
         WHERE o.id > $1
           AND o.removed_at IS NOT NULL
         ORDER BY o.id
         LIMIT 1
        """,
        binds: OrganisationID.self,
        decode: { try $0.get(0, as: OrganisationID.self) }
    )

    /// Whether `$1` is removed still: a failover may have lost that since it was read.
    private static let isRemoved = """
        EXISTS (SELECT FROM organisations o WHERE o.id = $1 AND o.removed_at IS NOT NULL)
        """

    /// A bite of the memberships of `$1`, of accounts from `$2` on.
    ///
    /// Waits for nobody: not for another node that sweeps, nor for who deletes an account.
    package static let memberships = Statement(
        "organisations.sweep_memberships",
        """
        DELETE FROM organisation_members d
         USING (SELECT m.organisation_id, m.account_id
                  FROM organisation_members m
                 WHERE m.organisation_id = $1
                   AND m.account_id >= $2
                   AND \(isRemoved)
                 ORDER BY m.account_id
                 LIMIT \(Bites.size)
                   FOR UPDATE SKIP LOCKED) s
         WHERE d.organisation_id = s.organisation_id
           AND d.account_id = s.account_id
        RETURNING d.account_id
        """,
        kind: .solo,
        binds: OrganisationID.self,
        AccountID.self,
        decode: { try $0.get(0, as: AccountID.self) }
    )

    /// A bite of the roles that are held in `$1`, by accounts from `$2` on.
    package static let roles = Statement(
        "organisations.sweep_roles",
        """
        \(Bites.assignments(
            """
            ar.scope = 'org:' || $1
                   AND ar.scope <> ''
                   AND ar.account_id >= $2
                   AND \(isRemoved)
            """
        ))
        RETURNING d.account_id
        """,
        kind: .solo,
        binds: OrganisationID.self,
        AccountID.self,
        decode: { try $0.get(0, as: AccountID.self) }
    )

    /// `$1` itself, once nothing is left of it.
    package static let organisation = Statement(
        "organisations.sweep",
        """
        DELETE FROM organisations o
         WHERE o.id = $1
           AND o.removed_at IS NOT NULL
           AND NOT EXISTS (SELECT FROM organisation_members m WHERE m.organisation_id = o.id)
           AND NOT EXISTS (SELECT
                             FROM account_roles ar
                            WHERE ar.scope = 'org:' || o.id
                              AND ar.scope <> '')
        """,
        kind: .solo,
        binds: OrganisationID.self
    )

    /// All statements, for the test that prepares them.
    package static var statements: [StatementInfo] {
        [next.info, memberships.info, roles.info, organisation.info]
    }
}

// The SQL of organisations. A change of state and a removal raise the organisation's generation and
// append it to the revocation log in the same statement: one entry, whatever the number of members.
// One that was removed is a row that nothing here finds, until `OrganisationSweeper` takes it.
import Audit
import Messaging
import Postgres
import Primitives
import Revocation

/// Statements on organisations.
package enum OrganisationStore {
    /// Held by whoever changes an organisation as a whole, until the end of his transaction.
    static let lock = Statement(
        "organisations.lock",
        "SELECT pg_advisory_xact_lock(\(key)) IS NULL",
        binds: OrganisationID.self,
        decode: { try $0.get(0, as: Bool.self) }
    )

    /// Held by whoever adds a member, gives a role there, or changes anything as a delegate of it:
    /// what he holds there stays meanwhile; many at a time.
    static let share = Statement(
        "organisations.share",
        "SELECT pg_advisory_xact_lock_shared(\(key)) IS NULL",
        binds: OrganisationID.self,
        decode: { try $0.get(0, as: Bool.self) }
    )

    /// The condition under which a row of `account_roles` is not one of an organisation that was
    /// removed: those count nowhere, and are only not swept away yet.
    ///
    /// The first half keeps the planner from joining, and guessing that next to no row is left.
    package static func isOfNoneRemoved(_ row: String) -> String {
        """
        (\(row).scope NOT LIKE 'org:%'
                 OR NOT EXISTS (SELECT
                                  FROM organisations gone
                                 WHERE gone.removed_at IS NOT NULL
                                   AND \(row).scope = 'org:' || gone.id))
        """
    }

    private static let key = "hashtextextended('watchword.organisation.' || $1::uuid::text, 0)"

    /// The roles that anybody holds in a scope.
    ///
    /// From role to role along an index, so that it costs the same whatever the number of those who
    /// hold them.
    static let rolesHeld = Statement(
        "organisations.roles_held",
        """
        WITH RECURSIVE given AS (
            (SELECT ar.role_id
               FROM account_roles ar
              WHERE ar.scope = $1
                AND ar.scope <> ''
              ORDER BY ar.role_id
              LIMIT 1)
            UNION ALL
            SELECT (SELECT ar.role_id
                      FROM account_roles ar
                     WHERE ar.scope = $1
                       AND ar.scope <> ''
                       AND ar.role_id > g.role_id
                     ORDER BY ar.role_id
                     LIMIT 1)
              FROM given g
             WHERE g.role_id IS NOT NULL
        )
        SELECT g.role_id
          FROM given g
         WHERE EXISTS (SELECT
                         FROM account_roles ar
                        WHERE ar.scope = $1
                          AND ar.scope <> ''
                          AND ar.role_id = g.role_id
                          AND \(RightsStore.isLive("ar")))
        """,
        binds: String.self,
        decode: { try $0.get(0, as: RoleID.self) }
    )

    private static let columns = """
        o.id, o.name, o.display_name, o.state, o.version, o.created_at, o.updated_at
        """

    static let find = Statement(
        "organisations.find",
        "SELECT \(columns) FROM organisations o WHERE o.id = $1 AND o.removed_at IS NULL",
        binds: OrganisationID.self,
        decode: view
    )

    /// Organisations in the order of their ids; `$2` alone where that is given.
    static let findNamed = Statement(
        "organisations.find_named",
        "SELECT o.id FROM organisations o WHERE o.name = $1 AND o.removed_at IS NULL",
        binds: String.self,
        decode: { try $0.get(0, as: OrganisationID.self) }
    )

    static let list = Statement(
        "organisations.list",
        """
        SELECT \(columns)
          FROM organisations o
         WHERE o.id > $1
           AND o.id = COALESCE($2, o.id)
           AND o.removed_at IS NULL
         ORDER BY o.id
         LIMIT $3
        """,
        kind: .list,
        binds: OrganisationID.self,
        OrganisationID?.self,
        Int32.self,
        decode: view
    )

    /// Makes an organisation; nobody is in it, so there is nothing to tell nodes.
    static let insert = Statement(
        "organisations.insert",
        """
        WITH o AS (
            INSERT INTO organisations (id, name, display_name, created_at, updated_at)
            SELECT $1, $2, $3, $6, $6
             WHERE (SELECT count(*) FROM organisations x WHERE x.removed_at IS NULL)
                   < \(Organisations.limit)
            RETURNING id, name, display_name, state, version, created_at, updated_at
        ), \(AuditLog.append(
            as: "audited",
            .organisationCreated,
            account: "NULL",
            actor: "$4::uuid",
            detail: "jsonb_build_object('organisation_id', o.id, 'name', o.name)",
            from: "o",
            binds: 5
        )), \(Outbox.append(
            as: "announced",
            .organisationChanged,
            account: "NULL::uuid",
            payload: "jsonb_build_object('organisation_id', o.id)",
            from: "o",
            entry: 5,
            at: 6
        ))
        SELECT \(columns) FROM o
        """,
        kind: .solo,
        binds: OrganisationID.self,
        String.self,
        String.self,
        AccountID.self,
        AuditBinds.self,
        decode: view
    )

    /// Changes an organisation; NULL leaves a part as it is.
    ///
    /// A state that it has already is set once more: the second caller must not be told so before
    /// the first revocation is out (revocation.md H19).
    static let update = RevokingStatement(
        "organisations.update",
        """
        changed AS (
            UPDATE organisations o
               SET display_name = COALESCE($2, o.display_name),
                   state = COALESCE($3, o.state),
                   generation = CASE WHEN $3::text IS NULL THEN o.generation
                                     ELSE \(GrowingVersion.next("o.generation")) END,
                   version = o.version + 1,
                   updated_at = $6
             WHERE o.id = $1
               AND o.removed_at IS NULL
               AND ($9::bigint[] IS NULL OR o.version = ANY ($9))
            RETURNING o.id, o.name, o.state, o.generation
        ), touched AS (
            SELECT c.id, c.generation FROM changed c WHERE $3::text IS NOT NULL
        ), \(RevocationLog.append(
            as: "logged",
            .tenant,
            subject: "touched.id",
            version: "touched.generation",
            from: "touched"
        )), \(AuditLog.append(
            as: "audited",
            .organisationChanged,
            account: "NULL",
            actor: "$4::uuid",
            detail: """
                jsonb_build_object('organisation_id', changed.id, 'name', changed.name,
                    'state', changed.state)
                """,
            from: "changed",
            binds: 5
        )), \(Outbox.append(
            as: "announced",
            .organisationChanged,
            account: "NULL::uuid",
            payload: """
                jsonb_build_object('organisation_id', changed.id, 'state', changed.state)
                """,
            from: "changed",
            entry: 5,
            at: 6
        ))
        """,
        answer: "SELECT id FROM changed",
        binds: OrganisationID.self,
        String?.self,
        String?.self,
        AccountID?.self,
        AuditBinds.self,
        [Int64]?.self,
        decode: { try $0.get(0, as: OrganisationID.self) }
    )

    /// Removes an organisation: nobody acts in it from then on, and its name is free.
    ///
    /// One row, whatever the number of members: what is left of them counts nowhere, and
    /// `OrganisationSweeper` takes it away.
    static let remove = RevokingStatement(
        "organisations.remove",
        """
        removed AS (
            UPDATE organisations o
               SET state = 'disabled',
                   removed_at = $4,
                   generation = \(GrowingVersion.next("o.generation")),
                   version = o.version + 1,
                   updated_at = $4
             WHERE o.id = $1
               AND o.removed_at IS NULL
            RETURNING o.id, o.name, o.generation
        ), \(RevocationLog.append(
            as: "logged",
            .tenant,
            subject: "removed.id",
            version: "removed.generation",
            from: "removed"
        )), \(AuditLog.append(
            as: "audited",
            .organisationRemoved,
            account: "NULL",
            actor: "$2::uuid",
            detail: "jsonb_build_object('organisation_id', removed.id, 'name', removed.name)",
            from: "removed",
            binds: 3
        )), \(Outbox.append(
            as: "announced",
            .organisationRemoved,
            account: "NULL::uuid",
            payload: "jsonb_build_object('organisation_id', removed.id)",
            from: "removed",
            entry: 3,
            at: 4
        ))
        """,
        answer: "SELECT id FROM removed",
        binds: OrganisationID.self,
        AccountID?.self,
        AuditBinds.self,
        decode: { try $0.get(0, as: OrganisationID.self) }
    )

    @Sendable private static func view(_ row: PostgresRow) throws -> OrganisationView {
        guard let state = OrganisationState(rawValue: try row.get(3, as: String.self)) else {
            throw PostgresError(.protocolViolation, "an organisation of an unknown state")
        }
        return OrganisationView(
            id: try row.get(0, as: OrganisationID.self),
            name: try row.get(1, as: String.self),
            displayName: try row.get(2, as: String.self),
            state: state,
            version: try row.get(4, as: Int64.self),
            createdAt: try row.get(5, as: Timestamp.self),
            updatedAt: try row.get(6, as: Timestamp.self)
        )
    }

    static var statements: [StatementInfo] {
        [
            lock.info, share.info, rolesHeld.info, find.info, findNamed.info, list.info,
            insert.info, update.info, remove.info,
        ]
    }
}

// The SQL of memberships. What changes one makes the member's rights a new version, in the same
// statement that appends it to the revocation log: nodes remember who is a member of what.
import Audit
import Messaging
import Postgres
import Primitives
import Revocation

/// Statements on members of organisations.
enum MembershipStore {
    /// How many organisations an account is a member of.
    static let count = Statement(
        "memberships.count",
        """
        SELECT count(*)
          FROM organisation_members m
          JOIN organisations o ON o.id = m.organisation_id
         WHERE m.account_id = $1
           AND o.removed_at IS NULL
        """,
        binds: AccountID.self,
        decode: { try $0.get(0, as: Int64.self) }
    )

    private static let roles = """
        ARRAY(SELECT r.name
                       FROM account_roles ar
                       JOIN roles r ON r.id = ar.role_id
                      WHERE ar.account_id = m.account_id
                        AND ar.scope = 'org:' || m.organisation_id
                        AND r.removed_at IS NULL
                        AND \(RightsStore.isLive("ar"))
                      ORDER BY r.name)
        """

    static let find = Statement(
        "memberships.find",
        """
        SELECT m.account_id, a.username, m.joined_at, \(roles)
          FROM organisation_members m
          JOIN accounts a ON a.id = m.account_id
         WHERE m.organisation_id = $1
           AND m.account_id = $2
        """,
        binds: OrganisationID.self,
        AccountID.self,
        decode: member
    )

    static let list = Statement(
        "memberships.list",
        """
        SELECT m.account_id, a.username, m.joined_at, \(roles)
          FROM organisation_members m
          JOIN accounts a ON a.id = m.account_id
         WHERE m.organisation_id = $1
           AND m.account_id > $2
         ORDER BY m.account_id
         LIMIT $3
        """,
        kind: .list,
        binds: OrganisationID.self,
        AccountID.self,
        Int32.self,
        decode: member
    )

    static let listOwn = Statement(
        "memberships.list_own",
        """
        SELECT o.id, o.name, o.display_name, m.joined_at, \(roles)
          FROM organisation_members m
          JOIN organisations o ON o.id = m.organisation_id
         WHERE m.account_id = $1
           AND m.organisation_id > $2
           AND o.state = 'active'
         ORDER BY m.organisation_id
         LIMIT $3
        """,
        binds: AccountID.self,
        OrganisationID.self,
        Int32.self,
        decode: { row in
            OwnMembership(
                organisation: try row.get(0, as: OrganisationID.self),
                name: try row.get(1, as: String.self),
                displayName: try row.get(2, as: String.self),
                joinedAt: try row.get(3, as: Timestamp.self),
                roles: try row.get(4, as: [String].self)
            )
        }
    )

    /// Makes account `$2` a member of `$1`.
    ///
    /// No row where one of them is not there; a NULL for who is a member already.
    static let insert = RevokingStatement(
        "memberships.insert",
        """
        wanted AS MATERIALIZED (
            SELECT o.id AS organisation_id, a.id AS account_id
              FROM organisations o
             CROSS JOIN accounts a
             WHERE o.id = $1
               AND o.removed_at IS NULL
               AND a.id = $2
               AND a.state <> 'deleted'
               FOR SHARE OF o
        ), added AS (
            INSERT INTO organisation_members (organisation_id, account_id, joined_at)
            SELECT w.organisation_id, w.account_id, $5
              FROM wanted w
                ON CONFLICT DO NOTHING
            RETURNING organisation_id, account_id
        ), \(AssignmentStore.outdate(from: "added")), \(
            recorded(.memberAdded, .memberAdded, "added"))
        """,
        answer: """
            SELECT (SELECT t.rights_version FROM outdated t WHERE t.id = w.account_id)
              FROM wanted w
            """,
        binds: OrganisationID.self,
        AccountID.self,
        AccountID.self,
        AuditBinds.self,
        decode: { try $0.get(0, as: Int64?.self) }
    )

    /// Tells of the version that the rights of account `$1` have already; whoever knows it does
    /// nothing.
    static let retell = RevokingStatement(
        "memberships.retell",
        """
        member AS (
            SELECT a.id, a.rights_version FROM accounts a WHERE a.id = $1
        ), \(RevocationLog.append(
            as: "logged",
            .rights,
            subject: "member.id",
            version: "member.rights_version",
            from: "member"
        ))
        """,
        answer: "SELECT rights_version FROM member",
        binds: AccountID.self,
        decode: { try $0.get(0, as: Int64.self) }
    )

    /// Removes member `$2` of `$1` and what he holds there; no row where he is none.
    static let delete = RevokingStatement(
        "memberships.delete",
        """
        dropped AS (
            DELETE FROM organisation_members m
             USING organisations o
             WHERE m.organisation_id = $1
               AND m.account_id = $2
               AND o.id = m.organisation_id
               AND o.removed_at IS NULL
            RETURNING m.organisation_id, m.account_id
        ), stripped AS (
            DELETE FROM account_roles ar
             USING dropped d
             WHERE ar.account_id = d.account_id
               AND ar.scope = 'org:' || d.organisation_id
        ), \(AssignmentStore.outdate(from: "dropped")), \(
            recorded(.memberRemoved, .memberRemoved, "dropped"))
        """,
        answer: "SELECT account_id FROM dropped",
        binds: OrganisationID.self,
        AccountID.self,
        AccountID.self,
        AuditBinds.self,
        decode: { try $0.get(0, as: AccountID.self) }
    )

    /// The entries in audit log and outbox, with `$3` as the actor and `$4` to `$7` of the audit.
    private static func recorded(
        _ action: AuditAction,
        _ topic: OutboxTopic,
        _ source: String
    ) -> String {
        let detail = "jsonb_build_object('organisation_id', \(source).organisation_id)"
        let audited = AuditLog.append(
            as: "audited",
            action,
            account: "\(source).account_id",
            actor: "$3::uuid",
            detail: detail,
            from: source,
            binds: 4
        )
        let announced = Outbox.append(
            as: "announced",
            topic,
            account: "\(source).account_id",
            payload: detail,
            from: source,
            entry: 4,
            at: 5
        )
        return "\(audited), \(announced)"
    }

    @Sendable private static func member(_ row: PostgresRow) throws -> OrganisationMember {
        OrganisationMember(
            account: try row.get(0, as: AccountID.self),
            username: try row.get(1, as: String?.self),
            joinedAt: try row.get(2, as: Timestamp.self),
            roles: try row.get(3, as: [String].self)
        )
    }

    static var statements: [StatementInfo] {
        [count.info, find.info, list.info, listOwn.info, insert.info, retell.info, delete.info]
    }
}

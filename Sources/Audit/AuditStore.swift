// The SQL that lists the audit log. One statement for each index, because a condition that may be
// absent would keep the planner from the index it needs; every one reads downwards by id, so that
// a page costs what it shows. Must not change anything: entries are only ever appended.
package import Postgres
import Primitives

/// Statements that list the audit log.
package enum AuditStore {
    /// Members that are looked up one by one; the log of a larger organisation is filtered instead.
    static let memberLimit: Int64 = 1000

    /// By which index a page is found.
    enum Way: CaseIterable {
        case everything, account, actor, action
    }

    /// The statement for `way`; the values are the same for all.
    static func list(_ way: Way) -> AuditList {
        switch way {
        case .everything: listAll
        case .account: listByAccount
        case .actor: listByActor
        case .action: listByAction
        }
    }

    typealias AuditList = Statement<
        AuditEntry, EntryID, EntryID, Timestamp, Timestamp?, AccountID?, AccountID?, String?,
        OrganisationID?, Int32
    >

    private static let listAll = make("audit.list", .everything)
    private static let listByAccount = make("audit.list_by_account", .account)
    private static let listByActor = make("audit.list_by_actor", .actor)
    private static let listByAction = make("audit.list_by_action", .action)

    /// The entries about the members of an organisation: the newest of each, of which the newest.
    static let listByMembers = statement(
        "audit.list_by_members",
        """
        SELECT e.*
          FROM organisation_members m
         CROSS JOIN LATERAL (
              SELECT \(columns)
                FROM audit_events e
               WHERE e.account_id = m.account_id
                 AND \(within)
                 AND ($5::uuid IS NULL OR e.account_id = $5)
                 AND ($6::uuid IS NULL OR e.actor_id = $6)
                 AND ($7::text IS NULL OR e.action = $7)
                 AND \(isOfRealm)
               ORDER BY e.id DESC
               LIMIT $9
         ) e
         WHERE m.organisation_id = $8
         ORDER BY e.id DESC
         LIMIT $9
        """
    )

    /// Whether an entry tells nothing of another organisation than `$8`, nor of a resource.
    ///
    /// What members are given there, in which others they are, and when and from where they work
    /// for those, is not its business (row 175). Nobody knows any more what a session was for that
    /// is not kept.
    private static let isOfRealm = """
        COALESCE(e.detail ->> 'organisation_id', $8::text) = $8::text
                 AND COALESCE(e.detail ->> 'scope', '') IN ('', 'org:' || $8::text)
                 AND (e.session_id IS NULL OR EXISTS (
                     SELECT
                       FROM sessions s
                      WHERE s.id = e.session_id
                        AND (s.organisation_id IS NULL OR s.organisation_id = $8)))
        """

    /// How many members an organisation has, counted no further than is asked.
    static let countMembers = Statement(
        "audit.count_members",
        """
        SELECT count(*)
          FROM (
              SELECT FROM organisation_members WHERE organisation_id = $1 LIMIT $2
          ) m
        """,
        kind: .list,
        binds: OrganisationID.self,
        Int64.self,
        decode: { try $0.get(0, as: Int64.self) }
    )

    private static let columns = """
        e.id, e.at, e.action, e.actor_id, e.account_id, e.session_id, e.ip_address,
               e.request_id, e.detail::text
        """

    /// The ids prune partitions and bound the index; the instants cut to the microsecond.
    private static let within = """
        e.id >= $1
           AND e.id < $2
           AND e.at >= $3
           AND ($4::timestamptz IS NULL OR e.at < $4)
        """

    private static func make(_ name: String, _ way: Way) -> AuditList {
        func condition(_ number: Int, _ type: String, _ column: String, _ own: Way) -> String {
            way == own
                ? "e.\(column) = $\(number)"
                : "($\(number)::\(type) IS NULL OR e.\(column) = $\(number))"
        }
        return statement(
            name,
            """
            SELECT \(columns)
              FROM audit_events e
             WHERE \(within)
               AND \(condition(5, "uuid", "account_id", .account))
               AND \(condition(6, "uuid", "actor_id", .actor))
               AND \(condition(7, "text", "action", .action))
               AND ($8::uuid IS NULL OR \(isOfRealm) AND EXISTS (
                       SELECT
                         FROM organisation_members m
                        WHERE m.organisation_id = $8
                          AND m.account_id = e.account_id))
             ORDER BY e.id DESC
             LIMIT $9
            """
        )
    }

    private static func statement(_ name: String, _ sql: String) -> AuditList {
        Statement(
            name,
            sql,
            kind: .list,
            binds: EntryID.self,
            EntryID.self,
            Timestamp.self,
            Timestamp?.self,
            AccountID?.self,
            AccountID?.self,
            String?.self,
            OrganisationID?.self,
            Int32.self,
            decode: AuditEntry.init
        )
    }

    /// All statements, for the test that prepares them.
    package static var statements: [StatementInfo] {
        Way.allCases.map { list($0).info } + [listByMembers.info, countMembers.info]
    }
}

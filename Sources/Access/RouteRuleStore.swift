// The SQL of route rules. Whoever changes them locks the one row of `route_rule_set` first, so that
// changes come one after the other and each sees what the one before has left; what makes a change
// known appends to the revocation log after that (1.8, W3), with its audit entry (W9).
import Audit
import Messaging
package import Postgres
import Primitives
import Revocation

/// Statements on route rules.
package enum RouteRuleStore {
    /// All rules by position, each with the version of them all; one row without a rule where
    /// there is none.
    static let list = Statement(
        "routes.list",
        "\(select) ORDER BY r.position",
        kind: .urgent,
        decode: row
    )

    /// The same, for whoever is about to change them: others who are wait.
    static let lock = Statement(
        "routes.lock",
        "SELECT s.version FROM route_rule_set s FOR UPDATE",
        kind: .solo,
        decode: { try $0.get(0, as: Int64.self) }
    )

    private static let select = """
        SELECT s.version, r.id, r.position, r.methods, r.host, r.path, r.access, r.permissions,
               r.roles, r.scopes, r.resource, r.description, r.created_at, r.updated_at
          FROM route_rule_set s
          LEFT JOIN route_rules r ON true
        """

    /// A rule, and the version of all.
    private static let row: @Sendable (PostgresRow) throws -> (version: Int64, rule: RouteRule?) = {
        row in
        let version = try row.get(0, as: Int64.self)
        guard let id = try row.get(1, as: RouteRuleID?.self) else { return (version, nil) }
        guard let access = RouteAccess(rawValue: try row.get(6, as: String.self)) else {
            throw RouteFault(rule: id)
        }
        let rule = RouteRule(
            id: id,
            position: Int(try row.get(2, as: Int32.self)),
            definition: RouteDefinition(
                methods: try row.get(3, as: [String].self),
                host: try row.get(4, as: String?.self),
                path: try row.get(5, as: String.self),
                access: access,
                permissions: try row.get(7, as: [String].self),
                roles: try row.get(8, as: [String].self),
                scopes: try row.get(9, as: [String].self),
                resource: try row.get(10, as: String?.self),
                description: try row.get(11, as: String.self)
            ),
            createdAt: try row.get(12, as: Timestamp.self),
            updatedAt: try row.get(13, as: Timestamp.self)
        )
        return (version, rule)
    }

    /// Takes rules away.
    static let delete = Statement(
        "routes.delete",
        """
        DELETE FROM route_rules
         WHERE id = ANY($1)
        """,
        kind: .solo,
        binds: [RouteRuleID].self
    )

    /// Writes rules, new ones and others, whatever their number.
    ///
    /// Lists of names are sent as one text each: no name has a space.
    static let write = Statement(
        "routes.write",
        """
        INSERT INTO route_rules (
            id, position, methods, host, path, access, permissions, roles, scopes, resource,
            description, created_at, updated_at
        )
        SELECT u.id, u.position, string_to_array(u.methods, ' '), NULLIF(u.host, ''), u.path,
               u.access, string_to_array(u.permissions, ' '), string_to_array(u.roles, ' '),
               string_to_array(u.scopes, ' '), NULLIF(u.resource, ''), u.description, $12, $12
          FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[],
                      $7::text[], $8::text[], $9::text[], $10::text[], $11::text[])
               AS u (id, position, methods, host, path, access, permissions, roles, scopes,
                     resource, description)
            ON CONFLICT ON CONSTRAINT route_rules_pkey DO UPDATE
           SET position = EXCLUDED.position,
               methods = EXCLUDED.methods,
               host = EXCLUDED.host,
               path = EXCLUDED.path,
               access = EXCLUDED.access,
               permissions = EXCLUDED.permissions,
               roles = EXCLUDED.roles,
               scopes = EXCLUDED.scopes,
               resource = EXCLUDED.resource,
               description = EXCLUDED.description,
               updated_at = EXCLUDED.updated_at
        """,
        kind: .solo,
        binds: [RouteRuleID].self,
        [Int64].self,
        [String].self,
        [String].self,
        [String].self,
        [String].self,
        [String].self,
        [String].self,
        [String].self,
        [String].self,
        [String].self,
        Timestamp.self
    )

    /// Puts rules into an order; the positions of all are told.
    static let order = Statement(
        "routes.order",
        """
        UPDATE route_rules r
           SET position = o.position
          FROM unnest($1::uuid[]) WITH ORDINALITY AS o (id, position)
         WHERE r.id = o.id
           AND r.position <> o.position
        """,
        kind: .solo,
        binds: [RouteRuleID].self
    )

    private static let told = RevocationLog.append(
        as: "logged",
        .routeRules,
        subject: "'00000000-0000-0000-0000-000000000000'::uuid",
        version: "changed.version",
        from: "changed"
    )

    /// Tells of the version that the rules have already; whoever knows it does nothing.
    static let retell = RevokingStatement(
        "routes.retell",
        """
        changed AS (
            SELECT s.version FROM route_rule_set s
        ), \(told)
        """,
        answer: "SELECT version FROM changed",
        decode: { try $0.get(0, as: Int64.self) }
    )

    /// Makes a change known: the last statement of its transaction.
    ///
    /// The audit entry has the rules as they are after it, and the ids of those that are gone.
    static let announce = RevokingStatement(
        "routes.announce",
        """
        changed AS (
            UPDATE route_rule_set s
               SET version = \(GrowingVersion.next("s.version"))
            RETURNING s.version
        ), \(told), \(AuditLog.append(
            as: "audited",
            .routeRulesChanged,
            account: "$1::uuid",
            detail: """
                jsonb_build_object(
                    'change', $2::text, 'removed', $4::uuid[], 'rules',
                    (SELECT COALESCE(jsonb_agg(to_jsonb(r) ORDER BY r.position), '[]')
                       FROM route_rules r WHERE r.id = ANY($3)))
                """,
            from: "changed",
            binds: 5
        )), \(Outbox.append(
            as: "announced",
            .routeRulesChanged,
            account: "$1::uuid",
            payload: "jsonb_build_object('version', changed.version)",
            from: "changed",
            entry: 5,
            at: 6
        ))
        """,
        answer: "SELECT version FROM changed",
        binds: AccountID.self,
        String.self,
        [RouteRuleID].self,
        [RouteRuleID].self,
        AuditBinds.self,
        decode: { try $0.get(0, as: Int64.self) }
    )

    /// All statements, for the test that prepares them.
    package static var statements: [StatementInfo] {
        [
            list.info, lock.info, delete.info, write.info, order.info, retell.info, announce.info,
        ]
    }
}

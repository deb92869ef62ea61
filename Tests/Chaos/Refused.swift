// What there is to know of somebody who is refused what he was given: how each node answers now, on
// both paths, and what the database says. Where it says that he holds it, a node's memory is wrong;
// where it does not, somebody took it late, or it was lost. Such a thing is seen once in an hour of
// campaigns, so all of it is told at once.
import Primitives

/// A refusal that should not have been.
struct Refused {
    private let clerk: Clerk
    private let permission: String
    private let desk: Desk?
    private let world: World

    init(_ clerk: Clerk, _ permission: String, _ desk: Desk?, _ world: World) {
        self.clerk = clerk
        self.permission = permission
        self.desk = desk
        self.world = world
    }

    /// All of it, in one line.
    var facts: String {
        "nodes by the fast and the general path: \(answers); token: \(claims); database: \(rows)"
    }

    private var answers: String {
        world.ports.map { port in
            // With a body the general path answers.
            ([nil, "{}"] as [String?]).map { body in
                let reply = Web.send(
                    port,
                    "GET",
                    "/verify?permission=\(permission)",
                    bearer: clerk.bearer,
                    organisation: desk?.organisation,
                    json: body,
                    limit: 3
                )
                return reply.map { "\($0.status)" } ?? "none"
            }.joined(separator: "/")
        }.joined(separator: " ")
    }

    /// What the token says of its roles, and as of which version.
    private var claims: String {
        let parts = clerk.bearer.split(separator: ".")
        let bytes = parts.count == 3 ? Base64URL.decode(Array(parts[1].utf8)) ?? [] : []
        return String(decoding: bytes, as: UTF8.self)
    }

    private var rows: String {
        guard let desk else { return "no desk" }
        let subjects = [clerk.account, desk.held, desk.source, desk.organisation ?? desk.held]
            .map { "uuid_send('\($0)')" }.joined(separator: ", ")
        let account = "'\(clerk.account)'"
        let parts = [
            """
            SELECT clock_timestamp() AS now, pg_postmaster_start_time() AS born,
                   pg_walfile_name(pg_current_wal_lsn()) AS file,
                   current_setting('synchronous_standby_names') AS standbys
            """,
            """
            SELECT a.state, a.rights_version, g.generation
              FROM accounts a JOIN account_signatures g ON g.account_id = a.id
             WHERE a.id = \(account)
            """,
            """
            SELECT ar.role_id, ar.scope, ar.granted_at, ar.expires_at
              FROM account_roles ar WHERE ar.account_id = \(account)
            """,
            """
            SELECT o.id, o.state, o.generation, o.removed_at
              FROM organisation_members m JOIN organisations o ON o.id = m.organisation_id
             WHERE m.account_id = \(account)
            """,
            """
            SELECT r.id, r.version, r.removed_at,
                   ARRAY(SELECT p.permission FROM role_permissions p WHERE p.role_id = r.id) AS own,
                   ARRAY(SELECT i.included_id FROM role_includes i WHERE i.role_id = r.id) AS more
              FROM roles r WHERE r.id IN ('\(desk.held)', '\(desk.source)')
            """,
            """
            SELECT l.kind, encode(l.subject, 'hex') AS subject, l.ver, l.xid::text, l.created_at
              FROM revocation_log l
             WHERE l.subject IN (\(subjects))
               AND l.created_at > clock_timestamp() - interval '2 minutes'
             ORDER BY l.created_at
            """,
            """
            SELECT e.action, e.at, e.detail
              FROM audit_events e
             WHERE e.account_id = \(account)
               AND e.at > clock_timestamp() - interval '2 minutes'
             ORDER BY e.at
            """,
        ]
        let all = parts.map { "SELECT jsonb_agg(to_jsonb(x)) FROM (\($0)) x" }
        return world.database.answer(all.joined(separator: " UNION ALL "))
    }
}

// The SQL of requests that need a second person. Each change names in its condition all that must
// hold for it, and the lock on the row makes one of two at once come after the other: used and
// refused, given twice, used on two nodes.
import Audit
import Postgres
import Primitives

/// Statements on `approvals`; every time is the server's (H13).
enum ApprovalStore {
    private static let now = "statement_timestamp()"
    private static let lifetime = "interval '\(Approvals.lifetime.wholeSeconds) seconds'"
    /// Whether it was approved by somebody who can do something still: what was not waits again.
    private static let isGiven = """
        (a.decision = 'given' AND EXISTS (SELECT
                                            FROM accounts g
                                           WHERE g.id = a.decided_by
                                             AND g.state = 'active'))
        """
    private static let isWaiting = "(a.decision IS DISTINCT FROM 'refused' AND NOT \(isGiven))"
    private static let isOver = "(a.used_at IS NOT NULL OR a.expires_at <= \(now))"

    private static let state = """
        CASE WHEN a.used_at IS NOT NULL THEN 'used'
                    WHEN a.expires_at <= \(now) THEN 'expired'
                    WHEN \(isWaiting) THEN 'waiting'
                    ELSE a.decision
               END
        """

    private static func columns(body: String = "a.body") -> String {
        """
        a.id, \(state), a.account_id, a.organisation_id, a.operation, a.method, a.target,
               a.if_match, \(body), a.created_at, a.expires_at, a.decided_by, a.decided_at
        """
    }

    private static let all = """
        id, account_id, organisation_id, operation, method, target, if_match, body, created_at,
                      expires_at, decision, decided_by, decided_at, used_at
        """

    private static let detail = """
        jsonb_build_object('approval_id', a.id, 'operation', a.operation,
                    'call', a.method || ' ' || left(a.target, 500),
                    'organisation_id', a.organisation_id)
        """

    private static func recorded(
        _ action: AuditAction,
        actor: String = "a.account_id",
        binds first: Int
    ) -> String {
        AuditLog.append(
            as: "audited",
            action,
            account: "a.account_id",
            actor: actor,
            detail: detail,
            from: "a",
            binds: first
        )
    }

    /// Uses the approval of a request, unless who gave it can do nothing any more.
    static let use = Statement(
        "approvals.use",
        """
        WITH a AS (
            UPDATE approvals a
               SET used_at = \(now)
             WHERE a.account_id = $1
               AND a.request_digest = $2
               AND \(isGiven)
               AND NOT \(isOver)
            RETURNING \(all)
        ), \(recorded(.approvalUsed, binds: 3))
        SELECT a.id FROM a
        """,
        kind: .solo,
        binds: AccountID.self,
        [UInt8].self,
        AuditBinds.self,
        decode: { try $0.get(0, as: ApprovalID.self) }
    )

    /// Has a request wait, where it does not already and there is room.
    static let ask = Statement(
        "approvals.ask",
        """
        WITH a AS (
            INSERT INTO approvals AS a (
                id, account_id, request_digest, organisation_id, operation, method, target,
                if_match, body, created_at, expires_at
            )
            SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, \(now), \(now) + \(lifetime)
             WHERE (SELECT count(*)
                      FROM approvals a
                     WHERE a.account_id = $2
                       AND \(isWaiting)
                       AND NOT \(isOver)) < \(Approvals.limit)
            ON CONFLICT (account_id, request_digest) DO UPDATE
               SET id = excluded.id,
                   organisation_id = excluded.organisation_id,
                   created_at = excluded.created_at,
                   expires_at = excluded.expires_at,
                   decision = NULL,
                   decided_by = NULL,
                   decided_at = NULL,
                   used_at = NULL
             WHERE \(isOver)
            RETURNING \(all)
        ), \(recorded(.approvalRequested, binds: 10))
        SELECT \(columns()) FROM a
        """,
        kind: .solo,
        binds: ApprovalID.self,
        AccountID.self,
        [UInt8].self,
        OrganisationID?.self,
        String.self,
        String.self,
        String.self,
        String.self,
        String.self,
        AuditBinds.self,
        decode: view
    )

    static let findRequest = Statement(
        "approvals.find_request",
        """
        SELECT \(columns())
          FROM approvals a
         WHERE a.account_id = $1
           AND a.request_digest = $2
           AND NOT \(isOver)
        """,
        binds: AccountID.self,
        [UInt8].self,
        decode: view
    )

    static let find = Statement(
        "approvals.find",
        """
        SELECT \(columns())
          FROM approvals a
         WHERE a.id = $1
           AND \(isWithin("$2"))
        """,
        binds: ApprovalID.self,
        OrganisationID?.self,
        decode: view
    )

    static let list = Statement(
        "approvals.list",
        """
        SELECT \(columns(body: "NULL"))
          FROM approvals a
         WHERE a.id < $1
           AND \(isWithin("$2"))
           AND ($3::text IS NULL OR $3 = \(state))
         ORDER BY a.id DESC
         LIMIT $4
        """,
        kind: .list,
        binds: ApprovalID.self,
        OrganisationID?.self,
        String?.self,
        Int32.self,
        decode: view
    )

    /// Approves a request that waits, of anybody but `$2`.
    static let give = Statement(
        "approvals.give",
        decision("given", when: "\(isWaiting) AND a.account_id <> $2", .approvalGiven),
        kind: .solo,
        binds: ApprovalID.self,
        AccountID.self,
        OrganisationID?.self,
        AuditBinds.self,
        decode: view
    )

    /// Refuses a request that is not used.
    static let refuse = Statement(
        "approvals.refuse",
        decision("refused", when: "a.decision IS DISTINCT FROM 'refused'", .approvalRefused),
        kind: .solo,
        binds: ApprovalID.self,
        AccountID.self,
        OrganisationID?.self,
        AuditBinds.self,
        decode: view
    )

    private static func decision(
        _ decision: String,
        when condition: String,
        _ action: AuditAction
    ) -> String {
        """
        WITH a AS (
            UPDATE approvals a
               SET decision = '\(decision)', decided_by = $2, decided_at = \(now)
             WHERE a.id = $1
               AND \(isWithin("$3"))
               AND NOT \(isOver)
               AND \(condition)
            RETURNING \(all)
        ), \(recorded(action, actor: "$2::uuid", binds: 4))
        SELECT \(columns()) FROM a
        """
    }

    private static func isWithin(_ organisation: String) -> String {
        "(\(organisation)::uuid IS NULL OR a.organisation_id = \(organisation))"
    }

    /// Forgets what has been over for a day, so much at a time.
    static let sweep = Statement(
        "approvals.sweep",
        """
        DELETE FROM approvals
         WHERE id IN (
            SELECT a.id
              FROM approvals a
             WHERE a.expires_at < \(now) - interval '1 day'
             ORDER BY a.expires_at, a.id
             LIMIT 1000
               FOR UPDATE SKIP LOCKED
         )
        """,
        kind: .solo
    )

    @Sendable private static func view(_ row: PostgresRow) throws -> ApprovalView {
        guard let state = ApprovalState(rawValue: try row.get(1, as: String.self)) else {
            throw PostgresError(.protocolViolation, "an approval of an unknown state")
        }
        return ApprovalView(
            id: try row.get(0, as: ApprovalID.self),
            state: state,
            account: try row.get(2, as: AccountID.self),
            organisation: try row.get(3, as: OrganisationID?.self),
            operation: try row.get(4, as: String.self),
            method: try row.get(5, as: String.self),
            target: try row.get(6, as: String.self),
            ifMatch: try row.get(7, as: String.self),
            body: try row.get(8, as: String?.self),
            createdAt: try row.get(9, as: Timestamp.self),
            expiresAt: try row.get(10, as: Timestamp.self),
            decidedBy: try row.get(11, as: AccountID?.self),
            decidedAt: try row.get(12, as: Timestamp?.self)
        )
    }

    static var statements: [StatementInfo] {
        [
            use.info, ask.info, findRequest.info, find.info, list.info, give.info, refuse.info,
            sweep.info,
        ]
    }
}

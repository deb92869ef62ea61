// The SQL of refreshing. The good case is one UPDATE whose WHERE is the whole decision; it touches
// no indexed column, so it is a heap-only update. Everything else is judged in a second statement.
import Audit
import Messaging
package import Postgres
import Primitives
import Revocation

/// Statements of refresh.
package enum RefreshStore {
    /// Replaces generation `$2` by the next one, if that is the current one and the session lives.
    ///
    /// No row: something else is the case, and `judge` finds out what. A session in which somebody
    /// acts for its owner is never refreshed (row 177): he is judged by what its one token says.
    static let rotate = Statement(
        "sessions.rotate",
        """
        WITH signature AS MATERIALIZED (
            SELECT g.account_id, g.generation
              FROM account_signatures g
             WHERE g.account_id = (SELECT t.account_id FROM sessions t WHERE t.id = $1)
               FOR SHARE
        )
        UPDATE sessions s
           SET refresh_generation = s.refresh_generation + 1,
               previous_exchanged_at = clock_timestamp(),
               previous_ip_address = $5,
               last_used_at = $4,
               idle_expires_at = least($4 + make_interval(secs => $6), s.expires_at)
          FROM signature g, accounts a
         WHERE s.id = $1
           AND s.refresh_generation = $2
           AND s.nonce_digest = $3
           AND s.signature_generation = g.generation
           AND s.account_id = g.account_id
           AND s.revoked_at IS NULL
           AND s.actor_id IS NULL
           AND s.idle_expires_at > $4
           AND s.expires_at > $4
           AND a.id = s.account_id
           AND a.state = 'active'
        RETURNING \(MintRow.columns(session: "s", account: "a", lifetime: 7))
        """,
        kind: .solo,
        binds: SessionID.self,
        Int64.self,
        [UInt8].self,
        Timestamp.self,
        String.self,
        Double.self,
        Int32.self,
        decode: MintRow.init
    )

    /// What to make of a token that `rotate` did not take.
    ///
    /// Under the same locks, in one statement: a token of the just-replaced generation inside the
    /// grace window gets the same child, and the hit is audited with both addresses; any other
    /// older generation ends the session, with its revocation. Both are committed before the answer
    /// (revocation.md 1.9).
    static let judge = RevokingStatement(
        "sessions.judge_refresh",
        """
        signature AS MATERIALIZED (
            SELECT g.account_id, g.generation
              FROM account_signatures g
             WHERE g.account_id = (SELECT t.account_id FROM sessions t WHERE t.id = $1)
               FOR SHARE
        ), s AS MATERIALIZED (
            SELECT s.id, s.account_id, s.signature_generation, s.refresh_generation,
                   s.authenticated_at, s.idle_expires_at, s.expires_at, s.organisation_id,
                   s.actor_id, s.second_factor, s.revoked_at, s.previous_exchanged_at,
                   s.previous_ip_address
              FROM sessions s
              JOIN signature g ON g.account_id = s.account_id
             WHERE s.id = $1
               AND s.nonce_digest = $3
               FOR NO KEY UPDATE OF s
        ), verdict AS MATERIALIZED (
            SELECT s.id, s.account_id,
                   CASE
                       WHEN s.revoked_at IS NOT NULL
                         OR s.actor_id IS NOT NULL
                         OR s.signature_generation <> g.generation
                         OR a.state <> 'active' THEN 'revoked'
                       WHEN s.idle_expires_at <= $7 OR s.expires_at <= $7 THEN 'expired'
                       WHEN s.refresh_generation = $2 THEN 'retry'
                       WHEN s.refresh_generation = $2 + 1
                        AND $4 > 0
                        AND s.previous_exchanged_at + make_interval(secs => $4)
                            > clock_timestamp() THEN 'grace'
                       ELSE 'reused'
                   END AS outcome
              FROM s
              JOIN signature g ON g.account_id = s.account_id
              JOIN accounts a ON a.id = s.account_id
        ), ended AS (
            UPDATE sessions t
               SET revoked_at = $7, end_reason = 'refresh-token-reused'
              FROM verdict v
             WHERE t.id = v.id
               AND v.outcome = 'reused'
            RETURNING t.id, t.account_id
        ), \(RevocationLog.appendEnd(as: "logged", from: "ended", limit: 10)),
        in_grace AS (SELECT v.id, v.account_id FROM verdict v WHERE v.outcome = 'grace'),
        \(AuditLog.append(
            as: "audited_grace",
            .refreshedInGrace,
            account: "in_grace.account_id",
            session: "in_grace.id",
            detail: """
                jsonb_build_object('first_ip_address',
                    (SELECT s.previous_ip_address FROM s), 'second_ip_address', $8::text)
                """,
            from: "in_grace",
            binds: 6
        )), \(AuditLog.append(
            as: "audited_reuse",
            .refreshReused,
            account: "ended.account_id",
            session: "ended.id",
            detail: "jsonb_build_object('presented_generation', $2)",
            from: "ended",
            binds: 6
        )), \(Outbox.append(
            as: "announced",
            .refreshReused,
            account: "ended.account_id",
            payload: "jsonb_build_object('session_id', ended.id, 'ip_address', $8::text)",
            from: "ended",
            entry: 6,
            at: 7
        )), counted AS (SELECT count(*) AS n FROM ended)
        """,
        answer: """
            SELECT \(MintRow.columns(session: "s", account: "a", lifetime: 5)),
                   v.outcome, c.n
              FROM s
              JOIN verdict v ON v.id = s.id
              JOIN accounts a ON a.id = s.account_id
             CROSS JOIN counted c
            """,
        binds: SessionID.self,
        Int64.self,
        [UInt8].self,
        Double.self,
        Int32.self,
        AuditBinds.self,
        Int32.self,
        decode: { row in
            (
                mint: try MintRow(row),
                outcome: try row.get(MintRow.columnCount, as: String.self)
            )
        }
    )

    /// All statements, for the test that prepares them.
    package static var statements: [StatementInfo] { [rotate.info, judge.info] }
}

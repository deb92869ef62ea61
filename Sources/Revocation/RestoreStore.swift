// The SQL by which nodes write back what a new primary lacks (revocation.md H7): the entries of the
// log, and with them what they stood for, so that nobody signs in or refreshes, no key opens
// anything and nobody acts in an organisation again as soon as the entry has expired. Where it is
// lost what an entry stood for, the answer is no (W10).
import Postgres
package import Primitives

extension RevocationLog {
    /// Writes back entries that a new primary lacks, and what they stood for: a session that was
    /// ended, a generation that was left behind, an account that was disabled, a key that was
    /// retired or taken back, an organisation that was changed (H7).
    ///
    /// Without the latter a refresh would mint anew as soon as the entry has expired.
    package static let restore = RevokingStatement(
        "revocation.restore",
        """
        e AS MATERIALIZED (
            SELECT u.kind, u.subject, u.ver, to_timestamp(u.expires_us / 1000000.0) AS expires_at
              FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::bigint[])
                   AS u (kind, subject, ver, expires_us)
        ), \(restoredSignatures), \(append(
            as: "logged_signatures",
            .signature,
            subject: "outdated.account_id",
            version: "outdated.generation",
            from: "outdated"
        )), ended AS (
            UPDATE sessions s
               SET revoked_at = clock_timestamp(), end_reason = 'restored'
              FROM e
             WHERE e.kind = \("\(RevocationKind.session.rawValue)")
               AND s.id = e.subject
               AND s.revoked_at IS NULL
        ), retired AS (
            UPDATE keys k
               SET retired_at = clock_timestamp()
              FROM e
             WHERE e.kind = \("\(RevocationKind.signingKey.rawValue)")
               AND k.id = e.subject
               AND k.retired_at IS NULL
        ), taken_back AS (
            UPDATE api_keys k
               SET revoked_at = clock_timestamp()
              FROM e
             WHERE e.kind = \("\(RevocationKind.token.rawValue)")
               AND k.id = e.subject
               AND k.revoked_at IS NULL
        ), \(closed), \(disabled), \(append(
            as: "logged_organisations",
            .tenant,
            subject: "disabled.id",
            version: "disabled.generation",
            from: "disabled"
        )), \(restored)
        """,
        answer: "SELECT count(*) FROM e",
        binds: [Int64].self,
        [ID<Named.Entry>].self,
        [Int64].self,
        [Int64].self,
        decode: { _ in }
    )

    /// What written-back entries of accounts' states stood for.
    ///
    /// Whether one was disabled or deleted, and enabled since, is lost: it is disabled (W10),
    /// unless the database has the generation that the change went with.
    private static let closed = """
        closed AS (
            UPDATE accounts a
               SET state = 'disabled',
                   version = a.version + 1,
                   updated_at = clock_timestamp()
              FROM rotated r
             WHERE a.id = r.account_id
               AND a.state = 'active'
               AND EXISTS (SELECT
                             FROM e
                            WHERE e.kind = \(RevocationKind.accountState.rawValue)
                              AND e.subject = r.account_id)
        )
        """

    /// What written-back entries of organisations stood for.
    ///
    /// Whether one was disabled, enabled or removed is lost: it is disabled (W10). Its generation
    /// is a new one, because nodes may remember that it was active as of the entry's. After the
    /// signatures, which are locked before anything else.
    private static let disabled = """
        disabled AS (
            UPDATE organisations o
               SET state = 'disabled',
                   generation = \(GrowingVersion.next("w.generation")),
                   version = o.version + 1,
                   updated_at = clock_timestamp()
              FROM (SELECT e.subject AS id, max(e.ver) AS generation
                      FROM e
                     WHERE e.kind = \(RevocationKind.tenant.rawValue)
                       AND (SELECT count(*) FROM rotated) >= 0
                     GROUP BY e.subject) w
             WHERE o.id = w.id
               AND o.generation < w.generation
            RETURNING o.id, o.generation
        )
        """

    private static let restored = RevokingPart(
        name: "logged",
        sql: """
            logged AS (
                INSERT INTO revocation_log (kind, subject, ver, expires_at)
                SELECT e.kind, uuid_send(e.subject), e.ver, e.expires_at
                  FROM e
                RETURNING \(RevocationEntry.packedSQL) AS entry
            )
            """
    )
}

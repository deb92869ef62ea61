// The SQL by which nodes write back what a new primary lacks (revocation.md H7): the entries of the
// log, and with them what they stood for, so that a refresh does not mint anew, and nobody acts in
// an organisation again, as soon as the entry has expired. Where it is lost what an entry stood
// for, the answer is no (W10).
import Postgres
package import Primitives

extension RevocationLog {
    /// Writes back entries that a new primary lacks, and what they stood for: a session that was
    /// ended, a generation that was left behind, a key that was retired, an organisation that was
    /// changed (H7).
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
        ), \(disabled), \(append(
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

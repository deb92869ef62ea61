// The SQL by which nodes write back what a new primary lacks (revocation.md H7): the entries of the
// log, and with them what they stood for, so that nobody signs in or refreshes, no key opens
// anything and nobody acts in an organisation again as soon as the entry has expired. Where it is
// lost what an entry stood for, the answer is no (W10). Each end is in the audit log of the same
// transaction, with nobody as its actor and `system` for the address (W9).
import Audit
import Postgres
package import Primitives

extension RevocationLog {
    /// Writes back entries that a new primary lacks, and what they stood for: a session that was
    /// ended, a generation that was left behind, an account that was disabled, a key that was
    /// retired or taken back, an organisation that was changed (H7).
    ///
    /// Without the latter a refresh would mint anew as soon as the entry has expired. `$5` are ids
    /// for the audit, one for each entry, and `$6` is their time.
    package static let restore = RevokingStatement(
        "revocation.restore",
        """
        e AS MATERIALIZED (
            SELECT u.kind, u.subject, u.ver, to_timestamp(u.expires_us / 1000000.0) AS expires_at,
                   u.entry
              FROM unnest($1::bigint[], $2::uuid[], $3::bigint[], $4::bigint[], $5::uuid[])
                   AS u (kind, subject, ver, expires_us, entry)
        ), \(restoredSignatures), \(append(
            as: "logged_signatures",
            .signature,
            subject: "outdated.account_id",
            version: "outdated.generation",
            from: "outdated"
        )), \(ending(
            "ended",
            .session,
            "sessions",
            set: "revoked_at = clock_timestamp(), end_reason = 'restored'",
            unless: "revoked_at",
            .sessionEnded,
            "t.account_id, t.id AS session_id, '{}'::jsonb AS detail"
        )), \(ending(
            "retired",
            .signingKey,
            "keys",
            set: "retired_at = clock_timestamp()",
            unless: "retired_at",
            .signingKeyRemoved,
            "NULL::uuid AS account_id, NULL::uuid AS session_id, "
                + "jsonb_build_object('key_id', t.id) AS detail"
        )), \(ending(
            "taken_back",
            .token,
            "api_keys",
            set: "revoked_at = clock_timestamp()",
            unless: "revoked_at",
            .apiKeyRevoked,
            "t.account_id, NULL::uuid AS session_id, "
                + "jsonb_build_object('key_id', t.id, 'name', t.name) AS detail"
        )), \(closed), \(disabled), \(append(
            as: "logged_organisations",
            .tenant,
            subject: "disabled.id",
            version: "disabled.generation",
            from: "disabled"
        )), \(recorded), \(AuditLog.appendAll(
            as: "audited",
            from: "recorded",
            reason: "restored",
            at: 6
        )), \(restored)
        """,
        answer: "SELECT count(*) FROM e",
        binds: [Int64].self,
        [ID<Named.Entry>].self,
        [Int64].self,
        [Int64].self,
        [EntryID].self,
        Timestamp.self,
        decode: { _ in }
    )

    /// The part that ends what written-back entries of a kind stood for, and tells what to record.
    private static func ending(
        _ name: String,
        _ kind: RevocationKind,
        _ table: String,
        set: String,
        unless ended: String,
        _ action: AuditAction,
        _ columns: String
    ) -> String {
        """
        \(name) AS (
            UPDATE \(table) t
               SET \(set)
              FROM e
             WHERE e.kind = \(kind.rawValue)
               AND t.id = e.subject
               AND t.\(ended) IS NULL
            RETURNING e.entry, '\(action.rawValue)' AS action, \(columns)
        )
        """
    }

    /// The id that an entry of one of these kinds has for the audit, of the account `account`.
    private static func entry(_ kinds: [RevocationKind], of account: String) -> String {
        """
        (SELECT e.entry
                  FROM e
                 WHERE e.kind IN (\(kinds.map { "\($0.rawValue)" }.joined(separator: ", ")))
                   AND e.subject = \(account)
                 ORDER BY e.entry
                 LIMIT 1)
        """
    }

    /// What is to be recorded of all that was ended.
    ///
    /// An account that is disabled is recorded as that, and one all of whose tokens are outdated as
    /// this, each by an entry of its own.
    private static let recorded = """
        recorded AS (
            SELECT entry, action, account_id, session_id, detail FROM ended
            UNION ALL
            SELECT entry, action, account_id, session_id, detail FROM retired
            UNION ALL
            SELECT entry, action, account_id, session_id, detail FROM taken_back
            UNION ALL
            SELECT entry, action, account_id, session_id, detail FROM closed
            UNION ALL
            SELECT o.entry, '\(AuditAction.organisationChanged.rawValue)', NULL, NULL,
                   jsonb_build_object('organisation_id', o.id, 'state', 'disabled')
              FROM disabled o
            UNION ALL
            SELECT r.entry, '\(AuditAction.allSessionsEnded.rawValue)', r.account_id, NULL, '{}'
              FROM (SELECT r.account_id,
                           \(entry([.signature, .sessions], of: "r.account_id")) AS entry
                      FROM rotated r) r
             WHERE r.entry IS NOT NULL
        )
        """

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
               AND \(entry([.accountState], of: "r.account_id")) IS NOT NULL
            RETURNING \(entry([.accountState], of: "r.account_id")) AS entry,
                      '\(AuditAction.accountDisabled.rawValue)' AS action, a.id AS account_id,
                      NULL::uuid AS session_id, '{}'::jsonb AS detail
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
              FROM (SELECT e.subject AS id, max(e.ver) AS generation,
                           (array_agg(e.entry ORDER BY e.entry))[1] AS entry
                      FROM e
                     WHERE e.kind = \(RevocationKind.tenant.rawValue)
                       AND (SELECT count(*) FROM rotated) >= 0
                     GROUP BY e.subject) w
             WHERE o.id = w.id
               AND o.generation < w.generation
            RETURNING o.id, o.generation, w.entry
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

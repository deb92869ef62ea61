// The SQL of making and changing accounts for others.
import Access
import Audit
import Messaging
import Postgres
import Primitives
import Revocation

/// Statements that make and change accounts.
enum AccountEditStore {
    /// Makes an account for somebody.
    ///
    /// As `AccountStore.making`; `$13` whether the password must change, `$14` organisation, `$15`
    /// actor, `$16` on the audit.
    static let create = Statement(
        "accounts.create",
        """
        WITH \(AccountStore.making(mustChange: "$13", roles: "r.is_default", binds: 16)),
        joined AS (
            INSERT INTO organisation_members (organisation_id, account_id, joined_at)
            SELECT $14::uuid, id, $17 FROM made WHERE $14::uuid IS NOT NULL
        ), \(AuditLog.append(
            as: "audited",
            .accountCreated,
            account: "made.id",
            actor: "$15::uuid",
            detail: "jsonb_build_object('organisation_id', $14::uuid)",
            from: "made",
            binds: 16
        ))
        SELECT id FROM made
        """,
        kind: .solo,
        binds: AccountID.self,
        String.self,
        String.self,
        String?.self,
        String?.self,
        Timestamp?.self,
        String?.self,
        String?.self,
        String?.self,
        String?.self,
        String?.self,
        String?.self,
        Bool.self,
        OrganisationID?.self,
        AccountID?.self,
        AuditBinds.self,
        decode: { try $0.get(0, as: AccountID.self) }
    )

    /// Changes an account of one of the versions `$2`, and with another address ends its sessions.
    ///
    /// `$1` account, `$3` to `$7` names, `$8` whether it is
    /// confirmed, `$9` the parts of the profile that change, `$10` to `$14` those, `$15` the names
    /// of all that changes, `$16` actor, `$17` on the audit. The answer says whether the version
    /// was one of those. Where nothing is to change nothing is written, nor recorded. An address
    /// that it has already is told of again: who gave it may have died before others were (H19).
    static let edit = RevokingStatement(
        "accounts.edit",
        """
        target AS MATERIALIZED (
            SELECT a.id, $2::bigint[] IS NULL OR a.version = ANY ($2) AS is_expected,
                   COALESCE(a.email_canonical <> $4, false) AS is_moved
              FROM accounts a
             WHERE a.id = $1
               AND a.state <> 'deleted'
               FOR NO KEY UPDATE
        ), changed AS (
            UPDATE accounts a
               SET email = COALESCE($3, a.email),
                   email_canonical = COALESCE($4, a.email_canonical),
                   username = CASE WHEN $5 THEN $6 ELSE a.username END,
                   username_canonical = CASE WHEN $5 THEN $7 ELSE a.username_canonical END,
                   confirmed_at = CASE
                       WHEN NOT COALESCE($8, NOT t.is_moved) THEN NULL
                       WHEN $8 AND (t.is_moved OR a.confirmed_at IS NULL) THEN $18
                       ELSE a.confirmed_at
                   END,
                   version = a.version + 1,
                   updated_at = $18
              FROM target t
             WHERE a.id = t.id
               AND t.is_expected
               AND cardinality($15) > 0
            RETURNING a.id, t.is_moved
        ), profile AS (
            INSERT INTO account_profiles AS f (
                account_id, given_name, family_name, address, phone_number, birthdate, updated_at
            )
            SELECT c.id, $10, $11, $12, $13, $14, $18 FROM changed c WHERE cardinality($9) > 0
            ON CONFLICT (account_id) DO UPDATE
               SET \(profileColumns),
                   updated_at = excluded.updated_at
        ), moved AS (
            UPDATE account_signatures g
               SET generation = \(GrowingVersion.next("g.generation")), rotated_at = $18
              FROM changed c
             WHERE g.account_id = c.id
               AND c.is_moved
            RETURNING g.account_id, g.generation
        ), told AS (
            SELECT m.account_id, m.generation FROM moved m
             UNION ALL
            SELECT g.account_id, g.generation
              FROM changed c
              JOIN account_signatures g ON g.account_id = c.id
             WHERE $4::text IS NOT NULL
               AND NOT c.is_moved
        ), \(RevocationLog.append(
            as: "logged",
            .signature,
            subject: "told.account_id",
            version: "told.generation",
            from: "told"
        )), \(AuditLog.append(
            as: "audited",
            .accountChanged,
            account: "changed.id",
            actor: "$16::uuid",
            detail: "jsonb_build_object('members', to_jsonb($15::text[]))",
            from: "changed",
            binds: 17
        )), \(Outbox.append(
            as: "announced",
            .accountChanged,
            account: "changed.id",
            payload: "jsonb_build_object('members', to_jsonb($15::text[]))",
            from: "changed",
            entry: 17,
            at: 18
        ))
        """,
        answer: "SELECT t.is_expected FROM target t",
        binds: AccountID.self,
        [Int64]?.self,
        String?.self,
        String?.self,
        Bool.self,
        String?.self,
        String?.self,
        Bool?.self,
        [String].self,
        String?.self,
        String?.self,
        String?.self,
        String?.self,
        String?.self,
        [String].self,
        AccountID.self,
        AuditBinds.self,
        decode: { try $0.get(0, as: Bool.self) }
    )

    /// What is not named stays as it is.
    private static let profileColumns = AccountEdit.ProfileMember.allCases.map { member in
        let name = member.rawValue
        return "\(name) = CASE WHEN '\(name)' = ANY ($9) THEN excluded.\(name) ELSE f.\(name) END"
    }.joined(separator: ",\n                   ")

    /// Wants the password of an account replaced at the next sign-in; one without is left alone.
    ///
    /// `$1` account, `$2` actor, `$3` on the audit.
    static let requirePasswordChange = Statement(
        "accounts.require_password_change",
        """
        WITH target AS MATERIALIZED (
            SELECT a.id
              FROM accounts a
             WHERE a.id = $1
               AND a.state <> 'deleted'
               FOR NO KEY UPDATE
        ), changed AS (
            UPDATE account_passwords p
               SET must_change = true
              FROM target t
             WHERE p.account_id = t.id
            RETURNING p.account_id
        ), touched AS (
            UPDATE accounts a
               SET version = a.version + 1, updated_at = $4
              FROM changed c
             WHERE a.id = c.account_id
        ), \(AuditLog.append(
            as: "audited",
            .passwordChangeRequired,
            account: "changed.account_id",
            actor: "$2::uuid",
            from: "changed",
            binds: 3
        ))
        SELECT t.id FROM target t
        """,
        kind: .solo,
        binds: AccountID.self,
        AccountID?.self,
        AuditBinds.self,
        decode: { try $0.get(0, as: AccountID.self) }
    )
}

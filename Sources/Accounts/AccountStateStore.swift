// The SQL of disabling, enabling and deleting accounts. Who is disabled has no token left when that
// is committed, and gets none back by being enabled (W2). A deleted account stays as a row without
// anything of a person, so that its id is never anybody else's.
import Audit
import Messaging
import Postgres
import Primitives
import Revocation

/// Statements that change whether an account may be used.
enum AccountStateStore {
    /// Disables an account, or one that is disabled once more: the second caller must not be told
    /// so before the first revocation is out (revocation.md H19).
    ///
    /// `$1` account, `$2` kind, `$3` version of its rights, `$4` realm, `$5` the role of
    /// administration, `$6` actor, `$7` and on the binds of the audit. The answer says whether it
    /// is the last administrator, which stays.
    static let disable = RevokingStatement(
        "accounts.disable",
        """
        \(AdministrationStore.target), changed AS (
            UPDATE accounts a
               SET state = 'disabled', version = a.version + 1, updated_at = $8
              FROM target t
             WHERE a.id = t.id
               AND NOT t.is_last
            RETURNING a.id
        ), \(AdministrationStore.outdate), \(AuditLog.append(
            as: "audited",
            .accountDisabled,
            account: "changed.id",
            actor: "$6::uuid",
            from: "changed",
            binds: 7
        )), \(Outbox.append(
            as: "announced",
            .accountDisabled,
            account: "changed.id",
            payload: "'{}'::jsonb",
            from: "changed",
            entry: 7,
            at: 8
        ))
        """,
        answer: "SELECT t.is_last FROM target t",
        binds: AccountID.self,
        String.self,
        Int64.self,
        OrganisationID?.self,
        RoleID.self,
        AccountID.self,
        EntryID.self,
        Timestamp.self,
        String.self,
        RequestID.self,
        decode: { try $0.get(0, as: Bool.self) }
    )

    /// Lets an account be used again.
    ///
    /// No token comes back: its signature stays where it is.
    static let enable = Statement(
        "accounts.enable",
        """
        WITH target AS MATERIALIZED (
            SELECT a.id, a.state
              FROM accounts a
             WHERE a.id = $1
               AND a.kind = $2
               AND a.rights_version = $3
               AND a.state <> 'deleted'
               AND \(AdministrationStore.isInRealm(4))
               FOR NO KEY UPDATE OF a
        ), changed AS (
            UPDATE accounts a
               SET state = 'active', version = a.version + 1, updated_at = $7
              FROM target t
             WHERE a.id = t.id
               AND t.state = 'disabled'
            RETURNING a.id
        ), \(AuditLog.append(
            as: "audited",
            .accountEnabled,
            account: "changed.id",
            actor: "$5::uuid",
            from: "changed",
            binds: 6
        )), \(Outbox.append(
            as: "announced",
            .accountEnabled,
            account: "changed.id",
            payload: "'{}'::jsonb",
            from: "changed",
            entry: 6,
            at: 7
        ))
        SELECT t.id FROM target t
        """,
        kind: .solo,
        binds: AccountID.self,
        String.self,
        Int64.self,
        OrganisationID?.self,
        AccountID.self,
        EntryID.self,
        Timestamp.self,
        String.self,
        RequestID.self,
        decode: { try $0.get(0, as: AccountID.self) }
    )

    /// Erases a person and keeps the row; with the parameters and the answer of `disable`.
    ///
    /// Names are free for others at once. What the audit log says of the account stays.
    static let delete = RevokingStatement(
        "accounts.delete",
        """
        \(AdministrationStore.target), changed AS (
            UPDATE accounts a
               SET state = 'deleted', email = NULL, email_canonical = NULL, username = NULL,
                   username_canonical = NULL, confirmed_at = NULL, last_login_at = NULL,
                   rights_version = \(GrowingVersion.next("a.rights_version")),
                   version = a.version + 1, updated_at = $8
              FROM target t
             WHERE a.id = t.id
               AND NOT t.is_last
            RETURNING a.id
        ), \(AdministrationStore.outdate), profile AS (
            DELETE FROM account_profiles x USING changed c WHERE x.account_id = c.id
        ), password AS (
            DELETE FROM account_passwords x USING changed c WHERE x.account_id = c.id
        ), roles_held AS (
            DELETE FROM account_roles x USING changed c WHERE x.account_id = c.id
        ), memberships AS (
            DELETE FROM organisation_members x USING changed c WHERE x.account_id = c.id
        ), keys_held AS (
            DELETE FROM api_keys x USING changed c WHERE x.account_id = c.id
        ), history AS (
            DELETE FROM login_history x USING changed c WHERE x.account_id = c.id
        ), traces AS (
            UPDATE sessions x
               SET ip_address = '', user_agent = '', previous_ip_address = NULL,
                   revoked_at = COALESCE(x.revoked_at, $8),
                   end_reason = COALESCE(x.end_reason, 'account-deleted')
              FROM changed c
             WHERE x.account_id = c.id
        ), \(AuditLog.append(
            as: "audited",
            .accountDeleted,
            account: "changed.id",
            actor: "$6::uuid",
            from: "changed",
            binds: 7
        )), \(Outbox.append(
            as: "announced",
            .accountDeleted,
            account: "changed.id",
            payload: "'{}'::jsonb",
            from: "changed",
            entry: 7,
            at: 8
        ))
        """,
        answer: "SELECT t.is_last FROM target t",
        binds: AccountID.self,
        String.self,
        Int64.self,
        OrganisationID?.self,
        RoleID.self,
        AccountID.self,
        EntryID.self,
        Timestamp.self,
        String.self,
        RequestID.self,
        decode: { try $0.get(0, as: Bool.self) }
    )
}

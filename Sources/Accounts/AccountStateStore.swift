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
    /// The parts that record and announce the change of the account in `changed` (W9).
    private static func recorded(_ action: AuditAction, _ topic: OutboxTopic) -> String {
        """
        \(AuditLog.append(
            as: "audited",
            action,
            account: "changed.id",
            actor: "$2::uuid",
            from: "changed",
            binds: 3
        )), \(Outbox.append(
            as: "announced",
            topic,
            account: "changed.id",
            payload: "'{}'::jsonb",
            from: "changed",
            entry: 3,
            at: 4
        ))
        """
    }

    /// Disables an account, or one that is disabled once more: the second caller must not be told
    /// so before the first revocation is out (revocation.md H19).
    ///
    /// `$1` account, `$2` actor, `$3` and on the binds of the audit.
    static let disable = RevokingStatement(
        "accounts.disable",
        """
        changed AS (
            UPDATE accounts a
               SET state = 'disabled', version = a.version + 1, updated_at = $4
             WHERE a.id = $1
               AND a.state <> 'deleted'
            RETURNING a.id
        ), \(AdministrationStore.outdate), \(recorded(.accountDisabled, .accountDisabled))
        """,
        answer: "SELECT c.id FROM changed c",
        binds: AccountID.self,
        AccountID?.self,
        AuditBinds.self,
        decode: { try $0.get(0, as: AccountID.self) }
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
               AND a.state <> 'deleted'
               FOR NO KEY UPDATE
        ), changed AS (
            UPDATE accounts a
               SET state = 'active', version = a.version + 1, updated_at = $4
              FROM target t
             WHERE a.id = t.id
               AND t.state = 'disabled'
            RETURNING a.id
        ), \(recorded(.accountEnabled, .accountEnabled))
        SELECT t.id FROM target t
        """,
        kind: .solo,
        binds: AccountID.self,
        AccountID?.self,
        AuditBinds.self,
        decode: { try $0.get(0, as: AccountID.self) }
    )

    /// Erases a person and keeps the row; with the parameters of `disable`.
    ///
    /// Names are free for others at once. What the audit log says of the account stays.
    static let delete = RevokingStatement(
        "accounts.delete",
        """
        changed AS (
            UPDATE accounts a
               SET state = 'deleted', email = NULL, email_canonical = NULL, username = NULL,
                   username_canonical = NULL, confirmed_at = NULL, last_login_at = NULL,
                   rights_version = \(GrowingVersion.next("a.rights_version")),
                   version = a.version + 1, updated_at = $4
             WHERE a.id = $1
               AND a.state <> 'deleted'
            RETURNING a.id
        ), \(AdministrationStore.outdate), profile AS (
            DELETE FROM account_profiles x USING changed c WHERE x.account_id = c.id
        ), password AS (
            DELETE FROM account_passwords x USING changed c WHERE x.account_id = c.id
        ), second_factor AS (
            DELETE FROM second_factors x USING changed c WHERE x.account_id = c.id
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
                   revoked_at = COALESCE(x.revoked_at, $4),
                   end_reason = COALESCE(x.end_reason, 'account-deleted')
              FROM changed c
             WHERE x.account_id = c.id
        ), \(recorded(.accountDeleted, .accountDeleted))
        """,
        answer: "SELECT c.id FROM changed c",
        binds: AccountID.self,
        AccountID?.self,
        AuditBinds.self,
        decode: { try $0.get(0, as: AccountID.self) }
    )
}

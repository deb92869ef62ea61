// The SQL by which administrators change accounts: in transactions that have locked the account's
// signature (`AccountTargets`), and recorded with their actor (W9).
import Access
import Audit
import Messaging
package import Postgres
import Primitives
import Revocation

/// Statements of administration.
package enum AdministrationStore {
    /// Whether the account `a` is in the realm `$organisation`; NULL is everywhere.
    package static func isInRealm(_ organisation: Int) -> String {
        """
        ($\(organisation)::uuid IS NULL OR EXISTS (
                   SELECT FROM organisation_members m
                    WHERE m.organisation_id = $\(organisation)
                      AND m.account_id = a.id
               ))
        """
    }

    /// An account in a realm, and whether it is a member of organisations outside of that.
    static let findStanding = Statement(
        "accounts.find_standing",
        """
        SELECT $3::uuid IS NOT NULL AND EXISTS (
                   SELECT
                     FROM organisation_members m
                     JOIN organisations o ON o.id = m.organisation_id
                    WHERE m.account_id = a.id
                      AND m.organisation_id <> $3
                      AND o.removed_at IS NULL
               )
          FROM accounts a
         WHERE a.id = $1
           AND a.kind = $2
           AND a.state <> 'deleted'
           AND \(isInRealm(3))
        """,
        binds: AccountID.self,
        String.self,
        OrganisationID?.self,
        decode: { try $0.get(0, as: Bool.self) }
    )

    /// The account behind a canonical address or user name, whatever its state.
    static let findNamed = Statement(
        "accounts.find_named",
        "SELECT a.id FROM accounts a WHERE \(AccountStore.isNamed)",
        binds: String.self,
        decode: { try $0.get(0, as: AccountID.self) }
    )

    /// Outdates every token of the account in `changed`, as a change of its state (W3).
    static var outdate: RevokingSQL {
        """
        signature AS (
            UPDATE account_signatures g
               SET generation = \(GrowingVersion.next("g.generation")), rotated_at = $4
              FROM changed c
             WHERE g.account_id = c.id
            RETURNING g.account_id, g.generation
        ), \(RevocationLog.append(
            as: "logged",
            .accountState,
            subject: "signature.account_id",
            version: "signature.generation",
            from: "signature"
        ))
        """
    }

    /// All statements, for the test that prepares them.
    package static var statements: [StatementInfo] {
        [
            findStanding.info, findNamed.info,
            AccountStateStore.disable.info, AccountStateStore.enable.info,
            AccountStateStore.delete.info, AccountEditStore.create.info,
            AccountEditStore.edit.info, AccountEditStore.requirePasswordChange.info,
        ] + AccountListStore.statements
    }
}

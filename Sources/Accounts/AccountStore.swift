// The SQL of accounts.
import Access
package import Audit
import Messaging
package import Postgres
package import Primitives
import Revocation

/// What sign-in needs to know of an account.
package struct SignInAccount: Sendable {
    /// The account.
    package let id: AccountID
    /// `active`, `disabled` or `deleted`.
    package let state: String
    /// Whether its address is confirmed.
    package let isConfirmed: Bool
    /// The PHC string of its password; nil where it has none.
    package let phc: String?
    /// Whether the password must be replaced before it opens a session.
    package let mustChangePassword: Bool
    /// Whether the password alone opens no session.
    package let hasSecondFactor: Bool
}

/// What an account's owner sees of it.
package struct AccountView: Sendable {
    /// The account.
    package let id: AccountID
    /// The address as it was typed.
    package let email: String
    /// The user name as it was typed.
    package let username: String?
    /// Whether the address is confirmed.
    package let isConfirmed: Bool
    /// The names of its roles, sorted.
    package let roles: [String]
    /// When it was made.
    package let createdAt: Timestamp
    /// When somebody last signed in to it.
    package let lastLoginAt: Timestamp?
    /// What its owner told about himself.
    package let profile: AccountProfile

    /// An account as its owner sees it.
    package init(
        id: AccountID,
        email: String,
        username: String?,
        isConfirmed: Bool,
        roles: [String],
        createdAt: Timestamp,
        lastLoginAt: Timestamp?,
        profile: AccountProfile
    ) {
        self.id = id
        self.email = email
        self.username = username
        self.isConfirmed = isConfirmed
        self.roles = roles
        self.createdAt = createdAt
        self.lastLoginAt = lastLoginAt
        self.profile = profile
    }
}

/// What a person may tell about himself; each part at his pleasure.
package struct AccountProfile: Hashable, Sendable {
    /// What those who know him call him.
    package var givenName: String?
    /// The name of his family.
    package var familyName: String?
    /// Where letters reach him, as one text.
    package var address: String?
    /// His telephone number, as he writes it.
    package var phoneNumber: String?
    /// The day of his birth, as `YYYY-MM-DD`.
    package var birthdate: String?

    /// A profile.
    package init(
        givenName: String? = nil,
        familyName: String? = nil,
        address: String? = nil,
        phoneNumber: String? = nil,
        birthdate: String? = nil
    ) {
        self.givenName = givenName
        self.familyName = familyName
        self.address = address
        self.phoneNumber = phoneNumber
        self.birthdate = birthdate
    }
}

/// Statements on accounts.
package enum AccountStore {
    /// Whether `$1` is the canonical address of the account `a`, or else its user name.
    static let isNamed = """
        a.id = COALESCE(
                   (SELECT e.id FROM accounts e WHERE e.email_canonical = $1),
                   (SELECT u.id FROM accounts u WHERE u.username_canonical = $1)
               )
        """

    /// The account behind a canonical address or user name.
    package static let findForSignIn = Statement(
        "accounts.find_for_sign_in",
        """
        SELECT a.id, a.state, a.confirmed_at IS NOT NULL, p.phc,
               COALESCE(p.must_change, false), \(hasSecondFactor)
          FROM accounts a
          LEFT JOIN account_passwords p ON p.account_id = a.id
         WHERE \(isNamed)
        """,
        binds: String.self,
        decode: { row in
            SignInAccount(
                id: try row.get(0, as: AccountID.self),
                state: try row.get(1, as: String.self),
                isConfirmed: try row.get(2, as: Bool.self),
                phc: try row.get(3, as: String?.self),
                mustChangePassword: try row.get(4, as: Bool.self),
                hasSecondFactor: try row.get(5, as: Bool.self)
            )
        }
    )

    /// Whether the account `a` has a second factor that is in use.
    package static let hasSecondFactor = """
        EXISTS (SELECT FROM second_factors sf
                        WHERE sf.account_id = a.id AND sf.confirmed_at IS NOT NULL)
        """

    /// The hash of an account's password.
    package static let findPassword = Statement(
        "accounts.find_password",
        """
        SELECT p.phc, a.email, a.username, \(hasSecondFactor)
          FROM accounts a
          JOIN account_passwords p ON p.account_id = a.id
         WHERE a.id = $1
           AND a.state = 'active'
        """,
        binds: AccountID.self,
        decode: { row in
            (
                phc: try row.get(0, as: String.self), email: try row.get(1, as: String.self),
                username: try row.get(2, as: String?.self),
                hasSecondFactor: try row.get(3, as: Bool.self)
            )
        }
    )

    /// An account as its owner sees it.
    package static let findView = Statement(
        "accounts.find_view",
        """
        SELECT a.id, a.email, a.username, a.confirmed_at IS NOT NULL, a.created_at,
               a.last_login_at,
               ARRAY(SELECT r.name
                       FROM account_roles ar
                       JOIN roles r ON r.id = ar.role_id
                      WHERE ar.account_id = a.id
                        AND ar.scope = ''
                        AND \(RightsStore.isLive("ar"))
                        AND r.removed_at IS NULL
                      ORDER BY r.name),
               f.given_name, f.family_name, f.address, f.phone_number, f.birthdate
          FROM accounts a
          LEFT JOIN account_profiles f ON f.account_id = a.id
         WHERE a.id = $1
           AND a.state = 'active'
        """,
        binds: AccountID.self,
        decode: { row in
            AccountView(
                id: try row.get(0, as: AccountID.self),
                email: try row.get(1, as: String.self),
                username: try row.get(2, as: String?.self),
                isConfirmed: try row.get(3, as: Bool.self),
                roles: try row.get(6, as: [String].self),
                createdAt: try row.get(4, as: Timestamp.self),
                lastLoginAt: try row.get(5, as: Timestamp?.self),
                profile: AccountProfile(
                    givenName: try row.get(7, as: String?.self),
                    familyName: try row.get(8, as: String?.self),
                    address: try row.get(9, as: String?.self),
                    phoneNumber: try row.get(10, as: String?.self),
                    birthdate: try row.get(11, as: String?.self)
                )
            )
        }
    )

    /// The parts that make an account with all that belongs to one, and announce it: there is never
    /// one without the other (S4-T14, W9).
    ///
    /// `$1` to `$5` id and names, `$6` when it was confirmed, `$7` the hash of the password, if it
    /// has one, `$8` to `$12` the profile.
    ///
    /// - Parameters:
    ///   - mustChange: whether the password must be replaced, in SQL.
    ///   - roles: a condition on the role `r`.
    ///   - first: the number of the first of the `AuditBinds`.
    static func making(mustChange: String = "false", roles: String, binds first: Int) -> String {
        """
        made AS (
            INSERT INTO accounts (
                id, email, email_canonical, username, username_canonical, confirmed_at,
                created_at, updated_at
            )
            VALUES ($1, $2, $3, $4, $5, $6, $\(first + 1), $\(first + 1))
            RETURNING id
        ), password AS (
            INSERT INTO account_passwords (account_id, phc, changed_at, must_change)
            SELECT id, $7, $\(first + 1), \(mustChange) FROM made WHERE $7::text IS NOT NULL
        ), \(signature(at: first + 1)), profile AS (
            INSERT INTO account_profiles (
                account_id, given_name, family_name, address, phone_number, birthdate, updated_at
            )
            SELECT id, $8, $9, $10, $11, $12, $\(first + 1)
              FROM made
             WHERE num_nonnulls($8::text, $9::text, $10::text, $11::text, $12::text) > 0
        ), granted AS (
            INSERT INTO account_roles (account_id, role_id, granted_at)
            SELECT made.id, r.id, $\(first + 1)
              FROM made
             CROSS JOIN roles r
             WHERE r.removed_at IS NULL
               AND (\(roles))
        ), \(Outbox.append(
            as: "announced",
            .accountRegistered,
            account: "made.id",
            payload: "jsonb_build_object('confirmed', $6::timestamptz IS NOT NULL)",
            from: "made",
            entry: first,
            at: first + 1
        ))
        """
    }

    /// The part that makes the signature of the account in `made`.
    static func signature(at now: Int) -> String {
        """
        signature AS (
            INSERT INTO account_signatures (account_id, generation, rotated_at)
            SELECT id, \(GrowingVersion.now), $\(now) FROM made
        )
        """
    }

    /// What makes the account of a registration.
    package typealias Making = Statement<
        AccountID, AccountID, String, String, String?, String?, Timestamp?, String, String?,
        String?, String?, String?, String?, [RoleID], AuditBinds
    >

    /// Makes the account of somebody who registers; with the roles `$13` besides the default ones.
    package static let insert = registering(
        "accounts.insert",
        recorded: AuditLog.append(
            as: "audited",
            .accountRegistered,
            account: "made.id",
            from: "made",
            binds: 14
        )
    )

    /// The same for an administrator whom nobody has made who has an account.
    package static let insertAdministrator = registering(
        "accounts.insert_administrator",
        recorded: AuditLog.append(
            as: "audited",
            .administratorCreated,
            account: "made.id",
            actor: "NULL",
            from: "made",
            binds: 14
        )
    )

    /// Taken before the first administrator is made: of two who make one, the second sees him.
    static let lockFirstAdministrator = Statement(
        "accounts.lock_first_administrator",
        """
        SELECT pg_advisory_xact_lock(hashtextextended('watchword.first-administrator', 0)) IS NULL
        """,
        decode: { try $0.get(0, as: Bool.self) }
    )

    private static func registering(_ name: String, recorded: String) -> Making {
        Statement(
            name,
            """
            WITH \(making(roles: "r.is_default OR r.id = ANY($13)", binds: 14)), \(recorded)
            SELECT id FROM made
            """,
            kind: .solo,
            binds: AccountID.self,
            String.self,
            String.self,
            String?.self,
            String?.self,
            Timestamp?.self,
            String.self,
            String?.self,
            String?.self,
            String?.self,
            String?.self,
            String?.self,
            [RoleID].self,
            AuditBinds.self,
            decode: { try $0.get(0, as: AccountID.self) }
        )
    }

    /// Replaces a hash by one of the same password with newer parameters, if it is still there.
    package static let rehash = Statement(
        "accounts.rehash",
        """
        WITH changed AS (
            UPDATE account_passwords
               SET phc = $3
             WHERE account_id = $1
               AND phc = $2
            RETURNING account_id
        ), \(AuditLog.append(
            as: "audited", .passwordRehashed, account: "changed.account_id", from: "changed",
            binds: 4
        ))
        SELECT account_id FROM changed
        """,
        kind: .solo,
        binds: AccountID.self,
        String.self,
        String.self,
        AuditBinds.self,
        decode: { try $0.get(0, as: AccountID.self) }
    )

    /// Whether anybody holds a role; nil where nobody does.
    package static let findHolder = Statement(
        "accounts.find_holder",
        """
        SELECT ar.account_id
          FROM account_roles ar
          JOIN accounts a ON a.id = ar.account_id
         WHERE ar.role_id = $1
           AND ar.scope = ''
           AND \(RightsStore.isLive("ar"))
           AND a.state = 'active'
         ORDER BY ar.account_id
         LIMIT 1
        """,
        binds: RoleID.self,
        decode: { try $0.get(0, as: AccountID.self) }
    )

    /// All statements, for the test that prepares them.
    package static var statements: [StatementInfo] {
        [
            findForSignIn.info, findPassword.info, findView.info, insert.info, rehash.info,
            findHolder.info, insertAdministrator.info, lockFirstAdministrator.info,
        ]
    }
}

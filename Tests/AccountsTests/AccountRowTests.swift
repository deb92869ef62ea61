// What a sign-up leaves behind: an account with names that are its own, one signature, one role,
// and a password that is only a hash.
import Access
import Accounts
import ClusterKit
import Postgres
import Primitives
import Testing
import Web

@Suite(.serialized) struct AccountRowTests {
    @Test
    func `a sign-up makes one account, one signature and the default role (S1-1, S4-2, S4-20)`()
        async throws
    {
        try await Cluster.run { cluster in
            let account = try await cluster.signUp("Ada")
            #expect(
                try await cluster.lines(
                    """
                    SELECT concat_ws(' ', id, email, email_canonical, username, username_canonical,
                           state, created_at = updated_at, last_login_at IS NULL)
                      FROM accounts
                    """
                ) == ["\(account) Ada@example.org ada@example.org Ada ada active t t"]
            )
            let signatures = "SELECT account_id::text FROM account_signatures"
            #expect(try await cluster.lines(signatures) == ["\(account)"])
            #expect(
                try await cluster.lines(
                    """
                    SELECT ar.account_id || ' ' || r.name
                      FROM account_roles ar
                      JOIN roles r ON r.id = ar.role_id
                    """
                ) == ["\(account) member"]
            )
            #expect(try await cluster.number("SELECT count(*) FROM account_passwords") == 1)
            // The database itself takes no second one of any of them.
            let again = "created_at, updated_at) SELECT gen_random_uuid(), "
            for (second, constraint) in [
                (
                    "INSERT INTO account_signatures SELECT * FROM account_signatures",
                    "account_signatures_pkey"
                ),
                (
                    "INSERT INTO account_roles SELECT * FROM account_roles",
                    "account_roles_pkey"
                ),
                (
                    "INSERT INTO accounts (id, email, email_canonical, \(again)"
                        + "email, email_canonical, now(), now() FROM accounts",
                    "accounts_email_key"
                ),
                (
                    "INSERT INTO accounts (id, email, email_canonical, username,"
                        + " username_canonical, \(again)'x', 'x', username, username_canonical,"
                        + " now(), now() FROM accounts",
                    "accounts_username_key"
                ),
            ] {
                let error = await #expect(throws: PostgresError.self) {
                    try await cluster.run(second)
                }
                #expect(error?.isUniqueViolation(of: constraint) == true, "\(second)")
            }
        }
    }

    @Test func `a password is kept as Argon2id, with a salt of its own (S0-23, S1-1, S1-13)`()
        async throws
    {
        let source = SettingsSource { _ in nil }
        let usual = HashingSettings(from: source, cores: 1).parameters
        #expect(usual == HashParameters(memoryKiB: 19 * 1024, passes: 2))
        try await Cluster.run(set: ["passwords.memory": "19MiB", "passwords.passes": "2"]) {
            cluster in
            for name in ["ada", "bob"] { _ = try await cluster.signUp(name) }
            let hashes = try await cluster.lines("SELECT phc FROM account_passwords")
            #expect(hashes.count == 2)
            #expect(Set(hashes).count == 2, "one salt for two")
            for phc in hashes {
                #expect(phc.hasPrefix("$argon2id$v=19$m=19456,t=2,p=1$"), "\(phc)")
            }
            _ = try await cluster.signIn()
        }
    }
}

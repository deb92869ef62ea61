// Makes of an API key the claims that a token of its account would carry if it were minted now. The
// statement holds the signature's row, the account's and the key's FOR SHARE and stamps the time
// from the database's clock under those locks, as every mint does (revocation.md 1.8): whatever is
// taken back later is stamped later, and so outlives the claims. Rights are read with their version
// in the snapshot of the statement and not under the locks: neither is newer than the other.
import Access
package import Postgres
import Primitives
import Tokens

/// What PostgreSQL says of a key.
struct KeyRow: Sendable {
    let digest: [UInt8]
    let account: AccountID
    let signatureGeneration: Int64
    let rightsVersion: Int64
    let roles: [RoleID]
    let mintedAt: Timestamp
    let horizonAssertedAt: Timestamp?
    let rightsExpireAt: Timestamp?
    let expiresAt: Timestamp?
    let permissions: [String]?
}

/// The SQL of keys that are shown.
package enum KeyClaimsStore {
    /// The key `$1` of an active service account, if nobody has taken it back.
    static let mint = Statement(
        "api_keys.mint",
        """
        WITH signature AS MATERIALIZED (
            SELECT g.account_id, g.generation
              FROM account_signatures g
             WHERE g.account_id = (SELECT x.account_id FROM api_keys x WHERE x.id = $1)
               FOR SHARE
        ), account AS MATERIALIZED (
            SELECT a.id
              FROM accounts a
              JOIN signature g ON g.account_id = a.id
             WHERE a.state = 'active'
               AND a.kind = 'service'
               FOR SHARE OF a
        ), held AS MATERIALIZED (
            SELECT k.id, k.account_id, k.digest, k.permissions, k.expires_at
              FROM api_keys k
              JOIN account a ON a.id = k.account_id
             WHERE k.id = $1
               AND k.revoked_at IS NULL
               FOR SHARE OF k
        )
        SELECT h.digest, h.account_id, g.generation,
               (SELECT x.rights_version FROM accounts x WHERE x.id = h.account_id),
               ARRAY(SELECT ar.role_id
                       FROM account_roles ar
                      WHERE ar.account_id = h.account_id
                        AND ar.scope = ''
                        AND \(RightsStore.isLive("ar"))
                      ORDER BY ar.role_id
                      LIMIT \(AccessTokenWriter.roleLimit + 1)),
               clock_timestamp(),
               (SELECT l.asserted_at FROM token_lifetimes l WHERE l.lifetime_s = $2),
               (SELECT min(ar.expires_at)
                  FROM account_roles ar
                 WHERE ar.account_id = h.account_id
                   AND ar.expires_at > statement_timestamp()),
               h.expires_at, h.permissions
          FROM held h
          JOIN signature g ON g.account_id = h.account_id
        """,
        kind: .solo,
        binds: APIKeyID.self,
        Int32.self,
        decode: { row in
            KeyRow(
                digest: try row.get(0, as: [UInt8].self),
                account: try row.get(1, as: AccountID.self),
                signatureGeneration: try row.get(2, as: Int64.self),
                rightsVersion: try row.get(3, as: Int64.self),
                roles: try row.get(4, as: [RoleID].self),
                mintedAt: try row.get(5, as: Timestamp.self),
                horizonAssertedAt: try row.get(6, as: Timestamp?.self),
                rightsExpireAt: try row.get(7, as: Timestamp?.self),
                expiresAt: try row.get(8, as: Timestamp?.self),
                permissions: try row.get(9, as: [String]?.self)
            )
        }
    )

    /// All statements, for the test that prepares them.
    package static var statements: [StatementInfo] { [mint.info] }
}

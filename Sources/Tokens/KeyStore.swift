// The SQL of the key ring. A change that a person makes is in the audit log; what nodes do by
// themselves as time passes is not.
internal import Audit
package import Postgres
package import Primitives
package import Revocation

/// A row of `keys`.
package struct KeyRow: Sendable {
    /// Its `kid`.
    package let id: KeyID
    /// What it is for.
    package let use: String
    /// The private bytes, sealed.
    package let sealed: [UInt8]
    /// The version of the master key that sealed them.
    package let masterKeyVersion: Int
    /// When it was made.
    package let createdAt: Timestamp
    /// From when on it signs.
    package let activeFrom: Timestamp
    /// When it was retired, if it was.
    package let retiredAt: Timestamp?

    init(_ row: PostgresRow) throws {
        id = try row.get(0, as: KeyID.self)
        use = try row.get(1, as: String.self)
        sealed = try row.get(2, as: [UInt8].self)
        masterKeyVersion = Int(try row.get(3, as: Int32.self))
        createdAt = try row.get(4, as: Timestamp.self)
        activeFrom = try row.get(5, as: Timestamp.self)
        retiredAt = try row.get(6, as: Timestamp?.self)
    }
}

/// Statements on `keys`.
package enum KeyStore {
    /// All keys, also the retired ones, newest first.
    package static let list = Statement(
        "keys.list",
        """
        SELECT id, use, sealed, master_key_version, created_at, active_from, retired_at
          FROM keys
         ORDER BY active_from DESC, id DESC
        """,
        kind: .urgent,
        decode: KeyRow.init
    )

    /// SQL of the key that signs access tokens now: the latest whose time has come.
    package static let signing = """
        (SELECT k.id
                  FROM keys k
                 WHERE k.use = '\(KeyUse.accessToken.rawValue)'
                   AND k.retired_at IS NULL
                   AND k.active_from <= clock_timestamp()
                 ORDER BY k.active_from DESC, k.id DESC
                 LIMIT 1)
        """

    /// Taken before `insert` in the same transaction: of several nodes that find a key missing at
    /// the same time, one makes it and the others then see it.
    package static let lock = Statement(
        "keys.lock",
        "SELECT pg_advisory_xact_lock(hashtext('watchword.keys'))::text",
        decode: { _ in }
    )

    /// Adds a key unless one of its use was made after `$8`.
    package static let insert = Statement(
        "keys.insert",
        """
        INSERT INTO keys (
            id, use, algorithm, public_key, sealed, master_key_version, created_at, active_from
        )
        SELECT $1, $2, $3, $4, $5, $6, $7, $9
         WHERE NOT EXISTS (SELECT FROM keys k WHERE k.use = $2 AND k.created_at > $8)
        RETURNING id
        """,
        kind: .solo,
        binds: KeyID.self,
        String.self,
        String.self,
        [UInt8]?.self,
        [UInt8].self,
        Int32.self,
        Timestamp.self,
        Timestamp.self,
        Timestamp.self,
        decode: { try $0.get(0, as: KeyID.self) }
    )

    /// Retires a key.
    ///
    /// The revocation is appended first, so that no node trusts it any longer than it takes to
    /// acknowledge this.
    package static let retire = RevokingStatement(
        "keys.retire",
        """
        retired AS (
            UPDATE keys
               SET retired_at = $2
             WHERE id = $1
               AND retired_at IS NULL
            RETURNING id
        ), \(RevocationLog.append(
            as: "logged", .signingKey, subject: "retired.id", from: "retired"
        ))
        """,
        answer: """
            SELECT id FROM retired
            """,
        binds: KeyID.self,
        Timestamp.self,
        decode: { try $0.get(0, as: KeyID.self) }
    )

    /// How many signing keys may be alive at the same time: each is in the JWKS, and in every node.
    package static let liveLimit = 16

    /// Adds a signing key that somebody asked for, unless there are enough; under `lock`.
    static let rotate = Statement(
        "keys.rotate",
        """
        WITH made AS (
            INSERT INTO keys (
                id, use, algorithm, public_key, sealed, master_key_version, created_at, active_from
            )
            SELECT $1, '\(KeyUse.accessToken.rawValue)', $2, $3, $4, $5, $9, $6
             WHERE (SELECT count(*)
                      FROM keys k
                     WHERE k.use = '\(KeyUse.accessToken.rawValue)'
                       AND k.retired_at IS NULL) < \(liveLimit)
            RETURNING id, active_from
        ), \(AuditLog.append(
            as: "audited",
            .signingKeyMade,
            account: "NULL",
            actor: "$7::uuid",
            detail: "jsonb_build_object('key_id', made.id, 'active_from', made.active_from)",
            from: "made",
            binds: 8
        ))
        SELECT id FROM made
        """,
        kind: .solo,
        binds: KeyID.self,
        String.self,
        [UInt8]?.self,
        [UInt8].self,
        Int32.self,
        Timestamp.self,
        AccountID?.self,
        AuditBinds.self,
        decode: { try $0.get(0, as: KeyID.self) }
    )

    /// Retires a signing key that somebody wants gone, unless nothing else could sign; under
    /// `lock`, so that of two who remove the last two keys one is refused.
    ///
    /// No row: there is none. False: it is the only one whose time has come.
    static let remove = RevokingStatement(
        "keys.remove",
        """
        wanted AS MATERIALIZED (
            SELECT k.id,
                   EXISTS (SELECT
                             FROM keys o
                            WHERE o.id <> k.id
                              AND o.use = k.use
                              AND o.retired_at IS NULL
                              AND o.active_from <= $4) AS is_free
              FROM keys k
             WHERE k.id = $1
               AND k.use = '\(KeyUse.accessToken.rawValue)'
               AND k.retired_at IS NULL
        ), retired AS (
            UPDATE keys k
               SET retired_at = $4
              FROM wanted w
             WHERE k.id = w.id
               AND w.is_free
               AND k.retired_at IS NULL
            RETURNING k.id
        ), \(RevocationLog.append(
            as: "logged", .signingKey, subject: "retired.id", from: "retired"
        )), \(AuditLog.append(
            as: "audited",
            .signingKeyRemoved,
            account: "NULL",
            actor: "$2::uuid",
            detail: "jsonb_build_object('key_id', retired.id)",
            from: "retired",
            binds: 3
        ))
        """,
        answer: "SELECT w.is_free FROM wanted w",
        binds: KeyID.self,
        AccountID?.self,
        AuditBinds.self,
        decode: { try $0.get(0, as: Bool.self) }
    )

    /// Replaces the seal of a key, if it is still the one that was read.
    package static let reseal = Statement(
        "keys.reseal",
        """
        UPDATE keys
           SET sealed = $3, master_key_version = $4
         WHERE id = $1
           AND sealed = $2
        RETURNING id
        """,
        kind: .solo,
        binds: KeyID.self,
        [UInt8].self,
        [UInt8].self,
        Int32.self,
        decode: { try $0.get(0, as: KeyID.self) }
    )

    /// All statements, for the test that prepares them.
    package static var statements: [StatementInfo] {
        [
            list.info, lock.info, insert.info, retire.info, reseal.info, rotate.info, remove.info,
        ]
    }
}

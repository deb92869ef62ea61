// The SQL of idempotency keys. Each statement names the attempt it belongs to: one that was taken
// over meanwhile changes nothing, and the transaction that asks for it then comes to nothing.
import Postgres
import Primitives

/// What is known of a key.
struct IdempotencyRow: Sendable {
    let attempt: RequestID
    let masterKeyVersion: Int
    let request: [UInt8]
    let answer: [UInt8]?
    let createdAt: Timestamp
    let isDone: Bool

    init(_ row: PostgresRow) throws {
        attempt = try row.get(0, as: RequestID.self)
        masterKeyVersion = Int(try row.get(1, as: Int32.self))
        request = try row.get(2, as: [UInt8].self)
        answer = try row.get(3, as: [UInt8]?.self)
        createdAt = try row.get(4, as: Timestamp.self)
        isDone = try row.get(5, as: Bool.self)
    }
}

/// Statements on `idempotency_keys`; the time of a row is the server's (H13).
enum IdempotencyStore {
    /// Since before when a key is kept no longer.
    private static let oldest = "statement_timestamp() - interval '1 day'"

    /// Takes a key that is free: unknown, or kept no longer.
    static let reserve = Statement(
        "idempotency.reserve",
        """
        INSERT INTO idempotency_keys AS k (
            account_id, key_digest, attempt_id, master_key_version, request, created_at
        )
        VALUES ($1, $2, $3, $4, $5, statement_timestamp())
        ON CONFLICT (account_id, key_digest) DO UPDATE
           SET attempt_id = excluded.attempt_id,
               master_key_version = excluded.master_key_version,
               request = excluded.request,
               created_at = excluded.created_at,
               answer = NULL,
               done_at = NULL
         WHERE k.created_at < \(oldest)
        RETURNING k.attempt_id
        """,
        kind: .solo,
        binds: AccountID.self,
        [UInt8].self,
        RequestID.self,
        Int32.self,
        [UInt8].self,
        decode: { try $0.get(0, as: RequestID.self) }
    )

    /// What is known of a key.
    static let find = Statement(
        "idempotency.find",
        """
        SELECT attempt_id, master_key_version, request, answer, created_at, done_at IS NOT NULL
          FROM idempotency_keys
         WHERE account_id = $1
           AND key_digest = $2
        """,
        binds: AccountID.self,
        [UInt8].self,
        decode: IdempotencyRow.init
    )

    /// Takes a key from attempt `$6`, as long as that has done nothing.
    static let takeOver = Statement(
        "idempotency.take_over",
        """
        UPDATE idempotency_keys
           SET attempt_id = $3, master_key_version = $4, request = $5,
               created_at = statement_timestamp()
         WHERE account_id = $1
           AND key_digest = $2
           AND attempt_id = $6
           AND done_at IS NULL
        RETURNING attempt_id
        """,
        kind: .solo,
        binds: AccountID.self,
        [UInt8].self,
        RequestID.self,
        Int32.self,
        [UInt8].self,
        RequestID.self,
        decode: { try $0.get(0, as: RequestID.self) }
    )

    /// In the transaction that does the work: says so, if the attempt still has the key.
    static let mark = Statement(
        "idempotency.mark",
        """
        UPDATE idempotency_keys
           SET done_at = $4
         WHERE account_id = $1
           AND key_digest = $2
           AND attempt_id = $3
        RETURNING attempt_id
        """,
        kind: .solo,
        binds: AccountID.self,
        [UInt8].self,
        RequestID.self,
        Timestamp.self,
        decode: { try $0.get(0, as: RequestID.self) }
    )

    /// Keeps the answer.
    static let keep = Statement(
        "idempotency.keep",
        """
        UPDATE idempotency_keys
           SET answer = $4, done_at = COALESCE(done_at, $5)
         WHERE account_id = $1
           AND key_digest = $2
           AND attempt_id = $3
        """,
        kind: .solo,
        binds: AccountID.self,
        [UInt8].self,
        RequestID.self,
        [UInt8].self,
        Timestamp.self
    )

    /// Frees a key whose attempt came to nothing.
    static let release = Statement(
        "idempotency.release",
        """
        DELETE FROM idempotency_keys
         WHERE account_id = $1
           AND key_digest = $2
           AND attempt_id = $3
           AND done_at IS NULL
        """,
        kind: .solo,
        binds: AccountID.self,
        [UInt8].self,
        RequestID.self
    )

    /// Forgets what is kept no longer, so much at a time.
    static let sweep = Statement(
        "idempotency.sweep",
        """
        DELETE FROM idempotency_keys
         WHERE (account_id, key_digest) IN (
            SELECT account_id, key_digest
              FROM idempotency_keys
             WHERE created_at < \(oldest)
             ORDER BY created_at, account_id, key_digest
             LIMIT 1000
               FOR UPDATE SKIP LOCKED
         )
        """,
        kind: .solo
    )

    /// All statements, for the test that prepares them.
    static var statements: [StatementInfo] {
        [
            reserve.info, find.info, takeOver.info, mark.info, keep.info, release.info, sweep.info,
        ]
    }
}

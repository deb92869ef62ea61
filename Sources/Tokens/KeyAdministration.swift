// Signing keys in the hands of administrators: which there are, a new one now, and one that must be
// trusted no longer. What is removed is in the revocation log of the same transaction, so that its
// tokens are refused everywhere when the removal is acknowledged (W1, W3). Never shows or returns a
// private part, and leaves alone the keys behind refresh tokens, which sessions hang by.
import Audit
import Postgres
package import Primitives
import Revocation

/// What a key does at some moment.
package enum KeyState: String, Sendable, CaseIterable {
    /// It is public and does not sign yet.
    case next
    /// It signs.
    case active
    /// It signs no more; what it has signed is good until it expires.
    case replaced
    /// It is trusted no more.
    case retired
}

/// One key, as it may be shown.
package struct KeyView: Sendable, Equatable {
    /// Its id (`kid`).
    package let id: KeyID
    /// What it is for.
    package let use: String
    /// What it does now.
    package let state: KeyState
    /// When it was made.
    package let createdAt: Timestamp
    /// From when on it signs.
    package let activeFrom: Timestamp
    /// When it was retired, if it was.
    package let retiredAt: Timestamp?

    /// A key.
    package init(
        id: KeyID,
        use: String,
        state: KeyState,
        createdAt: Timestamp,
        activeFrom: Timestamp,
        retiredAt: Timestamp?
    ) {
        self.id = id
        self.use = use
        self.state = state
        self.createdAt = createdAt
        self.activeFrom = activeFrom
        self.retiredAt = retiredAt
    }

    /// The keys of `rows`, which are in the order of `KeyStore.list`, at `now`.
    package static func views(_ rows: [KeyRow], at now: Timestamp) -> [KeyView] {
        var seen: Set<String> = []
        return rows.map { row in
            let state: KeyState
            if row.retiredAt != nil {
                state = .retired
            } else if row.activeFrom > now {
                state = .next
            } else {
                state = seen.insert(row.use).inserted ? .active : .replaced
            }
            return KeyView(
                id: row.id,
                use: row.use,
                state: state,
                createdAt: row.createdAt,
                activeFrom: row.activeFrom,
                retiredAt: row.retiredAt
            )
        }
    }
}

/// Refusals about keys.
package enum KeyRefusal: Refusal, Equatable {
    /// There is no such signing key, or it is retired already.
    case notFound
    /// Nothing else could sign.
    case inUse
    /// There are as many as there may be.
    case tooMany

    package var code: ProblemCode {
        switch self {
        case .notFound: .notFound
        case .inUse: .inUse
        case .tooMany: .limitReached
        }
    }

    package var detail: String? {
        switch self {
        case .notFound: nil
        case .inUse: "No other signing key is active: make one, and remove this one then."
        case .tooMany: "There are \(KeyStore.liveLimit) signing keys: remove one first."
        }
    }
}

extension KeyKeeper {
    /// A page of the signing keys, those that sign last first; one statement.
    package func signingKeys(
        _ request: PageRequest,
        now: Timestamp
    ) async throws -> Page<KeyView> {
        let all = KeyView.views(try await database.rows(KeyStore.list()), at: now)
            .filter { $0.use == KeyUse.accessToken.rawValue }
        let after = request.cursor.flatMap { KeyID(bytes: $0.bytes) }
        let start = after.flatMap { id in all.firstIndex { $0.id == id } }.map { $0 + 1 } ?? 0
        return Page(Array(all[start...]), of: request) { $0.id.bytes }
    }

    /// Makes a signing key for `actor`, active after the time of publication unless `atOnce`.
    ///
    /// Two statements in a transaction. The operator at the terminal is nobody's account: nil.
    ///
    /// - Throws: `KeyRefusal.tooMany`; a fault where a key does not open: others could not open
    ///   this one either.
    package func makeSigningKey(
        atOnce: Bool,
        by actor: AccountID?,
        _ trace: RequestTrace
    ) async throws -> KeyView {
        guard flaw == nil else { throw KeyFault.closed }
        let (key, sealed) = try newKey(
            .accessToken,
            at: trace.now,
            activeFrom: trace.now + (atOnce ? .zero : settings.publishAhead)
        )
        let audit = AuditBinds(trace, entropy: entropy)
        try await database.transaction { transaction in
            _ = try await transaction.first(KeyStore.lock())
            let made = try await transaction.first(
                KeyStore.rotate(
                    key.id,
                    key.use.algorithm,
                    key.publicPoint,
                    sealed,
                    Int32(masterKey.currentVersion),
                    key.activeFrom,
                    actor,
                    audit
                )
            )
            // In here, so that an idempotency key is not marked.
            guard made != nil else { throw KeyRefusal.tooMany }
        }
        try await reload()
        return KeyView(
            id: key.id,
            use: key.use.rawValue,
            state: atOnce ? .active : .next,
            createdAt: key.createdAt,
            activeFrom: key.activeFrom,
            retiredAt: nil
        )
    }

    /// Takes a signing key out of use for `actor`, nil for the operator at the terminal; its tokens
    /// are refused when this returns.
    ///
    /// - Throws: `KeyRefusal.notFound`, or `.inUse` for the only one that is active.
    package func removeSigningKey(
        _ id: KeyID,
        by actor: AccountID?,
        _ trace: RequestTrace
    ) async throws {
        let audit = AuditBinds(trace, entropy: entropy)
        let isRemoved = try await revoker.transaction { transaction in
            _ = try await transaction.first(KeyStore.lock())
            return try await transaction.first(
                KeyStore.remove(
                    id,
                    actor,
                    audit
                )
            )
        }
        guard let isRemoved else { throw KeyRefusal.notFound }
        guard isRemoved else { throw KeyRefusal.inUse }
        // Each mint asks the database which key signs. One that has asked already and waits for a
        // lock may still sign with this one, and gives what is refused everywhere.
        try await reload()
    }
}

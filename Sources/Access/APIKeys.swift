// The keys of service accounts. Nobody makes a key that may more than he may himself (row 169); who
// makes one sees it once. A key that is taken back is refused at every gateway when that is
// answered (W1): its id goes into the revocation log as that of a token.
import Audit
package import Postgres
package import Primitives
package import Revocation

/// A key as administrators see it; never the key itself (row 168).
package struct APIKeyView: Sendable {
    /// The key.
    package let id: APIKeyID
    /// What it is for.
    package let name: String
    /// What it is narrowed to; nil for all that its account may.
    package let permissions: [String]?
    /// Since when it is there.
    package let createdAt: Timestamp
    /// Who made it.
    package let createdBy: AccountID?
    /// Until when; nil for ever.
    package let expiresAt: Timestamp?
    /// When it was last shown, to the minute.
    package let lastUsedAt: Timestamp?
    /// When it was taken back.
    package let revokedAt: Timestamp?

    /// A key.
    package init(
        id: APIKeyID,
        name: String,
        permissions: [String]?,
        createdAt: Timestamp,
        createdBy: AccountID?,
        expiresAt: Timestamp?,
        lastUsedAt: Timestamp?,
        revokedAt: Timestamp?
    ) {
        self.id = id
        self.name = name
        self.permissions = permissions
        self.createdAt = createdAt
        self.createdBy = createdBy
        self.expiresAt = expiresAt
        self.lastUsedAt = lastUsedAt
        self.revokedAt = revokedAt
    }
}

/// A key that is to be made.
package struct APIKeyRequest: Sendable {
    /// What it is for.
    package let name: String
    /// What it is narrowed to; nil for all that its account may.
    package let permissions: [String]?
    /// Until when; nil for ever.
    package let expiresAt: Timestamp?

    /// A key that is to be made.
    package init(name: String, permissions: [String]?, expiresAt: Timestamp?) {
        self.name = name
        self.permissions = permissions
        self.expiresAt = expiresAt
    }
}

/// Why a key cannot be made or taken back.
package enum APIKeyRefusal: Refusal, Equatable {
    /// There is no such service account, or it has no such key.
    case notFound
    /// The account has as many keys as one may have.
    case limitReached
    /// The end is not in the future.
    case isOver

    package var code: ProblemCode {
        switch self {
        case .notFound: .notFound
        case .limitReached: .limitReached
        case .isOver: .validationFailed
        }
    }
    package var memberErrors: [MemberError] {
        switch self {
        case .isOver: [MemberError("expires_at", "in-the-past", "must be in the future")]
        case .notFound, .limitReached: []
        }
    }
}

/// Makes keys and takes them back.
package struct APIKeys: Sendable {
    /// The most keys of one account that are in force.
    package static let limit = 100
    /// The most permissions that one key is narrowed to.
    package static let permissionLimit = 100

    let revoker: Revoker
    let database: any PostgresExecutor
    let entropy: Entropy

    /// The use cases.
    package init(revoker: Revoker, database: any PostgresExecutor, entropy: Entropy) {
        self.revoker = revoker
        self.database = database
        self.entropy = entropy
    }

    /// Makes a key; the answer holds it for the only time.
    ///
    /// - Throws: `APIKeyRefusal`, `GrantRefusal`; or a fault.
    package func create(
        _ request: APIKeyRequest,
        for account: AccountID,
        by grantor: Grantor,
        _ trace: RequestTrace
    ) async throws -> (view: APIKeyView, text: Secret) {
        if let end = request.expiresAt, end <= trace.now { throw APIKeyRefusal.isOver }
        let (key, text) = APIKey.make(APIKeyID(at: trace.now, entropy: entropy), entropy: entropy)
        let binds = AuditBinds(trace, entropy: entropy)
        let view = try await revoker.transaction { transaction in
            let grants = try await Grants(transaction, by: grantor, changing: [account])
            guard try await transaction.first(APIKeyStore.findAccount(account)) != nil else {
                throw APIKeyRefusal.notFound
            }
            try await grants.allowActing(
                as: account,
                narrowedTo: request.permissions,
                until: request.expiresAt
            )
            let count = try await transaction.first(APIKeyStore.count(account, binds.at)) ?? 0
            guard count < Self.limit else { throw APIKeyRefusal.limitReached }
            let made = try await transaction.first(
                APIKeyStore.insert(
                    key.id,
                    account,
                    request.name,
                    key.digest,
                    request.permissions,
                    request.expiresAt,
                    grantor.actor,
                    binds
                )
            )
            guard let made else { throw APIKeyRefusal.notFound }
            return made
        }
        return (view, text)
    }

    /// The keys of an account in the order of their ids, those that were taken back among them.
    ///
    /// - Throws: `APIKeyRefusal.notFound`.
    package func list(
        of account: AccountID,
        _ request: PageRequest
    ) async throws -> Page<APIKeyView> {
        guard try await database.first(APIKeyStore.findAccount(account)) != nil else {
            throw APIKeyRefusal.notFound
        }
        let after: APIKeyID = request.after()
        let rows = try await database.rows(APIKeyStore.list(account, after, request.rowLimit))
        return Page(rows, of: request) { $0.id.bytes }
    }

    /// Takes a key back; it opens nothing anywhere when this returns.
    ///
    /// Whoever may change services may do that to any key: one that has leaked must not wait for
    /// somebody who holds as much. One that is taken back already is revoked once more: the second
    /// caller must not be told so before the first revocation is out (revocation.md H19).
    ///
    /// - Throws: `APIKeyRefusal.notFound`; or a fault.
    package func revoke(
        _ key: APIKeyID,
        of account: AccountID,
        by grantor: Grantor,
        _ trace: RequestTrace
    ) async throws {
        let binds = AuditBinds(trace, entropy: entropy)
        let revoked = try await revoker.first(
            APIKeyStore.revoke(
                key,
                account,
                grantor.actor,
                binds
            )
        )
        guard revoked != nil else { throw APIKeyRefusal.notFound }
    }
}

extension Grants {
    /// Refuses unless the caller holds all that `account` may as far as a key is narrowed, and all
    /// that the key names, which its account may get one day; as long as the key opens anything,
    /// for whoever has made it knows it.
    package func allowActing(
        as account: AccountID,
        narrowedTo limit: [String]?,
        until end: Timestamp?
    ) async throws {
        guard account != by.actor else { throw GrantRefusal.isSelf }
        let reach = try await Self.read(account, transaction).narrowed(to: limit)
        guard held.covers(reach) else { throw GrantRefusal.notHeld }
        guard held.covers(reach, for: .until(end)) else { throw GrantRefusal.endsSooner }
        // A key that is narrowed shows no roles.
        if limit == nil { try await allowNames(heldBy: account, for: .until(end)) }
        // What the account gets one day is the key's too, unless it is narrowed.
        let makes = AdminPermission.servicesWrite.rawValue
        try allow((limit ?? []) + [makes], in: .everywhere, for: .until(end))
    }
}

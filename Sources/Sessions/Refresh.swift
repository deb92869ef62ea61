// Exchanging a refresh token for its one child (W4).
import Audit
package import Postgres
package import Primitives
package import Revocation
import Tokens

/// Why a refresh is refused.
package enum RefreshRefusal: String, Refusal, Equatable {
    /// Not a token of ours. Costs no query.
    case invalid
    /// The session was not used in time, or is over its absolute limit.
    case expired
    /// The session was ended.
    case revoked
    /// An older token of the chain: the thief and the owner cannot be told apart, so the session
    /// has been ended (RFC 9700 section 4.14.2).
    case reused

    package var code: ProblemCode {
        switch self {
        case .invalid: .refreshTokenInvalid
        case .expired: .refreshTokenExpired
        case .revoked: .refreshTokenRevoked
        case .reused: .refreshTokenReused
        }
    }
}

/// Refreshes sessions.
package struct Refresh: Sendable {
    let database: any PostgresExecutor
    let revoker: Revoker
    let minting: Minting
    let collapseAfter: Int
    let entropy: Entropy

    /// The use case.
    ///
    /// - Parameter collapseAfter: as for `LogOut`.
    package init(
        database: any PostgresExecutor,
        revoker: Revoker,
        minting: Minting,
        collapseAfter: Int,
        entropy: Entropy
    ) {
        self.database = database
        self.revoker = revoker
        self.minting = minting
        self.collapseAfter = collapseAfter
        self.entropy = entropy
    }

    /// Exchanges `token` for a new pair.
    ///
    /// One statement; two where the token is not the current one; none where it is forged.
    ///
    /// - Throws: `RefreshRefusal`, committed and in force on every node before it is thrown; or a
    /// fault, after which the caller may try again: inside the grace window a repeated exchange
    /// gives the same child.
    package func callAsFunction(_ token: Secret, _ trace: RequestTrace) async throws -> TokenPair {
        // Parsed here; the text goes no further.
        let text = String(decoding: token.exposed, as: UTF8.self)
        guard let presented = try RefreshToken(text, ring: minting.keys.ring) else {
            throw RefreshRefusal.invalid
        }
        // The second round is for a token that another exchange was just about to replace when the
        // first looked.
        for _ in 0..<2 {
            if let row = try await rotate(presented, trace) {
                return try await minting.pair(row, nonce: presented.nonce)
            }
            guard let (row, outcome) = try await judge(presented, trace) else {
                throw RefreshRefusal.invalid
            }
            switch outcome {
            case "grace": return try await minting.pair(row, nonce: presented.nonce)
            case "retry": continue
            case "expired": throw RefreshRefusal.expired
            case "revoked": throw RefreshRefusal.revoked
            default: throw RefreshRefusal.reused
            }
        }
        throw RefreshRefusal.revoked
    }

    private func rotate(_ token: RefreshToken, _ trace: RequestTrace) async throws -> MintRow? {
        try await database.first(
            RefreshStore.rotate(
                token.sessionID,
                token.generation,
                token.nonceDigest,
                trace.now,
                trace.address,
                minting.settings.idleLimit.inSeconds,
                Int32(minting.settings.accessLifetime.wholeSeconds)
            )
        )
    }

    private func judge(
        _ token: RefreshToken,
        _ trace: RequestTrace
    ) async throws -> (MintRow, String)? {
        let binds = AuditBinds(trace, entropy: entropy)
        return try await revoker.first(
            RefreshStore.judge(
                token.sessionID,
                token.generation,
                token.nonceDigest,
                minting.settings.refreshGrace.inSeconds,
                Int32(minting.settings.accessLifetime.wholeSeconds),
                binds,
                Int32(collapseAfter)
            )
        )
    }
}

// The four scopes of logging out: this session, a named one, all others, all. Each stops access
// tokens too, on every node, before it is acknowledged: every statement here goes through the
// `Revoker`, which returns when that is so (revocation.md 1.3).
import Audit
package import Primitives
package import Revocation
package import Tokens

/// Why a session cannot be ended.
package enum LogOutRefusal: Refusal, Equatable {
    /// There is no such session of yours.
    case noSuchSession
    /// Whoever acts as somebody else ends no session of his but that in which he acts (row 177).
    case impersonating
    /// Your token was outdated before this took hold (S4-T2).
    case outdated

    package var code: ProblemCode {
        switch self {
        case .noSuchSession: .notFound
        case .impersonating: .permissionDenied
        case .outdated: .tokenRevoked
        }
    }
}

/// Ends sessions.
package struct LogOut: Sendable {
    let revoker: Revoker
    let minting: Minting
    let collapseAfter: Int
    let entropy: Entropy

    /// The use case.
    ///
    /// - Parameter collapseAfter: how many ends of sessions of one account in a minute are told to
    ///   the nodes one by one; 0 for all.
    package init(revoker: Revoker, minting: Minting, collapseAfter: Int, entropy: Entropy) {
        self.revoker = revoker
        self.minting = minting
        self.collapseAfter = collapseAfter
        self.entropy = entropy
    }

    /// Ends the caller's own session.
    ///
    /// Works, and revokes anew, when it had ended already (H19).
    package func thisSession(_ caller: AccessClaims, _ trace: RequestTrace) async throws {
        #if DEBUG
        if Mutant.active == .ackEarly {
            _ = Task(priority: nil) {
                try await end(caller.sessionID, by: caller, "logged-out", trace)
            }
            return
        }
        #endif
        _ = try await end(caller.sessionID, by: caller, "logged-out", trace)
    }

    /// Ends one session of the caller's.
    ///
    /// - Throws: `LogOutRefusal`: `.noSuchSession` also for somebody else's (S0-8).
    package func session(
        _ session: SessionID,
        _ caller: AccessClaims,
        _ trace: RequestTrace
    ) async throws {
        guard caller.actor == nil else { throw LogOutRefusal.impersonating }
        guard try await end(session, by: caller, "ended-by-owner", trace) else {
            throw LogOutRefusal.noSuchSession
        }
    }

    /// Outdates every access and refresh token of the caller's account, his own included.
    ///
    /// - Throws: `LogOutRefusal.outdated`, `.impersonating`.
    package func everywhere(_ caller: AccessClaims, _ trace: RequestTrace) async throws {
        guard caller.actor == nil else { throw LogOutRefusal.impersonating }
        let binds = AuditBinds(trace, entropy: entropy)
        let rotated = try await revoker.first(
            SessionStore.endAll(
                caller.accountID,
                caller.signatureGeneration,
                binds
            )
        )
        guard rotated != nil else { throw LogOutRefusal.outdated }
    }

    /// Ends all sessions of the caller's account but his own, which gets new tokens.
    ///
    /// - Throws: `LogOutRefusal.outdated`, `.impersonating`.
    package func others(_ caller: AccessClaims, _ trace: RequestTrace) async throws -> TokenPair {
        guard caller.actor == nil else { throw LogOutRefusal.impersonating }
        let nonce = entropy.bytes(16)
        let fresh = RefreshToken(sessionID: caller.sessionID, generation: 1, nonce: nonce)
        let binds = AuditBinds(trace, entropy: entropy)
        let row = try await revoker.first(
            SessionStore.endOthers(
                caller.accountID,
                caller.signatureGeneration,
                caller.sessionID,
                fresh.nonceDigest,
                trace.now,
                Int32(minting.settings.accessLifetime.wholeSeconds),
                binds
            )
        )
        guard let row else { throw LogOutRefusal.outdated }
        return try await minting.pair(row, nonce: nonce)
    }

    private func end(
        _ session: SessionID,
        by caller: AccessClaims,
        _ reason: String,
        _ trace: RequestTrace
    ) async throws -> Bool {
        func run(
            _ statement: SessionStore.End,
            _ reason: String
        ) async throws -> Bool {
            let ended = try await revoker.first(
                statement(
                    session,
                    caller.accountID,
                    reason,
                    AuditBinds(trace, entropy: entropy),
                    Int32(collapseAfter),
                    caller.actorID ?? caller.accountID,
                    nil
                )
            )
            return ended != nil
        }
        if try await run(SessionStore.end, reason) { return true }
        guard session == caller.sessionID else { return false }
        // The token is genuine, so there was such a session: a failover without a synchronous
        // standby, or a backup that was restored, has lost it. Its tokens are good until they end.
        return try await run(SessionStore.endLost, "lost")
    }
}

// Changing one's password: the current one is asked for (checklist row 23), wrong guesses count
// like wrong sign-ins, and every other session ends (S4-T10).
package import Access
package import Accounts
import Audit
package import Postgres
package import Primitives
package import Revocation
package import Tokens

/// Why a password is not changed.
package enum ChangePasswordRefusal: Refusal, Equatable {
    /// The current password is another one.
    case wrongPassword
    /// A second factor must be shown beside it.
    case secondFactorRequired
    /// The code of the second factor is not right.
    case wrongSecondFactor
    /// The new one may not be one.
    case invalid([MemberError])
    /// Too many wrong guesses.
    case throttled(Duration)
    /// The caller acts as somebody else.
    case impersonating
    /// The caller's session ended, or the password was changed, meanwhile.
    case outdated

    package var code: ProblemCode {
        switch self {
        case .wrongPassword: .passwordIncorrect
        case .secondFactorRequired: .secondFactorRequired
        case .wrongSecondFactor: .secondFactorIncorrect
        case .invalid: .validationFailed
        case .throttled: .tooManyAttempts
        case .impersonating: .permissionDenied
        case .outdated: .tokenRevoked
        }
    }

    package var memberErrors: [MemberError] {
        if case .invalid(let errors) = self { errors } else { [] }
    }

    package var retryAfter: Duration? {
        if case .throttled(let wait) = self { wait } else { nil }
    }
}

/// Changes passwords.
package struct ChangePassword: Sendable {
    let database: any PostgresExecutor
    let revoker: Revoker
    let hashing: PasswordHashing
    let throttle: Throttle
    let rules: SignInRules
    let secondFactors: SecondFactors
    let minimumLength: Int
    let minting: Minting
    let entropy: Entropy

    /// The use case.
    package init(
        database: any PostgresExecutor,
        revoker: Revoker,
        hashing: PasswordHashing,
        throttle: Throttle,
        rules: SignInRules,
        secondFactors: SecondFactors,
        minimumLength: Int,
        minting: Minting,
        entropy: Entropy
    ) {
        self.database = database
        self.revoker = revoker
        self.hashing = hashing
        self.throttle = throttle
        self.rules = rules
        self.secondFactors = secondFactors
        self.minimumLength = minimumLength
        self.minting = minting
        self.entropy = entropy
    }

    /// Replaces the caller's password and ends all his other sessions; his own gets a new pair.
    ///
    /// - Throws: `ChangePasswordRefusal`, `HashingOverloaded`; or a fault.
    package func callAsFunction(
        current: Secret,
        code: Secret? = nil,
        new: Secret,
        _ caller: AccessClaims,
        _ trace: RequestTrace
    ) async throws -> TokenPair {
        // Who acts as somebody else leaves his credentials alone (row 177).
        guard caller.actor == nil else { throw ChangePasswordRefusal.impersonating }
        let account = try await database.first(AccountStore.findPassword(caller.accountID))
        guard let account else { throw ChangePasswordRefusal.outdated }
        let fresh: Password
        do throws(PasswordFlaw) {
            fresh = try Password(new)
            let local = account.email.prefix { $0 != "@" }
            try PasswordRules(minimumLength: minimumLength).check(
                fresh,
                names: [String(local), account.username ?? ""]
            )
        } catch {
            throw ChangePasswordRefusal.invalid([
                error.memberError("new_password", minimum: minimumLength)
            ])
        }
        let reservation = try await prove(current, account.phc, caller, trace)
        let phc: String
        let isShown: Bool
        do {
            try Self.checkPresence(of: code, isWanted: account.hasSecondFactor)
            phc = try await hashing.hash(fresh)
            // Last, so that no code is used up for what is refused anyway.
            isShown = try await isRight(code, caller, trace)
        } catch {
            await throttle.giveBack(reservation)
            throw error
        }
        guard isShown else {
            try await record("wrong-second-factor", caller, trace)
            throw ChangePasswordRefusal.wrongSecondFactor
        }
        await throttle.giveBack(reservation)
        return try await replace(account.phc, by: phc, caller, trace)
    }

    /// A code comes with an account that has a second factor, and with no other.
    private static func checkPresence(
        of code: Secret?,
        isWanted: Bool
    ) throws(ChangePasswordRefusal) {
        switch (isWanted, code) {
        case (true, .some), (false, nil): return
        case (true, nil): throw .secondFactorRequired
        case (false, .some): throw .invalid([SecondFactors.needlessCode])
        }
    }

    /// One guess at the current password, reserved before it is hashed; to be given back.
    private func prove(
        _ current: Secret,
        _ phc: String,
        _ caller: AccessClaims,
        _ trace: RequestTrace
    ) async throws -> ThrottleReservation {
        let subjects = rules.subjects(
            account: caller.accountID,
            name: "",
            address: trace.address
        )
        guard case .allowed(let reservation) = await throttle.reserve(subjects) else {
            throw ChangePasswordRefusal.throttled(rules.perAccount.window)
        }
        let matches: Bool
        do {
            matches = try await hashing.check(try Password(current), against: phc)
        } catch is PasswordFlaw {
            matches = false
        } catch let error as HashingOverloaded {
            await throttle.giveBack(reservation)
            throw error
        }
        guard !matches else { return reservation }
        try await record("wrong-password", caller, trace)
        throw ChangePasswordRefusal.wrongPassword
    }

    private func isRight(
        _ code: Secret?,
        _ caller: AccessClaims,
        _ trace: RequestTrace
    ) async throws -> Bool {
        guard let code else { return true }
        return try await secondFactors.use(code, of: caller.accountID, trace) != nil
    }

    private func record(
        _ outcome: String,
        _ caller: AccessClaims,
        _ trace: RequestTrace
    ) async throws {
        let query = SessionStore.recordFailedChange(
            caller.accountID,
            caller.sessionID,
            AuditBinds(trace, entropy: entropy),
            outcome
        )
        _ = try await database.execute(query)
    }

    private func replace(
        _ old: String,
        by phc: String,
        _ caller: AccessClaims,
        _ trace: RequestTrace
    ) async throws -> TokenPair {
        let nonce = entropy.bytes(16)
        let first = RefreshToken(sessionID: caller.sessionID, generation: 1, nonce: nonce)
        let binds = AuditBinds(trace, entropy: entropy)
        let row = try await revoker.first(
            SessionStore.changePassword(
                caller.accountID,
                caller.signatureGeneration,
                caller.sessionID,
                first.nonceDigest,
                trace.now,
                Int32(minting.settings.accessLifetime.wholeSeconds),
                binds,
                old,
                phc
            )
        )
        guard let row else { throw ChangePasswordRefusal.outdated }
        return try await minting.pair(row, nonce: nonce)
    }
}

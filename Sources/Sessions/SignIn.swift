// Signing in with a password: throttle, find the account, check the password on the hashing
// threads, open a session, mint. An unknown account costs the same work and gets the same answer
// as a wrong password (W6); what is wrong with an account is told only to who knows its password.
package import Access
package import Accounts
import Audit
package import Postgres
package import Primitives
import Tokens

/// Why a sign-in is refused.
package enum SignInRefusal: Refusal, Equatable {
    /// Wrong password, unknown name, disabled account: one answer.
    case wrongCredentials
    /// The password was right; the address is not confirmed.
    case unconfirmed
    /// Too many attempts for this account or from this address.
    case throttled(Duration)

    package var code: ProblemCode {
        switch self {
        case .wrongCredentials: .signInFailed
        case .unconfirmed: .accountUnconfirmed
        case .throttled: .tooManyAttempts
        }
    }

    package var retryAfter: Duration? {
        if case .throttled(let wait) = self { wait } else { nil }
    }
}

/// How often a password may be tried.
package struct SignInRules: Sendable {
    /// Attempts on one account, from anywhere, by any of its names.
    package var perAccount: ThrottleRule
    /// Attempts from one address, on any account.
    package var perAddress: ThrottleRule

    /// Rules.
    package init(perAccount: ThrottleRule, perAddress: ThrottleRule) {
        self.perAccount = perAccount
        self.perAddress = perAddress
    }

    /// The counters that an attempt moves.
    ///
    /// An unknown name counts like a known one.
    func subjects(account: AccountID?, name: String, address: String) -> [ThrottleSubject] {
        [
            ThrottleSubject(rule: perAccount, key: account?.description ?? "name:" + name),
            ThrottleSubject(rule: perAddress, key: address),
        ]
    }
}

/// Signs people in.
package struct SignIn: Sendable {
    let database: any PostgresExecutor
    let hashing: PasswordHashing
    let throttle: Throttle
    let rules: SignInRules
    let minting: Minting
    let requiresConfirmation: Bool
    let entropy: Entropy

    /// The use case.
    package init(
        database: any PostgresExecutor,
        hashing: PasswordHashing,
        throttle: Throttle,
        rules: SignInRules,
        minting: Minting,
        requiresConfirmation: Bool,
        entropy: Entropy
    ) {
        self.database = database
        self.hashing = hashing
        self.throttle = throttle
        self.rules = rules
        self.minting = minting
        self.requiresConfirmation = requiresConfirmation
        self.entropy = entropy
    }

    /// Opens a session for whoever knows the password of `login`.
    ///
    /// Two statements, one hash, one signature.
    ///
    /// - Throws: `SignInRefusal`, `HashingOverloaded`; or a fault.
    package func callAsFunction(
        login: String,
        password: Secret,
        transport: Transport,
        _ trace: RequestTrace
    ) async throws -> TokenPair {
        let name = LoginName(login)
        let account: SignInAccount? =
            if let name {
                try await database.first(AccountStore.findForSignIn(name.canonical))
            } else {
                nil
            }
        // A wrong form of a name is counted by its digest, not kept.
        let subjects = rules.subjects(
            account: account?.id,
            name: name?.canonical ?? login,
            address: trace.address
        )
        let reservation: ThrottleReservation
        switch await throttle.reserve(subjects) {
        case .refused(let wait, _): throw SignInRefusal.throttled(wait)
        case .allowed(let allowed): reservation = allowed
        }
        let outcome: Outcome
        do {
            outcome = try await judge(password, account)
        } catch let error as HashingOverloaded {
            // No password was tried.
            await throttle.giveBack(reservation)
            throw error
        }
        guard case .rightPassword(let account, let phc) = outcome else {
            try await record(outcome, account?.id, trace)
            throw SignInRefusal.wrongCredentials
        }
        await throttle.giveBack(reservation)
        if requiresConfirmation && !account.isConfirmed {
            try await record(.unconfirmed, account.id, trace)
            throw SignInRefusal.unconfirmed
        }
        guard let pair = try await open(account.id, phc, transport, trace) else {
            // Disabled, or the password was changed, while the old one was being checked.
            try await record(.wrongPassword, account.id, trace)
            throw SignInRefusal.wrongCredentials
        }
        await upgrade(account.id, phc, password, trace)
        return pair
    }

    private enum Outcome {
        case rightPassword(SignInAccount, phc: String)
        case wrongPassword
        case disabled
        case unconfirmed
    }

    /// One hash in every case.
    private func judge(_ secret: Secret, _ account: SignInAccount?) async throws -> Outcome {
        let isActive = account?.state == "active"
        let password: Password
        do {
            password = try Password(secret)
        } catch {
            // It can be nobody's; hash something all the same.
            password = try Password(Secret("an unusable password"))
            _ = try await hashing.check(password, against: nil)
            return .wrongPassword
        }
        let matches = try await hashing.check(password, against: account?.phc)
        guard matches, let account, let phc = account.phc else { return .wrongPassword }
        return isActive ? .rightPassword(account, phc: phc) : .disabled
    }

    private func open(
        _ account: AccountID,
        _ phc: String,
        _ transport: Transport,
        _ trace: RequestTrace
    ) async throws -> TokenPair? {
        let settings = minting.settings
        let session = SessionID(at: trace.now, entropy: entropy)
        let first = RefreshToken(sessionID: session, generation: 1, nonce: entropy.bytes(16))
        let binds = AuditBinds(trace, entropy: entropy)
        let row = try await database.first(
            SignInStore.open(
                session,
                account,
                phc,
                first.nonceDigest,
                transport.rawValue,
                trace.userAgent,
                trace.now + min(settings.idleLimit, settings.absoluteLimit),
                trace.now + settings.absoluteLimit,
                EntryID(at: trace.now, entropy: entropy),
                "password",
                Int32(settings.accessLifetime.wholeSeconds),
                "watchword",
                binds.entry,
                binds.at,
                binds.address,
                binds.request
            )
        )
        guard let row else { return nil }
        return try await minting.pair(row, nonce: first.nonce)
    }

    /// Moves a hash with older parameters to the current ones.
    ///
    /// The sign-in has succeeded whatever comes of it, so an overloaded queue or a fault is left to
    /// the next sign-in.
    private func upgrade(
        _ account: AccountID,
        _ phc: String,
        _ secret: Secret,
        _ trace: RequestTrace
    ) async {
        guard hashing.isOutdated(phc) else { return }
        let binds = AuditBinds(trace, entropy: entropy)
        do {
            let fresh = try await hashing.hash(try Password(secret))
            _ = try await database.first(
                AccountStore.rehash(
                    account,
                    phc,
                    fresh,
                    binds.entry,
                    binds.at,
                    binds.address,
                    binds.request
                )
            )
        } catch {
            return
        }
    }

    private func record(
        _ outcome: Outcome,
        _ account: AccountID?,
        _ trace: RequestTrace
    ) async throws {
        let text =
            switch outcome {
            case .disabled: "disabled"
            case .unconfirmed: "unconfirmed"
            case .rightPassword, .wrongPassword: "wrong-password"
            }
        let binds = AuditBinds(trace, entropy: entropy)
        _ = try await database.execute(
            SignInStore.recordFailure(
                account,
                EntryID(at: trace.now, entropy: entropy),
                trace.userAgent,
                text,
                binds.entry,
                binds.at,
                binds.address,
                binds.request
            )
        )
    }
}

// Signing in with a password: throttle, find the account, check the password on the hashing
// threads, open a session, mint. An unknown account costs the same work and gets the same answer
// as a wrong password (W6); what is wrong with an account is told only to who knows its password.
package import Access
package import Accounts
import Audit
package import Postgres
package import Primitives
package import Revocation
import Tokens

/// Why a sign-in is refused.
package enum SignInRefusal: Refusal, Equatable {
    /// Wrong password, unknown name, disabled account: one answer.
    case wrongCredentials
    /// The password was right; the address is not confirmed.
    case unconfirmed
    /// The password was right; it must be replaced before it opens anything.
    case passwordChangeRequired
    /// The password was right; a second factor must be shown beside it.
    case secondFactorRequired
    /// The password was right; the code is not.
    case wrongSecondFactor
    /// The password was right; the account may not act in the organisation.
    case organisationRefused
    /// The password was right; the new one may not be one.
    case invalid([MemberError])
    /// Too many attempts for this account or from this address.
    case throttled(Duration)

    package var code: ProblemCode {
        switch self {
        case .wrongCredentials: .signInFailed
        case .unconfirmed: .accountUnconfirmed
        case .passwordChangeRequired: .passwordChangeRequired
        case .secondFactorRequired: .secondFactorRequired
        case .wrongSecondFactor: .secondFactorIncorrect
        case .organisationRefused: .organisationRefused
        case .invalid: .validationFailed
        case .throttled: .tooManyAttempts
        }
    }

    package var memberErrors: [MemberError] {
        if case .invalid(let errors) = self { errors } else { [] }
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
    let revoker: Revoker
    let hashing: PasswordHashing
    let throttle: Throttle
    let rules: SignInRules
    let secondFactors: SecondFactors
    let minting: Minting
    let settings: AccountSettings
    let entropy: Entropy

    /// The use case.
    package init(
        database: any PostgresExecutor,
        revoker: Revoker,
        hashing: PasswordHashing,
        throttle: Throttle,
        rules: SignInRules,
        secondFactors: SecondFactors,
        minting: Minting,
        settings: AccountSettings,
        entropy: Entropy
    ) {
        self.database = database
        self.revoker = revoker
        self.hashing = hashing
        self.throttle = throttle
        self.rules = rules
        self.secondFactors = secondFactors
        self.minting = minting
        self.settings = settings
        self.entropy = entropy
    }

    /// Opens a session for whoever knows the password of `login`.
    ///
    /// Two statements, one hash, one signature; two more statements for a second factor.
    ///
    /// - Parameters:
    ///   - code: of the second factor, where the account has one, only then.
    ///   - newPassword: what replaces the password where it must be replaced, only then.
    ///   - organisation: what the session is for; nil for none.
    /// - Throws: `SignInRefusal`, `HashingOverloaded`; or a fault.
    package func callAsFunction(
        login: String,
        password: Secret,
        code: Secret? = nil,
        newPassword: Secret? = nil,
        transport: Transport,
        organisation: OrganisationID? = nil,
        _ trace: RequestTrace
    ) async throws -> TokenPair {
        let name = LoginName(login)
        let account = try await find(name)
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
        let fresh: String?
        let shown: SignInFactors?
        do {
            fresh = try await admit(account, code, password, newPassword, organisation, trace)
            // Last, so that no code is used up for what is refused anyway.
            shown = try await secondFactor(code, account, trace)
        } catch {
            await throttle.giveBack(reservation)
            throw error
        }
        guard let factors = shown else {
            // Not given back: code and password are guessed under one limit.
            try await record(.wrongSecondFactor, account.id, trace)
            throw SignInRefusal.wrongSecondFactor
        }
        await throttle.giveBack(reservation)
        let opened = try await open(
            account.id,
            phc,
            fresh,
            factors,
            transport,
            organisation,
            trace
        )
        guard let pair = opened else {
            // Disabled, or the password was changed, while the old one was being checked.
            try await record(.wrongPassword, account.id, trace)
            throw SignInRefusal.wrongCredentials
        }
        if fresh == nil { await upgrade(account.id, phc, password, trace) }
        return pair
    }

    private func find(_ name: LoginName?) async throws -> SignInAccount? {
        guard let name else { return nil }
        return try await database.first(AccountStore.findForSignIn(name.canonical))
    }

    /// Whether somebody who knows the password may go on, and the hash that replaces it where one
    /// must.
    private func admit(
        _ account: SignInAccount,
        _ code: Secret?,
        _ password: Secret,
        _ newPassword: Secret?,
        _ organisation: OrganisationID?,
        _ trace: RequestTrace
    ) async throws -> String? {
        try await checkPresence(of: code, account, trace)
        if settings.requiresConfirmation && !account.isConfirmed {
            try await record(.unconfirmed, account.id, trace)
            throw SignInRefusal.unconfirmed
        }
        if let organisation { try await check(organisation, account.id, trace) }
        return try await renewal(of: password, by: newPassword, account, trace)
    }

    /// What opens the account: the password alone where nothing else is wanted; nil where the code
    /// is wrong.
    private func secondFactor(
        _ code: Secret?,
        _ account: SignInAccount,
        _ trace: RequestTrace
    ) async throws -> SignInFactors? {
        guard account.hasSecondFactor, let code else { return .password }
        return try await secondFactors.use(code, of: account.id, trace)
    }

    /// A code comes with an account that has a second factor, and with no other.
    private func checkPresence(
        of code: Secret?,
        _ account: SignInAccount,
        _ trace: RequestTrace
    ) async throws {
        switch (account.hasSecondFactor, code) {
        case (true, .some), (false, nil): return
        case (true, nil):
            try await record(.secondFactorRequired, account.id, trace)
            throw SignInRefusal.secondFactorRequired
        case (false, .some): throw SignInRefusal.invalid([SecondFactors.needlessCode])
        }
    }

    /// Refuses an organisation that the account may not act in, or that is not there, alike.
    private func check(
        _ organisation: OrganisationID,
        _ account: AccountID,
        _ trace: RequestTrace
    ) async throws {
        let query = SessionOrganisationStore.find(account, organisation)
        guard try await database.first(query) == nil else { return }
        try await record(.organisationRefused, account, trace)
        throw SignInRefusal.organisationRefused
    }

    /// The hash that replaces a password which must be replaced; nil where none must.
    private func renewal(
        of old: Secret,
        by new: Secret?,
        _ account: SignInAccount,
        _ trace: RequestTrace
    ) async throws -> String? {
        guard account.mustChangePassword else {
            guard new == nil else {
                let detail = "is only for a password that must be replaced"
                throw SignInRefusal.invalid([MemberError("new_password", "not-required", detail)])
            }
            return nil
        }
        guard let new else {
            try await record(.passwordChangeRequired, account.id, trace)
            throw SignInRefusal.passwordChangeRequired
        }
        guard let names = try await database.first(AccountStore.findPassword(account.id)) else {
            throw SignInRefusal.wrongCredentials
        }
        let fresh: Password
        do throws(PasswordFlaw) {
            fresh = try Password(new)
            let local = names.email.prefix { $0 != "@" }
            try PasswordRules(minimumLength: settings.minimumPasswordLength).check(
                fresh,
                names: [String(local), names.username ?? ""]
            )
            guard try !fresh.isSame(as: Password(old)) else { throw .tooCommon }
        } catch {
            throw SignInRefusal.invalid([
                error.memberError("new_password", minimum: settings.minimumPasswordLength)
            ])
        }
        return try await hashing.hash(fresh)
    }

    private enum Outcome {
        case rightPassword(SignInAccount, phc: String)
        case wrongPassword
        case disabled
        case unconfirmed
        case passwordChangeRequired
        case secondFactorRequired
        case wrongSecondFactor
        case organisationRefused
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
        _ fresh: String?,
        _ factors: SignInFactors,
        _ transport: Transport,
        _ organisation: OrganisationID?,
        _ trace: RequestTrace
    ) async throws -> TokenPair? {
        let settings = minting.settings
        let session = SessionID(at: trace.now, entropy: entropy)
        let first = RefreshToken(sessionID: session, generation: 1, nonce: entropy.bytes(16))
        let binds = AuditBinds(trace, entropy: entropy)
        let idleEnd = trace.now + min(settings.idleLimit, settings.absoluteLimit)
        let line = EntryID(at: trace.now, entropy: entropy)
        let lifetime = Int32(settings.accessLifetime.wholeSeconds)
        let row: MintRow?
        if let fresh {
            let change = AuditBinds(trace, entropy: entropy)
            row = try await revoker.first(
                SignInStore.openAnew(
                    session,
                    account,
                    phc,
                    first.nonceDigest,
                    transport.rawValue,
                    trace.userAgent,
                    idleEnd,
                    trace.now + settings.absoluteLimit,
                    line,
                    factors.rawValue,
                    lifetime,
                    "watchword",
                    binds,
                    fresh,
                    change,
                    organisation
                )
            )
        } else {
            row = try await database.first(
                SignInStore.open(
                    session,
                    account,
                    phc,
                    first.nonceDigest,
                    transport.rawValue,
                    trace.userAgent,
                    idleEnd,
                    trace.now + settings.absoluteLimit,
                    line,
                    factors.rawValue,
                    lifetime,
                    "watchword",
                    binds,
                    organisation
                )
            )
        }
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
                    binds
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
            case .passwordChangeRequired: "password-change-required"
            case .secondFactorRequired: "second-factor-required"
            case .wrongSecondFactor: "wrong-second-factor"
            case .organisationRefused: "organisation-refused"
            case .rightPassword, .wrongPassword: "wrong-password"
            }
        let binds = AuditBinds(trace, entropy: entropy)
        _ = try await database.execute(
            SignInStore.recordFailure(
                account,
                EntryID(at: trace.now, entropy: entropy),
                trace.userAgent,
                text,
                binds
            )
        )
    }
}

// Signing up. Who can have an account, under which names, with which password; never which roles:
// those a stranger cannot choose (S3-T1).
package import Access
import Audit
package import Postgres
package import Primitives

/// Why a sign-up is refused.
package enum RegisterRefusal: Refusal, Equatable {
    /// Sign-up is switched off.
    case closed
    /// Members that cannot be accepted.
    case invalid([MemberError])
    /// The address has an account. Told only because confirmation is off (W6).
    case emailTaken
    /// The user name is taken; names are public.
    case usernameTaken
    /// Too many from this address.
    case throttled(Duration)

    package var code: ProblemCode {
        switch self {
        case .closed: .registrationDisabled
        case .invalid: .validationFailed
        case .emailTaken: .emailTaken
        case .usernameTaken: .usernameTaken
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

/// What somebody signs up with.
package struct Registration: Sendable {
    /// The address.
    package var email: String
    /// The user name, if one is wanted.
    package var username: String?
    /// The password as it was received.
    package var password: Secret
    /// What the person tells.
    package var profile: AccountProfile

    /// A request to sign up.
    package init(email: String, username: String?, password: Secret, profile: AccountProfile) {
        self.email = email
        self.username = username
        self.password = password
        self.profile = profile
    }
}

/// The outcome of a sign-up.
package enum Registered: Sendable {
    /// The account.
    case account(AccountView)
    /// A message is under way, or would be if the address were free: the answer is the same.
    case confirmationSent
}

/// Signs people up.
package struct Register: Sendable {
    let database: any PostgresExecutor
    let hashing: PasswordHashing
    let throttle: Throttle
    let settings: AccountSettings
    let entropy: Entropy

    /// The use case.
    package init(
        database: any PostgresExecutor,
        hashing: PasswordHashing,
        throttle: Throttle,
        settings: AccountSettings,
        entropy: Entropy
    ) {
        self.database = database
        self.hashing = hashing
        self.throttle = throttle
        self.settings = settings
        self.entropy = entropy
    }

    /// Makes an account for a stranger.
    ///
    /// One hash and one statement. With confirmation required the answer does not tell whether
    /// the address was known, and costs the same (W6).
    ///
    /// - Throws: `RegisterRefusal`, `HashingOverloaded`; or a fault.
    package func callAsFunction(
        _ registration: Registration,
        _ trace: RequestTrace
    ) async throws -> Registered {
        guard settings.isRegistrationOpen else { throw RegisterRefusal.closed }
        let (names, password) = try check(registration)
        let subject = ThrottleSubject(rule: settings.registrationRule, key: trace.address)
        if case .refused(let wait, _) = await throttle.reserve([subject]) {
            throw RegisterRefusal.throttled(wait)
        }
        let phc = try await hashing.hash(password)
        do {
            let view = try await insert(
                names,
                phc,
                registration.profile,
                isAdministrator: false,
                in: database,
                trace
            )
            return settings.requiresConfirmation ? .confirmationSent : .account(view)
        } catch RegisterRefusal.emailTaken where settings.requiresConfirmation {
            return .confirmationSent
        }
    }

    /// Makes the first administrator, for the command line; nil where there is one.
    ///
    /// Of several at once one makes it, and the others find it.
    ///
    /// - Throws: `RegisterRefusal.invalid`, `.emailTaken`, `.usernameTaken`; or a fault.
    package func administrator(
        _ registration: Registration,
        in pool: PostgresPool,
        _ trace: RequestTrace
    ) async throws -> AccountView? {
        let (names, password) = try check(registration)
        let phc = try await hashing.hash(password)
        return try await pool.transaction { transaction -> AccountView? in
            _ = try await transaction.first(AccountStore.lockFirstAdministrator())
            let holder = try await transaction.first(AccountStore.findHolder(BuiltInRole.admin))
            guard holder == nil else { return nil }
            return try await insert(
                names,
                phc,
                registration.profile,
                isAdministrator: true,
                in: transaction,
                trace
            )
        }
    }

    /// All complaints about the members at once.
    private func check(
        _ registration: Registration
    ) throws(RegisterRefusal) -> (AccountNames, Password) {
        var errors: [MemberError] = []
        var names: AccountNames?
        var password: Password?
        do {
            names = try AccountNames(email: registration.email, username: registration.username)
        } catch {
            errors.append(error.memberError)
        }
        do throws(PasswordFlaw) {
            let candidate = try Password(registration.password)
            let local = registration.email.prefix { $0 != "@" }
            try PasswordRules(minimumLength: settings.minimumPasswordLength).check(
                candidate,
                names: [String(local), registration.username ?? ""]
            )
            password = candidate
        } catch {
            errors.append(error.memberError("password", minimum: settings.minimumPasswordLength))
        }
        guard let names, let password else { throw .invalid(errors) }
        return (names, password)
    }

    private func insert(
        _ names: AccountNames,
        _ phc: String,
        _ profile: AccountProfile,
        isAdministrator: Bool,
        in database: any PostgresExecutor,
        _ trace: RequestTrace
    ) async throws -> AccountView {
        let id = AccountID(at: trace.now, entropy: entropy)
        let binds = AuditBinds(trace, entropy: entropy)
        let statement = isAdministrator ? AccountStore.insertAdministrator : AccountStore.insert
        let confirmedAt = isAdministrator ? trace.now : nil
        do {
            _ = try await database.first(
                statement(
                    id,
                    names.email.text,
                    names.email.canonical,
                    names.username?.text,
                    names.username?.canonical,
                    confirmedAt,
                    phc,
                    profile.givenName,
                    profile.familyName,
                    profile.address,
                    profile.phoneNumber,
                    profile.birthdate,
                    isAdministrator ? [BuiltInRole.admin] : [],
                    binds
                )
            )
        } catch let error as PostgresError where error.isUniqueViolation(of: "accounts_email_key") {
            throw RegisterRefusal.emailTaken
        } catch let error as PostgresError
            where error.isUniqueViolation(of: "accounts_username_key")
        {
            throw RegisterRefusal.usernameTaken
        }
        return AccountView(
            id: id,
            email: names.email.text,
            username: names.username?.text,
            isConfirmed: confirmedAt != nil,
            roles: [],
            createdAt: trace.now,
            lastLoginAt: nil,
            profile: profile
        )
    }
}

/// The names an account goes by.
struct AccountNames {
    let email: EmailAddress
    let username: Username?
}

extension PasswordFlaw {
    /// The complaint about the member that held the password.
    package func memberError(_ member: String, minimum: Int) -> MemberError {
        let detail =
            switch self {
            case .tooShort: "must have at least \(minimum) characters"
            case .tooLong: "must have at most \(Password.byteLimit) bytes"
            case .tooCommon: "is among the first that are guessed; choose another"
            case .unusable: "holds a character that cannot be used"
            }
        return MemberError(member, rawValue, detail)
    }
}

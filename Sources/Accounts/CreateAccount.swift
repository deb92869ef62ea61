// Making an account for somebody else. It gets the default roles and no others: who gives roles
// needs the permission for that. In an organisation nobody is made any more once it is disabled:
// the transaction holds it as it is, and looks whether the caller may still. A password that an
// administrator has chosen is one that two people know, so it must be replaced at the first sign-in
// unless he says otherwise.
package import Access
import Audit
import Postgres
package import Primitives
package import Revocation

/// Whom an administrator makes an account for.
package struct NewAccount: Sendable {
    /// The address.
    package var email: String
    /// The user name, if there is one.
    package var username: String?
    /// The password; without one nobody can sign in with a password.
    package var password: Secret?
    /// Whether the password must be replaced at the first sign-in.
    package var mustChangePassword: Bool
    /// Whether the administrator vouches for the address.
    package var isConfirmed: Bool
    /// What is known of the person.
    package var profile: AccountProfile

    /// An account to be made.
    package init(
        email: String,
        username: String?,
        password: Secret?,
        mustChangePassword: Bool,
        isConfirmed: Bool,
        profile: AccountProfile
    ) {
        self.email = email
        self.username = username
        self.password = password
        self.mustChangePassword = mustChangePassword
        self.isConfirmed = isConfirmed
        self.profile = profile
    }
}

/// Makes accounts.
package struct CreateAccount: Sendable {
    let revoker: Revoker
    let hashing: PasswordHashing
    let settings: AccountSettings
    let entropy: Entropy

    /// The use case.
    package init(
        revoker: Revoker,
        hashing: PasswordHashing,
        settings: AccountSettings,
        entropy: Entropy
    ) {
        self.revoker = revoker
        self.hashing = hashing
        self.settings = settings
        self.entropy = entropy
    }

    /// Makes an account; in the realm of an organisation it is a member of that from the start.
    ///
    /// A hash where there is a password, and one transaction.
    ///
    /// - Throws: `AdministrationRefusal`, `GrantRefusal.notHeld`, `HashingOverloaded`; or a fault.
    package func callAsFunction(
        _ wanted: NewAccount,
        by actor: Grantor,
        _ trace: RequestTrace
    ) async throws -> AccountID {
        let (names, password) = try check(wanted)
        var phc: String?
        if let password { phc = try await hashing.hash(password) }
        let now = trace.now
        let account = AccountID(at: now, entropy: entropy)
        let binds = AuditBinds(trace, entropy: entropy)
        let query = AccountEditStore.create(
            account,
            names.email.text,
            names.email.canonical,
            names.username?.text,
            names.username?.canonical,
            wanted.isConfirmed ? now : nil,
            phc,
            wanted.profile.givenName,
            wanted.profile.familyName,
            wanted.profile.address,
            wanted.profile.phoneNumber,
            wanted.profile.birthdate,
            wanted.mustChangePassword,
            actor.realm.organisationID,
            actor.actor,
            binds
        )
        try await AdministrationRefusal.naming {
            _ = try await revoker.transaction { transaction in
                let grants = try await Grants(transaction, by: actor)
                let scope = actor.realm.organisationID.map(RoleScope.organisation) ?? .everywhere
                // Whoever has chosen the password knows it: then the account is his as well, with
                // all that it gets one day, for longer than what he is lent (row 169).
                let time: HeldTime = phc == nil ? .now : .until(nil)
                do {
                    try grants.allow([AdminPermission.usersWrite.rawValue], in: scope, for: time)
                    // What every stranger can have by signing up is nothing to be given.
                    if phc != nil, !settings.isRegistrationOpen {
                        let roles = try await grants.defaultRoles()
                        try await grants.allowGiving(roles, in: .everywhere, for: time)
                    }
                } catch GrantRefusal.endsSooner {
                    // There is no end to give here.
                    throw GrantRefusal.notHeld
                }
                return try await transaction.first(query)
            }
        }
        return account
    }

    /// All complaints about the members at once.
    private func check(
        _ wanted: NewAccount
    ) throws(AdministrationRefusal) -> (AccountNames, Password?) {
        var errors: [MemberError] = []
        var names: AccountNames?
        var password: Password?
        do throws(IdentifierFlaw) {
            names = try AccountNames(email: wanted.email, username: wanted.username)
        } catch {
            errors.append(error.memberError)
        }
        if let secret = wanted.password {
            do throws(PasswordFlaw) {
                let candidate = try Password(secret)
                let local = wanted.email.prefix { $0 != "@" }
                try PasswordRules(minimumLength: settings.minimumPasswordLength).check(
                    candidate,
                    names: [String(local), wanted.username ?? ""]
                )
                password = candidate
            } catch {
                let minimum = settings.minimumPasswordLength
                errors.append(error.memberError("password", minimum: minimum))
            }
        }
        guard let names, errors.isEmpty else { throw .invalid(errors) }
        return (names, password)
    }
}

extension AccountNames {
    /// Reads what an account is to go by.
    init(email: String, username: String?) throws(IdentifierFlaw) {
        self.email = try EmailAddress(email)
        if let username {
            self.username = try Username(username)
        } else {
            self.username = nil
        }
    }
}

extension IdentifierFlaw {
    /// The complaint about the member that held it.
    var memberError: MemberError {
        switch self {
        case .emailInvalid:
            MemberError("email", rawValue, "is not an e-mail address we can use")
        case .usernameInvalid:
            MemberError(
                "username",
                rawValue,
                "must be 3 to 64 letters, digits, dots, underscores or hyphens"
            )
        }
    }
}

extension AdministrationRefusal {
    /// Runs a statement that gives names or a membership; what stands in the way is a refusal.
    static func naming<R>(_ body: () async throws -> R) async throws -> R {
        do {
            return try await body()
        } catch let error as PostgresError where error.isUniqueViolation(of: "accounts_email_key") {
            throw AdministrationRefusal.emailTaken
        } catch let error as PostgresError
            where error.isUniqueViolation(of: "accounts_username_key")
        {
            throw AdministrationRefusal.usernameTaken
        } catch let error as PostgresError
            where error.isForeignKeyViolation(of: "organisation_members_organisation_fkey")
        {
            throw AdministrationRefusal.noSuchAccount
        }
    }
}

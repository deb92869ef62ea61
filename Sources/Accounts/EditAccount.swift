// Changing what is known of somebody else: names, profile, whether the address is proven. An
// address that becomes another one ends every session, because whoever had the old one is perhaps
// not the person any more (S4-T10). An administrator whose address is not proven cannot sign in
// where that is wanted, so the last one stays proven, also when two go for each other (W12).
package import Access
import Audit
import Postgres
package import Primitives
package import Revocation

/// What becomes of a member that may be empty.
package enum MemberEdit<Value: Sendable>: Sendable {
    /// It stays.
    case keep
    /// It is taken away.
    case clear
    /// It is replaced.
    case set(Value)

    /// The new value; nil where there is none.
    var value: Value? { if case .set(let value) = self { value } else { nil } }
    /// Whether it changes.
    var isChange: Bool { if case .keep = self { false } else { true } }
}

/// What an administrator changes of an account.
package struct AccountEdit: Sendable {
    /// The address; nil to keep it.
    package var email: String?
    /// The user name.
    package var username: MemberEdit<String>
    /// Whether the address is proven; nil to keep that, or for no where the address changes.
    package var isConfirmed: Bool?
    /// The profile, by the names of its columns.
    package var profile: [ProfileMember: MemberEdit<String>]

    /// A part of the profile; the raw value is its column, and its name on the wire.
    package enum ProfileMember: String, Sendable, CaseIterable {
        case givenName = "given_name"
        case familyName = "family_name"
        case address
        case phoneNumber = "phone_number"
        case birthdate
    }

    /// A change.
    package init(
        email: String?,
        username: MemberEdit<String>,
        isConfirmed: Bool?,
        profile: [ProfileMember: MemberEdit<String>]
    ) {
        self.email = email
        self.username = username
        self.isConfirmed = isConfirmed
        self.profile = profile
    }

    /// Whether the address may be proven no more after it.
    var mayUnconfirm: Bool { isConfirmed == false || email != nil && isConfirmed != true }

    /// The parts of the profile that change.
    var profileNames: [String] {
        ProfileMember.allCases.filter { profile[$0]?.isChange ?? false }.map(\.rawValue)
    }

    /// The names of all that changes, for the record.
    var names: [String] {
        (email == nil ? [] : ["email"]) + (username.isChange ? ["username"] : [])
            + (isConfirmed == nil ? [] : ["confirmed"]) + profileNames
    }
}

/// Changes accounts.
package struct EditAccount: Sendable {
    let targets: AccountTargets
    let wantsConfirmed: Bool
    let entropy: Entropy

    /// The use case.
    ///
    /// - Parameter wantsConfirmed: as for `Assignments`.
    package init(revoker: Revoker, wantsConfirmed: Bool, entropy: Entropy) {
        targets = AccountTargets(revoker)
        self.wantsConfirmed = wantsConfirmed
        self.entropy = entropy
    }

    /// Changes an account that is still of the version that was expected.
    ///
    /// - Throws: `GrantRefusal`, `AdministrationRefusal`, `VersionMismatch`; or a fault.
    package func callAsFunction(
        _ edit: AccountEdit,
        of account: AccountID,
        expecting version: ExpectedVersion,
        by actor: Grantor,
        _ trace: RequestTrace
    ) async throws {
        let names = try check(edit)
        let binds = AuditBinds(trace, entropy: entropy)
        let query = AccountEditStore.edit(
            account,
            version.values,
            names.email?.text,
            names.email?.canonical,
            edit.username.isChange,
            names.username?.text,
            names.username?.canonical,
            edit.isConfirmed,
            edit.profileNames,
            edit.profile[.givenName]?.value,
            edit.profile[.familyName]?.value,
            edit.profile[.address]?.value,
            edit.profile[.phoneNumber]?.value,
            edit.profile[.birthdate]?.value,
            edit.names,
            actor.account,
            binds
        )
        let isExpected = try await AdministrationRefusal.naming {
            try await targets.permitted(account, .person, .heavy, by: actor) {
                transaction,
                grants in
                let touchesSeat =
                    wantsConfirmed && edit.mayUnconfirm
                    ? try await grants.administers(account)
                    : false
                let isExpected: Bool? = try await grants.keepingAnAdministrator(
                    if: touchesSeat,
                    wantsConfirmed: wantsConfirmed
                ) {
                    try await transaction.first(query)
                }
                return isExpected
            }
        }
        guard isExpected else { throw VersionMismatch() }
    }

    private func check(
        _ edit: AccountEdit
    ) throws(AdministrationRefusal) -> (email: EmailAddress?, username: Username?) {
        var errors: [MemberError] = []
        var email: EmailAddress?
        var username: Username?
        do throws(IdentifierFlaw) {
            if let text = edit.email { email = try EmailAddress(text) }
        } catch {
            errors.append(error.memberError)
        }
        do throws(IdentifierFlaw) {
            if let text = edit.username.value { username = try Username(text) }
        } catch {
            errors.append(error.memberError)
        }
        guard errors.isEmpty else { throw .invalid(errors) }
        return (email, username)
    }
}

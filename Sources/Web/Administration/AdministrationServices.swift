// The use cases behind `/v1/admin`, as one value that the composition root fills.
package import Access
package import Accounts
package import Sessions

/// The use cases of administration.
package struct AdministrationServices: Sendable {
    /// Lists of accounts.
    package let accounts: AccountLists
    /// Making accounts.
    package let create: CreateAccount
    /// Changing what is known of people.
    package let edit: EditAccount
    /// Disabling, enabling, deleting.
    package let changeState: ChangeAccountState
    /// Wanting passwords replaced.
    package let requirePasswordChange: RequirePasswordChange
    /// Taking lost second factors away.
    package let resetSecondFactor: ResetSecondFactor
    /// Lifting throttles.
    package let unlock: UnlockAccount
    /// Ending sessions.
    package let endSessions: EndSessions
    /// Acting as somebody else.
    package let impersonate: Impersonate
    /// Declaring permissions.
    package let permissions: PermissionRegistry
    /// Making and changing roles.
    package let roles: RoleAdministration
    /// Giving and taking roles.
    package let assignments: Assignments
    /// Organisations and their members.
    package let organisations: Organisations
    /// Making accounts of services.
    package let services: ServiceAccounts
    /// Their keys.
    package let keys: APIKeys

    /// The use cases of a node.
    package init(
        accounts: AccountLists,
        create: CreateAccount,
        edit: EditAccount,
        changeState: ChangeAccountState,
        requirePasswordChange: RequirePasswordChange,
        resetSecondFactor: ResetSecondFactor,
        unlock: UnlockAccount,
        endSessions: EndSessions,
        impersonate: Impersonate,
        permissions: PermissionRegistry,
        roles: RoleAdministration,
        assignments: Assignments,
        organisations: Organisations,
        services: ServiceAccounts,
        keys: APIKeys
    ) {
        self.accounts = accounts
        self.create = create
        self.edit = edit
        self.changeState = changeState
        self.requirePasswordChange = requirePasswordChange
        self.resetSecondFactor = resetSecondFactor
        self.unlock = unlock
        self.endSessions = endSessions
        self.impersonate = impersonate
        self.permissions = permissions
        self.roles = roles
        self.assignments = assignments
        self.organisations = organisations
        self.services = services
        self.keys = keys
    }
}

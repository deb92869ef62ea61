// The use cases behind `/v1/admin`, as one value that the composition root fills.
package import Access
package import Accounts

/// The use cases of administration.
package struct AdministrationServices: Sendable {
    /// Lists of accounts.
    package let accounts: AccountLists
    /// Disabling, enabling, deleting.
    package let changeState: ChangeAccountState
    /// Declaring permissions.
    package let permissions: PermissionRegistry
    /// Making and changing roles.
    package let roles: RoleAdministration
    /// Giving and taking roles.
    package let assignments: Assignments

    /// The use cases of a node.
    package init(
        accounts: AccountLists,
        changeState: ChangeAccountState,
        permissions: PermissionRegistry,
        roles: RoleAdministration,
        assignments: Assignments
    ) {
        self.accounts = accounts
        self.changeState = changeState
        self.permissions = permissions
        self.roles = roles
        self.assignments = assignments
    }
}

// The permissions that Watchword itself asks for, declared once: gates name these values, and a
// test compares them with the rows that the migrations make. Applications add their own as data.
package import Primitives

/// A permission for administration.
package enum AdminPermission: String, Sendable, CaseIterable {
    case accessCheck = "access:check"
    case usersRead = "users:read"
    case usersWrite = "users:write"
    case usersImpersonate = "users:impersonate"
    case rolesRead = "roles:read"
    case rolesWrite = "roles:write"
    case rolesAssign = "roles:assign"
    case organisationsRead = "organisations:read"
    case organisationsWrite = "organisations:write"
    case servicesRead = "services:read"
    case servicesWrite = "services:write"
    case routesRead = "routes:read"
    case routesWrite = "routes:write"
    case keysRead = "keys:read"
    case keysWrite = "keys:write"
    case auditRead = "audit:read"
    case settingsRead = "settings:read"
    case statisticsRead = "statistics:read"
    case administrationApprove = "administration:approve"
}

/// How far a caller's permission reaches.
package enum Realm: Hashable, Sendable {
    /// Over everything.
    case everywhere
    /// Over one organisation, its members and what they hold there.
    case organisation(OrganisationID)

    /// The organisation; nil where there is none.
    package var organisationID: OrganisationID? {
        switch self {
        case .everywhere: nil
        case .organisation(let id): id
        }
    }
}

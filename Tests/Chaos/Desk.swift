// What an administrator works with: people, the roles that they hold and the organisation they hold
// them in, and what is theirs until it is taken.

/// Somebody from whom rights are taken.
struct Clerk {
    let login: String
    let password: String
    var account = ""
    var bearer = ""
    /// What covers everything, as of the token.
    var all: Int32 = 0
    var isRegistered = false
    /// Whether the role of the desk is held.
    var holdsRole = false
}

/// Roles that are used until one of them is gone, or in doubt.
struct Desk {
    /// The one that clerks hold.
    let held: String
    /// The one that has the permission: the same, or one that is included in it.
    let source: String
    /// The organisation that it is held in; nil for everywhere.
    let organisation: String?
    /// Whether the organisation is disabled.
    var isClosed = false

    /// What follows the role in a request that gives it.
    var place: String { organisation.map { #","organisation":"\#($0)""# } ?? "" }
}

/// A permission that one clerk holds.
struct Right {
    let clerk: Int
    /// What is acknowledged when it is taken from this clerk alone.
    let subject: Int32
    let target: Target
}

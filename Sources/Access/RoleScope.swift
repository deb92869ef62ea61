// Where a role is held: everywhere, in one organisation, or on resources. A scope is compared as
// text and never normalised: what is not spelled as it was granted is not covered (W10).
package import Primitives

/// Where a role is held, as `account_roles.scope` keeps it.
package struct RoleScope: Hashable, Sendable, CustomStringConvertible {
    /// Empty for everywhere; `org:<id>`; a resource such as `project:7`; or `project:7/*`, which is
    /// everything below it and not itself.
    package let text: String

    /// The longest.
    package static let maximumLength = 256
    /// Everywhere.
    package static let everywhere = RoleScope(checked: "")

    private init(checked text: String) { self.text = text }

    /// A scope of the form `type:name[/…][/*]`; nil for anything else, and for the id of an
    /// organisation that is spelled otherwise than ids are.
    ///
    /// The SQL that takes what is held in an organisation away compares with `'org:' || id`: a
    /// spelling that only we read as the organisation would outlast the membership.
    package init?(_ text: String) {
        let resource = text.hasSuffix("/*") ? String(text.dropLast(2)) : text
        guard Self.isResource(resource) else { return nil }
        self.text = text
        if let organisation = organisationID, text != "org:\(organisation)" { return nil }
    }

    /// What `account_roles` keeps; nil for what this version cannot read: it covers nothing.
    init?(stored text: String) {
        if text.isEmpty { self = .everywhere } else { self.init(text) }
    }

    /// What `account_roles` keeps, to be shown and not to be judged by: what this version cannot
    /// read is not said to be held everywhere.
    init(shown text: String) { self.init(checked: text) }

    /// What is held in `organisation`.
    package static func organisation(_ organisation: OrganisationID) -> RoleScope {
        RoleScope(checked: "org:\(organisation)")
    }

    /// Whether the role is held without regard to what is asked about.
    package var isEverywhere: Bool { text.isEmpty }

    /// The organisation, where the scope is one.
    package var organisationID: OrganisationID? {
        text.hasPrefix("org:") ? OrganisationID(text.dropFirst(4)) : nil
    }

    /// The organisation that it is, or that it is something of.
    var home: OrganisationID? { Self.home(of: text) }

    /// The organisation that `resource` is, or is something of: `org:<id>/…`.
    static func home(of resource: String) -> OrganisationID? {
        guard resource.hasPrefix("org:") else { return nil }
        return OrganisationID(resource.dropFirst(4).prefix { $0 != "/" })
    }

    package var description: String { text }

    /// Whether it takes in `resource`.
    package func covers(resource: String) -> Bool {
        if isEverywhere || text == resource { return true }
        guard text.hasSuffix("/*") else { return false }
        let folder = text.dropLast(1)
        return resource.utf8.count > folder.utf8.count && resource.hasPrefix(folder)
    }

    /// Whether whoever holds something here holds it everywhere that `other` takes in.
    package func covers(_ other: RoleScope) -> Bool {
        if isEverywhere { return true }
        if other.isEverywhere { return false }
        guard other.text.hasSuffix("/*") else { return covers(resource: other.text) }
        return text == other.text
            || text.hasSuffix("/*") && covers(resource: String(other.text.dropLast(2)))
    }

    /// Whether `text` names one thing: a type, a colon, and a name that may have parts.
    package static func isResource(_ text: String) -> Bool {
        guard (3...254).contains(text.utf8.count), let colon = text.utf8.firstIndex(of: 0x3A)
        else { return false }
        let type = text.utf8[..<colon]
        let name = text.utf8[text.utf8.index(after: colon)...]
        guard (1...63).contains(type.count), (1...190).contains(name.count),
            let first = type.first, isLower(first)
        else { return false }
        return type.allSatisfy { isLower($0) || isDigit($0) || ".-_".utf8.contains($0) }
            && name.allSatisfy { byte in
                isLower(byte | 0x20) || isDigit(byte) || ".-_~@/".utf8.contains(byte)
            }
    }

    private static func isLower(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte) }
    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
}

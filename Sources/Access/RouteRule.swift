// A rule for gateways that cannot say what a request needs: which requests it is for, and what they
// need. It is checked as a whole before it is kept; what is kept and cannot be read stops every
// answer that rests on rules (W10).
package import Primitives

/// Who may pass.
package enum RouteAccess: String, Sendable, CaseIterable {
    /// Everybody, whatever he shows; he passes as nobody.
    case everybody = "public"
    /// Whoever shows a good token, and holds what the rule asks for.
    case authenticated
}

/// What a rule says.
package struct RouteDefinition: Hashable, Sendable {
    /// Methods in capitals, or `*` alone for any.
    package var methods: [String]
    /// The host it is for, in lower case without a port; nil for any.
    package var host: String?
    /// The pattern of its paths.
    package var path: String
    /// Who may pass.
    package var access: RouteAccess
    /// Permissions that must all be held, whole names.
    package var permissions: [String]
    /// Names of roles that must all be held.
    package var roles: [String]
    /// Scopes that the token must all have.
    package var scopes: [String]
    /// Where permissions and roles must be held, such as `project:{id}`; nil for nowhere in
    /// particular.
    package var resource: String?
    /// What it is there for.
    package var description: String

    /// The most methods of a rule.
    package static let methodLimit = 16
    /// The most permissions, roles and scopes of a rule together.
    package static let needLimit = 20
    /// The longest scope, as RFC 6749 section 3.3 spells them.
    package static let scopeBytes = 200
    /// The longest resource.
    package static let resourceBytes = 254
    /// The longest description, in characters.
    package static let descriptionLength = 200

    /// A definition, not checked.
    package init(
        methods: [String],
        host: String? = nil,
        path: String,
        access: RouteAccess,
        permissions: [String] = [],
        roles: [String] = [],
        scopes: [String] = [],
        resource: String? = nil,
        description: String = ""
    ) {
        self.methods = methods
        self.host = host
        self.path = path
        self.access = access
        self.permissions = permissions
        self.roles = roles
        self.scopes = scopes
        self.resource = resource
        self.description = description
    }

    /// Whether it is for every method.
    package var isForAnyMethod: Bool { methods == ["*"] }

    /// What is wrong with it; nothing for a good one.
    package func flaws() -> [MemberError] {
        var found: [MemberError] = []
        func check(_ isGood: Bool, _ member: String, _ detail: String) {
            if !isGood { found.append(RouteFlaw(detail).error(member)) }
        }
        check(
            (1...Self.methodLimit).contains(methods.count) && Set(methods).count == methods.count
                && (isForAnyMethod || methods.allSatisfy(Self.isMethod)),
            "methods",
            "must be \"*\" alone, or 1 to \(Self.methodLimit) different methods in capitals"
        )
        if let host {
            check(
                RouteHost.isName(host) && host == host.lowercased(),
                "host",
                "must be a host name in lower case, without a port"
            )
        }
        var names: Set<String> = []
        do throws(RouteFlaw) {
            names = try RoutePattern(path).names
        } catch {
            found.append(error.error("path"))
        }
        check(
            permissions.allSatisfy(Self.isPermission),
            "permissions",
            "must be whole names, as `a:b`"
        )
        check(roles.allSatisfy(Self.isRole), "roles", "must be names of roles")
        check(scopes.allSatisfy(Self.isScope), "scopes", "must be scopes of visible ASCII")
        let needs = permissions + roles + scopes
        check(
            needs.count <= Self.needLimit,
            "permissions",
            "may be, with roles and scopes, \(Self.needLimit) at most"
        )
        if access == .everybody {
            check(
                needs.isEmpty && resource == nil,
                "access",
                "public asks for nothing: no permissions, roles, scopes or resource"
            )
        }
        if let resource { found += Self.flaws(resource, names, permissions + roles) }
        check(
            description.unicodeScalars.count <= Self.descriptionLength,
            "description",
            "must have at most \(Self.descriptionLength) characters"
        )
        return found
    }

    private static func flaws(
        _ resource: String,
        _ names: Set<String>,
        _ needs: [String]
    ) -> [MemberError] {
        if needs.isEmpty {
            return [
                RouteFlaw("says where permissions or roles are held: ask for one").error("resource")
            ]
        }
        let template: ResourceTemplate
        do throws(RouteFlaw) {
            template = try ResourceTemplate(resource)
        } catch {
            return [error.error("resource")]
        }
        guard template.names.isSubset(of: names) else {
            return [RouteFlaw("names a segment that the path does not name").error("resource")]
        }
        return []
    }

    /// Whether a text is a method as requests spell it.
    package static func isMethod(_ text: String) -> Bool {
        (1...20).contains(text.utf8.count)
            && text.utf8.allSatisfy { (0x41...0x5A).contains($0) || $0 == UInt8(ascii: "-") }
    }

    private static func isPermission(_ text: String) -> Bool {
        let parts = text.utf8.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        return parts.count == 2 && parts.allSatisfy(isWord)
    }

    private static func isRole(_ text: String) -> Bool { isWord(Substring(text).utf8) }

    private static func isWord(_ word: Substring.UTF8View) -> Bool {
        (1...63).contains(word.count) && word.first.map { (0x61...0x7A).contains($0) } ?? false
            && word.allSatisfy {
                (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || ".-_".utf8.contains($0)
            }
    }

    private static func isScope(_ text: String) -> Bool {
        (1...scopeBytes).contains(text.utf8.count)
            && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x22 && $0 != 0x5C }
    }
}

/// A rule that is kept.
package struct RouteRule: Sendable {
    /// Its id.
    package let id: RouteRuleID
    /// Its place, from 1: the first that matches counts.
    package var position: Int
    /// What it says.
    package var definition: RouteDefinition
    /// When it was made.
    package let createdAt: Timestamp
    /// When it was last changed.
    package var updatedAt: Timestamp

    /// A rule.
    package init(
        id: RouteRuleID,
        position: Int,
        definition: RouteDefinition,
        createdAt: Timestamp,
        updatedAt: Timestamp
    ) {
        self.id = id
        self.position = position
        self.definition = definition
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }

    /// The most rules.
    package static let limit = 1000
}

// What an account holds, as the rules of giving look at it: permissions by where they are held and
// until when. Who holds something for some time cannot give it for longer (row 169).
package import Primitives

/// For how long something must be held.
package enum HeldTime: Sendable {
    /// Now, whatever comes.
    case now
    /// Until an instant; nil for ever.
    case until(Timestamp?)

    /// The same, or until `end` where that comes first.
    func cut(at end: Timestamp?) -> HeldTime {
        switch self {
        case .now: return .now
        case .until(let wanted):
            guard let wanted, let end else { return .until(wanted ?? end) }
            return .until(min(wanted, end))
        }
    }

    /// Whether what ends at `end` is held so long.
    func isWithin(_ end: Timestamp?) -> Bool {
        switch self {
        case .now: true
        case .until(let wanted): end.map { end in wanted.map { $0 <= end } ?? false } ?? true
        }
    }
}

/// The permissions that an account holds, by where it holds them and until when; `*` as it is
/// written.
package struct HeldPermissions: Sendable {
    private var places: [(scope: RoleScope, end: Timestamp?, permissions: Set<String>)] = []

    /// None.
    init() {}

    /// All there are, everywhere and for ever.
    static var everything: HeldPermissions {
        var held = HeldPermissions()
        held.add(.everywhere, until: nil, ["*:*"])
        return held
    }

    mutating func add(_ scope: RoleScope, until end: Timestamp?, _ permissions: [String]) {
        places.append((scope, end, Set(permissions)))
    }

    /// Whether `permission`, which may be `orders:*`, is held wherever `scope` reaches.
    package func covers(
        _ permission: String,
        in scope: RoleScope,
        for time: HeldTime = .now
    ) -> Bool {
        places.contains { place in
            place.scope.covers(scope) && time.isWithin(place.end)
                && Self.implies(place.permissions, permission)
        }
    }

    /// Whether all that `other` holds is held here too; for as long as wanted, or as `other` holds
    /// it where that is less.
    package func covers(_ other: HeldPermissions, for time: HeldTime = .now) -> Bool {
        other.places.allSatisfy { place in
            let needed = time.cut(at: place.end)
            return place.permissions.allSatisfy { covers($0, in: place.scope, for: needed) }
        }
    }

    /// The same without what is held in other organisations than `place`, if that is one.
    func felt(in place: RoleScope) -> HeldPermissions {
        guard let organisation = place.organisationID else { return self }
        var felt = self
        felt.places.removeAll { ($0.scope.home ?? organisation) != organisation }
        return felt
    }

    /// The same as far as a key is narrowed to `limit`.
    func narrowed(to limit: [String]?) -> HeldPermissions {
        guard let limit = limit.map(Set.init) else { return self }
        var narrow = HeldPermissions()
        for place in places {
            let both =
                place.permissions.filter { Self.implies(limit, $0) }
                + limit.filter { Self.implies(place.permissions, $0) }
            narrow.add(place.scope, until: place.end, Array(both))
        }
        return narrow
    }

    private static func implies(_ held: Set<String>, _ wanted: String) -> Bool {
        if held.contains(wanted) || held.contains("*:*") { return true }
        guard let colon = wanted.firstIndex(of: ":") else { return false }
        return held.contains(wanted[...colon] + "*")
    }
}

// A set of permissions that is asked in tens of nanoseconds and kept in four bytes a member: the
// names are numbered once for all roles of a snapshot, and a set is a sorted list of numbers.
// `orders:*` is all of a namespace, also of what is added to it later; `*:*` is everything.

/// The numbers of permissions' names.
struct PermissionNumbers: Sendable {
    private(set) var names: [String] = []
    private var numbers: [String: UInt32] = [:]

    /// The number of `name`; nil where no role holds it by name.
    func find(_ name: String) -> UInt32? { numbers[name] }

    /// The number of `name`, which is given one if it has none.
    mutating func number(_ name: String) -> UInt32 {
        if let known = numbers[name] { return known }
        let new = UInt32(names.count)
        names.append(name)
        numbers[name] = new
        return new
    }
}

/// A permission that is asked for.
package struct PermissionQuestion: Sendable {
    let number: UInt32?
    let namespace: Substring

    init(_ name: String, _ numbers: PermissionNumbers) {
        number = numbers.find(name)
        namespace = name[..<(name.firstIndex(of: ":") ?? name.endIndex)]
    }
}

/// A set of permissions.
struct PermissionSet: Sendable {
    /// Sorted, each once.
    private(set) var numbers: [UInt32] = []
    /// Namespaces that are held whole; few.
    private(set) var namespaces: [String] = []
    private(set) var isEverything = false

    init() {}

    init(_ permissions: [String], _ known: inout PermissionNumbers) {
        for permission in permissions {
            if permission == "*:*" {
                isEverything = true
            } else if permission.hasSuffix(":*") {
                namespaces.append(String(permission.dropLast(2)))
            } else {
                numbers.append(known.number(permission))
            }
        }
        numbers.sort()
    }

    /// Whether it takes in the permission.
    func permits(_ question: PermissionQuestion) -> Bool {
        if isEverything { return true }
        if let number = question.number, contains(number) { return true }
        return !namespaces.isEmpty && namespaces.contains { $0 == question.namespace }
    }

    private func contains(_ number: UInt32) -> Bool {
        var low = 0
        var high = numbers.count
        while low < high {
            let middle = (low + high) / 2
            if numbers[middle] < number { low = middle + 1 } else { high = middle }
        }
        return low < numbers.count && numbers[low] == number
    }

    /// Adds all of `others`.
    mutating func formUnion(_ others: [PermissionSet]) {
        guard !others.isEmpty else { return }
        for other in others {
            isEverything = isEverything || other.isEverything
            for space in other.namespaces where !namespaces.contains(space) {
                namespaces.append(space)
            }
        }
        numbers = Self.union([numbers] + others.map(\.numbers))
    }

    /// All numbers of `lists`, ascending; numbers are small, so a bit for each is the least work.
    private static func union(_ lists: [[UInt32]]) -> [UInt32] {
        guard let last = lists.compactMap(\.last).max() else { return [] }
        var words = [UInt64](repeating: 0, count: Int(last) / 64 + 1)
        for list in lists {
            for number in list { words[Int(number / 64)] |= 1 << UInt64(number % 64) }
        }
        var all: [UInt32] = []
        all.reserveCapacity(words.reduce(0) { $0 + $1.nonzeroBitCount })
        for (place, word) in words.enumerated() {
            var rest = word
            while rest != 0 {
                all.append(UInt32(place * 64 + rest.trailingZeroBitCount))
                rest &= rest - 1
            }
        }
        return all
    }

    /// Its members as they are written.
    func names(_ known: PermissionNumbers) -> [String] {
        (isEverything ? ["*:*"] : []) + namespaces.map { $0 + ":*" }
            + numbers.map { known.names[Int($0)] }
    }
}

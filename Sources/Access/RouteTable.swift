// The rules as one immutable value that a request finds its rule in. Hosts, then a tree of path
// segments, then methods: the time does not grow with the number of rules, only with how many
// patterns fit the beginning of the path. Positions decide, not how special a pattern is.
package import Primitives

/// What a gateway asks about.
package struct RouteQuestion: Hashable, Sendable {
    /// The method, as sent: a rule for `GET` is not for `HEAD`.
    package let method: String
    /// The host, as `RouteHost.read` gives it.
    package let host: String
    /// The path.
    package let path: RoutePath

    /// A question.
    package init(method: String, host: String, path: RoutePath) {
        self.method = method
        self.host = host
        self.path = path
    }
}

/// The rule that counts for a request.
package struct RouteMatch: Sendable {
    /// The rule.
    package let rule: RouteRule
    /// Where its permissions and roles must be held; nil for nowhere in particular.
    package let resource: String?
    /// The path put something into the resource that no resource can have: nobody passes (W10).
    package let isUnfit: Bool
}

/// Rules, compiled.
package struct RouteTable: Sendable {
    /// The rules by position.
    package let rules: [RouteRule]
    /// How often the rules had been changed.
    package let version: Int64
    private let patterns: [RoutePattern]
    private let resources: [ResourceTemplate?]
    private var methods: [String: Int] = [:]
    private var hosts: [String: Int] = [:]
    private var nodes: [RouteNode] = [RouteNode()]

    /// The node under which rules for any host are.
    private static let anyHost = 0
    /// No rule: greater than any index.
    private static let none = Int.max

    /// Without rules; nobody passes.
    package static let empty = RouteTable()

    private init() {
        rules = []
        version = 0
        patterns = []
        resources = []
    }

    /// Compiles rules that are in the order of their positions.
    ///
    /// - Throws: `RouteFault` for a rule that this version cannot read: then there is no table.
    package init(_ rules: [RouteRule], version: Int64) throws {
        self.rules = rules
        self.version = version
        var patterns: [RoutePattern] = []
        var resources: [ResourceTemplate?] = []
        for rule in rules {
            guard rule.definition.flaws().isEmpty else { throw RouteFault(rule: rule.id) }
            patterns.append(try RoutePattern(rule.definition.path))
            resources.append(try rule.definition.resource.map { try ResourceTemplate($0) })
        }
        self.patterns = patterns
        self.resources = resources
        for index in rules.indices { insert(index) }
    }

    private mutating func insert(_ index: Int) {
        let definition = rules[index].definition
        var node = Self.anyHost
        if let host = definition.host {
            node = hosts[host] ?? nodes.endIndex
            if node == nodes.endIndex {
                nodes.append(RouteNode())
                hosts[host] = node
            }
        }
        var isRest = false
        for segment in patterns[index].segments {
            nodes[node].lowest = min(nodes[node].lowest, index)
            switch segment {
            case .literal(let bytes): node = child(of: node, named: bytes)
            case .one:
                if nodes[node].one == nil {
                    nodes[node].one = nodes.endIndex
                    nodes.append(RouteNode())
                }
                node = nodes[node].one ?? node
            case .rest: isRest = true
            }
        }
        nodes[node].lowest = min(nodes[node].lowest, index)
        let ids = definition.isForAnyMethod ? nil : definition.methods.map { method($0) }
        if isRest {
            nodes[node].rest.insert(index, ids)
        } else {
            nodes[node].end.insert(index, ids)
        }
    }

    private mutating func method(_ name: String) -> Int {
        let id = methods[name] ?? methods.count
        methods[name] = id
        return id
    }

    private mutating func child(of node: Int, named name: [UInt8]) -> Int {
        let place = name.withUnsafeBytes { nodes[node].place(of: $0) }
        if place.isThere { return nodes[node].next[place.index] }
        let child = nodes.endIndex
        nodes.append(RouteNode())
        nodes[node].names.insert(name, at: place.index)
        nodes[node].next.insert(child, at: place.index)
        return child
    }

    /// The rule that counts for a request; nil where there is none, and nobody passes.
    package func match(_ question: RouteQuestion) -> RouteMatch? {
        guard let index = find(question) else { return nil }
        guard let template = resources[index] else {
            return RouteMatch(rule: rules[index], resource: nil, isUnfit: false)
        }
        let resource = template.filled(patterns[index], question.path)
        return RouteMatch(rule: rules[index], resource: resource, isUnfit: resource == nil)
    }

    /// The index of that rule.
    func find(_ question: RouteQuestion) -> Int? {
        let method = methods[question.method] ?? -1
        var best = Self.none
        question.path.bytes.withUnsafeBytes { bytes in
            descend(Self.anyHost, 0, method, question.path, bytes, &best)
            if !hosts.isEmpty, let node = hosts[question.host] {
                descend(node, 0, method, question.path, bytes, &best)
            }
        }
        return best == Self.none ? nil : best
    }

    /// Looks below a node, where the segments before `depth` have led; each is visited once at
    /// most.
    private func descend(
        _ node: Int,
        _ depth: Int,
        _ method: Int,
        _ path: RoutePath,
        _ bytes: UnsafeRawBufferPointer,
        _ best: inout Int
    ) {
        guard nodes[node].lowest < best else { return }
        best = min(best, nodes[node].rest.lowest(method))
        guard depth < path.count else {
            best = min(best, nodes[node].end.lowest(method))
            return
        }
        let range = path.range(depth)
        let place = nodes[node].place(of: UnsafeRawBufferPointer(rebasing: bytes[range]))
        if place.isThere {
            descend(nodes[node].next[place.index], depth + 1, method, path, bytes, &best)
        }
        if let one = nodes[node].one, !range.isEmpty {
            descend(one, depth + 1, method, path, bytes, &best)
        }
    }

    // MARK: What is wrong with the order

    /// For each rule the earlier ones which together catch all that it is for; empty for one that
    /// can match.
    ///
    /// Found are rules caught by one earlier pattern for each method, which is what happens by
    /// mistake; that several patterns together leave nothing is not looked for.
    package func shadows() -> [[Int]] {
        rules.indices.map { index in
            let definition = rules[index].definition
            let ids =
                definition.isForAnyMethod ? [-1] : definition.methods.map { methods[$0] ?? -1 }
            var found: Set<Int> = []
            for id in ids {
                var best = index
                cover(Self.anyHost, 0, id, patterns[index].segments, &best)
                if let host = definition.host, let node = hosts[host] {
                    cover(node, 0, id, patterns[index].segments, &best)
                }
                guard best < index else { return [] }
                found.insert(best)
            }
            return found.sorted()
        }
    }

    /// Looks for a pattern that takes in all that `segments` does.
    private func cover(
        _ node: Int,
        _ depth: Int,
        _ method: Int,
        _ segments: [RoutePattern.Segment],
        _ best: inout Int
    ) {
        guard nodes[node].lowest < best else { return }
        best = min(best, nodes[node].rest.lowest(method))
        guard depth < segments.count else {
            best = min(best, nodes[node].end.lowest(method))
            return
        }
        switch segments[depth] {
        case .literal(let bytes):
            let place = bytes.withUnsafeBytes { nodes[node].place(of: $0) }
            if place.isThere {
                cover(nodes[node].next[place.index], depth + 1, method, segments, &best)
            }
            if let one = nodes[node].one, !bytes.isEmpty {
                cover(one, depth + 1, method, segments, &best)
            }
        case .one:
            if let one = nodes[node].one { cover(one, depth + 1, method, segments, &best) }
        case .rest: break
        }
    }

    /// Why a rule is not for a request: `host`, `method` or `path`; nil for one that is.
    package func mismatch(_ index: Int, _ question: RouteQuestion) -> RouteMismatch? {
        let definition = rules[index].definition
        if let host = definition.host, host != question.host { return .host }
        if !patterns[index].matches(question.path) { return .path }
        guard definition.isForAnyMethod || definition.methods.contains(question.method) else {
            return .method
        }
        return nil
    }
}

/// In what a rule and a request differ.
package enum RouteMismatch: String, Sendable, CaseIterable {
    case host
    case path
    case method
}

/// A rule is kept that this version cannot read.
package struct RouteFault: Fault {
    /// Which.
    package let rule: RouteRuleID

    package var isTransient: Bool { false }
    package var description: String { "route rule \(rule) cannot be read" }
}

/// A node of the tree: the segments that lead here are a beginning of patterns.
private struct RouteNode: Sendable {
    /// What literal segments may follow, sorted by their bytes, and where they lead.
    var names: [[UInt8]] = []
    var next: [Int] = []
    /// Where any other segment leads.
    var one: Int?
    /// The rules that end here, and those that take whatever is left.
    var end = RouteLeaf()
    var rest = RouteLeaf()
    /// The lowest index of all rules at and below this node.
    var lowest = Int.max

    /// Where a segment is in `names`, or would go.
    func place(of name: UnsafeRawBufferPointer) -> (index: Int, isThere: Bool) {
        var (low, high) = (0, names.count)
        while low < high {
            let middle = (low + high) / 2
            let order = Self.compare(names[middle], name)
            if order == 0 { return (middle, true) }
            if order < 0 { low = middle + 1 } else { high = middle }
        }
        return (low, false)
    }

    /// By length first, which is as good an order as any and soon decided.
    private static func compare(_ left: [UInt8], _ right: UnsafeRawBufferPointer) -> Int {
        guard left.count == right.count else { return left.count - right.count }
        for (index, byte) in left.enumerated() where byte != right[index] {
            return Int(byte) - Int(right[index])
        }
        return 0
    }
}

/// Of the rules at one place of the tree the first for each method: no other can ever count.
private struct RouteLeaf: Sendable {
    private var any = Int.max
    private var byMethod: [Int: Int] = [:]

    /// - Parameter methods: the numbers of methods; nil for any.
    mutating func insert(_ index: Int, _ methods: [Int]?) {
        guard let methods else {
            any = min(any, index)
            return
        }
        for method in methods { byMethod[method] = min(byMethod[method] ?? .max, index) }
    }

    /// The first rule for a method.
    func lowest(_ method: Int) -> Int {
        byMethod.isEmpty ? any : min(any, byMethod[method] ?? .max)
    }
}

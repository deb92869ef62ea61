// Finds the route of a path, byte for byte. It never normalises: no percent decoding, no repair of
// double slashes, no slash at the end that may or may not be there, because a gateway in front may
// repair differently, and the difference is the attack.
package import HTTPTypes

/// The paths of a route.
package struct PathPattern: Hashable, Sendable {
    enum Segment: Hashable {
        case literal(String)
        case parameter(String)
    }
    /// The pattern as declared: `/v1/me/sessions/{id}`.
    package let text: String
    let segments: [Segment]
    /// Whether every path below it belongs to it too.
    package let isPrefix: Bool

    /// A pattern; `{name}` stands for one segment that is not empty.
    package init(_ text: String, isPrefix: Bool = false) {
        precondition(text.hasPrefix("/"), "\(text) does not start with a slash")
        self.text = text
        self.isPrefix = isPrefix
        segments = text.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map {
            $0.hasPrefix("{") && $0.hasSuffix("}")
                ? .parameter(String($0.dropFirst().dropLast())) : .literal(String($0))
        }
        precondition(!isPrefix || parameters.isEmpty, "\(text): a prefix has no parameters")
    }

    /// The names of its parameters.
    package var parameters: [String] {
        segments.compactMap { if case .parameter(let name) = $0 { name } else { nil } }
    }

    /// The path with its parameters filled in, in order; they must need no encoding.
    func path(_ segments: [String]) -> String {
        precondition(segments.count == parameters.count, "\(text) has other parameters")
        var rest = segments[...]
        return self.segments.reduce(into: "") { path, segment in
            switch segment {
            case .literal(let text): path += "/\(text)"
            case .parameter: path += "/\(rest.removeFirst())"
            }
        }
    }

    func match(_ path: [Substring]) -> [String: String]? {
        guard path.count == segments.count else { return nil }
        var found: [String: String] = [:]
        for (segment, piece) in zip(segments, path) {
            switch segment {
            case .literal(let text): if text != piece { return nil }
            case .parameter(let name):
                guard !piece.isEmpty else { return nil }
                found[name] = String(piece)
            }
        }
        return found
    }
}

/// Which methods a route answers.
package enum RouteMethods: Hashable, Sendable {
    case any
    case only([HTTPRequest.Method])

    /// What a table of routes shows.
    package var title: String {
        switch self {
        case .any: "ANY"
        case .only(let list): list.map(\.rawValue).joined(separator: ",")
        }
    }

    func contains(_ method: HTTPRequest.Method) -> Bool {
        switch self {
        case .any: method != .connect && method != .trace
        case .only(let list): list.contains(method)
        }
    }
}

/// A path, its methods, and what answers them.
package struct Route: Sendable {
    /// What answers: it gets the context and may read the body.
    package typealias Run = @Sendable (RequestContext, IncomingBody) async throws -> Reply

    /// The operation's name, for metrics.
    package let name: String
    /// The methods.
    package let methods: RouteMethods
    /// The paths.
    package let pattern: PathPattern
    /// Whether unsafe requests of foreign pages are refused before it runs.
    package let checksOrigin: Bool
    /// Whether allowed origins may read its answers.
    package let allowsCORS: Bool
    /// What answers.
    package let run: Run

    /// A route.
    package init(
        _ name: String,
        _ methods: RouteMethods,
        _ pattern: PathPattern,
        checksOrigin: Bool = true,
        allowsCORS: Bool = false,
        run: @escaping Run
    ) {
        self.name = name
        self.methods = methods
        self.pattern = pattern
        self.checksOrigin = checksOrigin
        self.allowsCORS = allowsCORS
        self.run = run
    }
}

/// The table of all routes of a listener.
package struct Router: Sendable {
    /// What a path and a method lead to.
    package enum Match: Sendable {
        case found(Route, [String: String])
        /// The path has routes for these methods only.
        case wrongMethod([Route])
        case notFound
    }

    private let exact: [String: [Route]]
    private let patterned: [Int: [Route]]
    private let prefixes: [Route]

    /// A table of `routes`; two routes for one method of one pattern are a bug and stop the start.
    package init(_ routes: [Route]) {
        var exact: [String: [Route]] = [:]
        var patterned: [Int: [Route]] = [:]
        var prefixes: [Route] = []
        for route in routes {
            if route.pattern.isPrefix {
                prefixes.append(route)
            } else if route.pattern.parameters.isEmpty {
                exact[route.pattern.text, default: []].append(route)
            } else {
                patterned[route.pattern.segments.count, default: []].append(route)
            }
        }
        for (_, routes) in Dictionary(grouping: routes, by: \.pattern) {
            let methods = routes.flatMap { route -> [String] in
                switch route.methods {
                case .any: ["*"]
                case .only(let list): list.map(\.rawValue)
                }
            }
            precondition(
                Set(methods).count == methods.count
                    && (!methods.contains("*") || routes.count == 1),
                "two routes for one method of \(routes[0].pattern.text)"
            )
        }
        self.exact = exact
        self.patterned = patterned
        // The longest prefix first.
        self.prefixes = prefixes.sorted { $0.pattern.text.utf8.count > $1.pattern.text.utf8.count }
    }

    /// The route for `method` on `path`.
    ///
    /// A path that is written out somewhere is that path alone, even where a pattern would match it
    /// too.
    package func match(_ method: HTTPRequest.Method, _ path: String) -> Match {
        if let routes = exact[path] {
            if let route = routes.first(where: { $0.methods.contains(method) }) {
                return .found(route, [:])
            }
            return .wrongMethod(routes)
        }
        let pieces = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        var others: [Route] = []
        for route in patterned[pieces.count] ?? [] {
            guard let parameters = route.pattern.match(pieces) else { continue }
            if route.methods.contains(method) { return .found(route, parameters) }
            others.append(route)
        }
        if !others.isEmpty { return .wrongMethod(others) }
        for route in prefixes {
            let text = route.pattern.text
            guard path == text || path.hasPrefix(text + "/") else { continue }
            return route.methods.contains(method) ? .found(route, [:]) : .wrongMethod([route])
        }
        return .notFound
    }

    /// The methods that `routes` answer, sorted, for `Allow`.
    package static func methods(of routes: [Route]) -> [String] {
        var names: Set<String> = []
        for route in routes {
            switch route.methods {
            case .any: names.formUnion(HeadRules.methods.subtracting(["TRACE"]))
            case .only(let list): names.formUnion(list.map(\.rawValue))
            }
        }
        return names.sorted()
    }
}

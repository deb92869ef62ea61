// The compiled rules against the simplest thing that does the same: every rule in turn. And what a
// rule may say.
import Primitives
import Testing

@testable import Access

@Suite struct RouteTableTests {
    /// Numbers that are the same in every run.
    private struct Dice {
        var state: UInt64
        mutating func below(_ count: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % count
        }
        mutating func any<T>(_ list: [T]) -> T { list[below(list.count)] }
    }

    private func table(_ definitions: [RouteDefinition]) throws -> RouteTable {
        try RouteTable(
            definitions.enumerated().map { index, definition in
                RouteRule(
                    id: RouteRuleID(high: 1, low: UInt64(index)),
                    position: index + 1,
                    definition: definition,
                    createdAt: Timestamp(seconds: 0),
                    updatedAt: Timestamp(seconds: 0)
                )
            },
            version: 1
        )
    }

    private func open(
        _ path: String,
        _ methods: [String] = ["*"],
        host: String? = nil
    ) -> RouteDefinition {
        RouteDefinition(methods: methods, host: host, path: path, access: .everybody)
    }

    private func question(
        _ path: String,
        _ method: String = "GET",
        host: String = "a.example"
    ) throws -> RouteQuestion {
        RouteQuestion(method: method, host: host, path: try #require(RoutePath(path)))
    }

    private static let patterns = [
        "/", "/**", "/a", "/a/", "/a/**", "/a/b", "/a/*", "/{x}", "/{x}/b", "/a/{x}/**", "/*/*",
        "/*/b/c", "/a/b/c", "/a/*/c", "/{x}/**", "/b", "/b/c/**", "/*/c", "/a/b/**", "/*/*/*",
    ]
    private static let paths = [
        "/", "/a", "/a/", "/b", "/c", "/a/b", "/a/c", "/b/b", "/b/c", "/a/b/", "/a/b/c", "/a/c/c",
        "/b/c/d", "/c/b/c", "/A", "/a/b/c/d", "/b/", "/%61", "/a/b/c/",
    ]

    private func random(_ dice: inout Dice, _ count: Int) -> [RouteDefinition] {
        (0..<count).map { _ in
            open(
                dice.any(Self.patterns),
                dice.any([["*"], ["GET"], ["POST"], ["GET", "POST"], ["GET", "POST", "PUT"]]),
                host: dice.any([nil, nil, "a.example", "b.example"])
            )
        }
    }

    @Test(arguments: 1...40)
    func `it finds what trying every rule in turn finds, the first by position`(
        _ seed: Int
    ) throws {
        var dice = Dice(state: UInt64(seed))
        let table = try table(random(&dice, 1 + dice.below(30)))
        var hits = 0
        for path in Self.paths {
            for method in ["GET", "POST", "PUT", "HEAD"] {
                for host in ["a.example", "b.example", "c.example"] {
                    let question = try question(path, method, host: host)
                    let want = table.rules.indices.first { table.mismatch($0, question) == nil }
                    #expect(table.find(question) == want, "\(seed) \(method) \(host)\(path)")
                    if want != nil { hits += 1 }
                }
            }
        }
        #expect(seed > 20 || hits > 0)
    }

    @Test(arguments: 1...40)
    func `a rule that is called shadowed never counts, and those named catch it`(
        _ seed: Int
    ) throws {
        var dice = Dice(state: UInt64(seed) &* 77)
        let table = try table(random(&dice, 12))
        let shadows = table.shadows()
        for path in Self.paths {
            for method in ["GET", "POST", "PUT", "HEAD"] {
                for host in ["a.example", "b.example", "c.example"] {
                    let question = try question(path, method, host: host)
                    if let index = table.find(question) {
                        #expect(shadows[index].isEmpty, "\(seed) \(index)")
                    }
                    for (index, names) in shadows.enumerated() where !names.isEmpty {
                        guard table.mismatch(index, question) == nil else { continue }
                        let isCaught = names.contains { table.mismatch($0, question) == nil }
                        #expect(isCaught && names.allSatisfy { $0 < index })
                    }
                }
            }
        }
    }

    @Test func `shadows are found through stars, rests, methods and hosts`() throws {
        let table = try table([
            open("/a/**", ["GET"]), open("/a/b", ["GET"]), open("/a/b", ["GET", "POST"]),
            open("/a/**", ["POST"]), open("/a/{x}/c", ["GET", "POST"], host: "h"),
            open("/*", ["PUT"]),
            open("/{name}", ["PUT"]), open("/x/", ["PUT"]), open("/**"), open("/", host: "h"),
        ])
        let want: [[Int]] = [[], [0], [], [], [0, 3], [], [5], [], [], [8]]
        #expect(table.shadows() == want)
    }

    @Test func `nothing passes without a rule, nor in another case, method or host (row 237)`()
        throws
    {
        let none = try table([]).find(question("/"))
        #expect(none == nil)
        let table = try table([open("/admin", ["GET"], host: "a.example"), open("/x/{id}")])
        #expect(try table.find(question("/admin")) == 0)
        for (path, method, host) in [
            ("/ADMIN", "GET", "a.example"), ("/admin", "HEAD", "a.example"),
            ("/admin", "POST", "a.example"), ("/admin/", "GET", "a.example"),
            ("/admin", "GET", "b.example"), ("/admin/x", "GET", "a.example"),
            ("/x", "GET", "a.example"), ("/x/", "GET", "a.example"), ("/x/1/2", "GET", "a.example"),
        ] {
            let found = try table.find(question(path, method, host: host))
            #expect(found == nil, "\(method) \(host)\(path)")
        }
        // What looks the same and is other bytes is another path.
        let accents = try self.table([open("/caf\u{E9}")])
        #expect(try accents.find(question("/caf%C3%A9")) == 0)
        let decomposed = try accents.find(question("/cafe%CC%81"))
        #expect(decomposed == nil)
    }

    @Test func `a resource takes segments of the path, and nothing that changes its shape`() throws
    {
        var rule = open("/projects/{id}/**")
        rule.access = .authenticated
        rule.permissions = ["projects:read"]
        rule.resource = "project:{id}"
        let table = try table([rule])
        let good = try #require(try table.match(question("/projects/p-7/x")))
        #expect(good.resource == "project:p-7" && !good.isUnfit)
        for path in ["/projects/*/x", "/projects/%20/x", "/projects/%C3%A9/x", "/projects/a%3Fb/x"]
        {
            let odd = try #require(try table.match(question(path)))
            #expect(odd.resource == nil && odd.isUnfit, "\(path)")
        }
    }

    @Test func `what a rule may not say is refused by its member`() {
        let good = RouteDefinition(
            methods: ["GET"],
            path: "/a/{id}",
            access: .authenticated,
            permissions: ["a:b"],
            roles: ["staff"],
            scopes: ["openid"],
            resource: "a:{id}"
        )
        #expect(good.flaws().isEmpty)
        func expect(_ member: String, _ change: (inout RouteDefinition) -> Void) {
            var bad = good
            change(&bad)
            let members = bad.flaws().map(\.member)
            #expect(members == [member], "\(bad)")
        }
        for methods in [[], ["get"], ["GET", "GET"], ["*", "GET"], ["G T"], ["GET,POST"]] {
            expect("methods") { $0.methods = methods }
        }
        for path in [
            "", "a", "/a//{id}", "/{id}/..", "/{id}/.", "/**/{id}", "/a*/{id}", "/{id}/{id}",
            "/{ID}", "/{id}?x", "/{id}#x", "/{id}/%41", "/{id};x", "/{id}\\x", "/{id}/\u{1}",
            "/{id}" + String(repeating: "/a", count: 32),
            "/{id}/" + String(repeating: "a", count: 510),
        ] {
            var bad = good
            bad.path = path
            let members = bad.flaws().map(\.member)
            #expect(members.contains("path"), "\(path)")
        }
        for host in ["", "A.example", "a:80", "a.", "a/b", "*.example"] {
            expect("host") { $0.host = host }
        }
        for name in ["a", "a:*", "*:*", "A:b", "a:b:c", "a:", ":b", "a b:c"] {
            expect("permissions") { $0.permissions = [name] }
        }
        expect("permissions") { $0.permissions = (0..<21).map { "a:b\($0)" } }
        for name in ["", "A", "a b", "a,b"] { expect("roles") { $0.roles = [name] } }
        for name in ["", "a b", "a\"b", "é"] { expect("scopes") { $0.scopes = [name] } }
        for text in [
            "a", ":x", "a:", "a:{x}", "{id}:a", "a:*", "a:{id", "a:{id}/*", "A:{id}", "a: ",
        ] {
            expect("resource") { $0.resource = text }
        }
        expect("access") { $0.access = .everybody }
        expect("description") { $0.description = String(repeating: "a", count: 201) }
        // Without a permission or role a resource says nothing.
        expect("resource") {
            $0.permissions = []
            $0.roles = []
        }
    }
}

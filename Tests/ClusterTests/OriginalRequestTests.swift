// Where `/verify` learns what it is asked about: each source, believed peers and others, over HTTP
// (row 236; architecture.md section 11). A cookie makes the difference seen: it needs a CSRF value
// unless the original request is known to change nothing.
import Testing

@testable import Web

@Suite struct OriginalRequestTests {
    /// A question with a cookie, and the code it is refused with; nil where it may pass.
    private struct Case: CustomStringConvertible {
        var method = "GET"
        let fields: [(String, String)]
        let code: String?

        init(_ fields: [(String, String)], _ code: String?, method: String = "GET") {
            self.method = method
            self.fields = fields
            self.code = code
        }
        var description: String { "\(method) \(fields)" }
    }
    private static let csrf = "csrf-failed"
    private static let odd = "original-request-refused"
    /// An address that no peer of these tests has.
    private static let elsewhere = "192.0.2.1"

    /// One family, by the names of its method and URI, where the other family is only noise.
    private static func family(_ method: String, _ uri: String, other: String) -> [Case] {
        [
            Case([(method, "GET")], nil), Case([(method, "HEAD")], nil),
            Case([(method, "OPTIONS")], nil), Case([(method, "GET")], nil, method: "POST"),
            Case([(method, "GET"), (uri, "/a"), (uri, "/b")], nil),
            Case([], csrf), Case([(uri, "/x")], csrf), Case([(method, "DELETE")], csrf),
            Case([(method, "PURGE")], csrf), Case([(method, "get")], csrf),
            Case([(method, "")], odd), Case([(method, "G E T")], odd),
            Case([(method, "GET, POST")], odd), Case([(method, "GET"), (method, "GET")], odd),
            Case([(method, "POST"), (method, "GET")], odd),
            Case([(other, "GET")], csrf), Case([("X-HTTP-Method-Override", "GET")], csrf),
            Case([(other, "POST"), (method, "GET")], nil),
            Case([(other, "GET"), (method, "POST")], csrf),
        ]
    }

    private static let requestLine = [
        Case([], nil), Case([], nil, method: "HEAD"), Case([], csrf, method: "POST"),
        Case([], csrf, method: "DELETE"),
        Case([("X-Original-Method", "POST"), ("X-Forwarded-Method", "POST")], nil),
        Case([("X-Original-Method", "GET")], csrf, method: "POST"),
        Case([("X-Forwarded-Method", "GET")], csrf, method: "PUT"),
        Case([("X-Original-Method", "GET"), ("X-Original-Method", "POST")], nil),
    ]

    private static let auto = [
        Case([("X-Original-Method", "GET")], nil), Case([("X-Forwarded-Method", "HEAD")], nil),
        Case([("X-Original-Method", "POST")], csrf), Case([("X-Forwarded-Method", "POST")], csrf),
        Case([], csrf), Case([("X-Original-URI", "/x")], csrf),
        Case([("X-Original-Method", "GET"), ("X-Forwarded-Method", "GET")], odd),
        Case([("X-Original-Method", "GET"), ("X-Forwarded-Uri", "/x")], odd),
        Case([("X-Original-URI", "/x"), ("X-Forwarded-Method", "GET")], odd),
        Case([("X-Original-URI", "/x"), ("X-Forwarded-Uri", "/x")], odd),
        Case([("X-Original-Method", "GET"), ("X-Original-Method", "GET")], odd),
        Case([("X-Forwarded-Method", "GET"), ("X-Forwarded-Method", "POST")], odd),
    ]

    /// What is said by somebody who is no gateway: nothing is known then.
    private static let unbelieved = [
        Case([("X-Original-Method", "GET")], csrf), Case([("X-Forwarded-Method", "GET")], csrf),
        Case([], csrf), Case([("X-Original-URI", "/x"), ("X-Original-Method", "HEAD")], csrf),
    ]

    @Test
    func `each source of the original request is read as it should be (rows 236, 146, W10)`()
        async throws
    {
        let listeners: [(source: String, peer: String, cases: [Case])] = [
            (
                "x-original", "127.0.0.1",
                Self.family("X-Original-Method", "X-Original-URI", other: "X-Forwarded-Method")
            ),
            (
                "x-forwarded", "127.0.0.1",
                Self.family("X-Forwarded-Method", "X-Forwarded-Uri", other: "X-Original-Method")
            ),
            ("request-line", "127.0.0.1", Self.requestLine), ("auto", "127.0.0.1", Self.auto),
            ("request-line", Self.elsewhere, Self.requestLine),
            ("x-original", Self.elsewhere, Self.unbelieved),
            ("x-forwarded", Self.elsewhere, Self.unbelieved),
            ("auto", Self.elsewhere, Self.unbelieved),
        ]
        var plan = Cluster.Plan()
        plan.nodes = listeners.count
        plan.perNode = listeners.map {
            [
                "WATCHWORD_VERIFY_ORIGINAL_REQUEST": $0.source,
                "WATCHWORD_HTTP_TRUSTED_PROXIES": $0.peer,
            ]
        }
        try await Cluster.run(plan) { cluster in
            let person = try await cluster.person()
            let browser = try await cluster.browse(person)
            let tokens = try await cluster.signIn(person)
            for (listener, node) in zip(listeners, cluster.nodes) {
                for one in listener.cases {
                    let name = "\(listener.source) \(listener.peer) \(one)"
                    func ask(_ fields: [(String, String)]) async throws -> HTTPAnswer {
                        try await node.client.send(one.method, "/verify", fields + one.fields)
                    }
                    let answer = try await ask([browser.cookieField])
                    #expect(answer.status == (one.code == nil ? 200 : 403), "\(name)")
                    // An answer to HEAD has no body to say it in.
                    if one.method != "HEAD" { #expect(answer.code == one.code, "\(name)") }
                    // With its CSRF value, or as a bearer, only what is ambiguous is refused.
                    let status = one.code == Self.odd ? 403 : 200
                    #expect(try await ask(browser.fields).status == status, "\(name)")
                    #expect(try await ask(tokens.bearer).status == status, "\(name)")
                }
            }
        }
    }
}

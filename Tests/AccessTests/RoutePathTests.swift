// What of an original request is read, and what is refused because two programs could read it
// differently (rows 236 and 237).
import Testing

@testable import Access

@Suite struct RoutePathTests {
    private func segments(_ target: String) -> [String]? {
        guard let path = RoutePath(target) else { return nil }
        return (0..<path.count).map { String(decoding: path.segment($0), as: UTF8.self) }
    }

    @Test(arguments: [
        ("/", [""]), ("/a", ["a"]), ("/a/", ["a", ""]), ("/a/b?x=/../y;z%2f", ["a", "b"]),
        ("/a?", ["a"]), ("/%61dmin", ["admin"]), ("/A", ["A"]), ("/caf%C3%A9/%20", ["café", " "]),
        ("/...", ["..."]), ("/.a/a.", [".a", "a."]), ("/a%3Fb%23", ["a?b#"]),
        ("/{x}/*~!$&'()+,=:@-._", ["{x}", "*~!$&'()+,=:@-._"]),
    ])
    func `a plain path is cut into segments and decoded once`(_ target: String, _ want: [String]) {
        #expect(segments(target) == want)
    }

    @Test(arguments: [
        "", "a", "*", "http://x/a", "//", "//a", "/a//b", "/a//", "/.", "/..", "/a/.", "/a/./b",
        "/public/../admin", "/public/%2e%2e/admin", "/public/%2E/admin", "/public/.%2e/admin",
        "/admin;/x", "/admin;a=b", "/a%3bb", "/a\\b", "/a%5cb", "/a%5Cb", "/a%2fb", "/a%2Fb",
        "/a%25b", "/a%252e", "/admin%00", "/a%0a", "/a%1f", "/a%7f", "/a%", "/a%4", "/a%zz",
        "/a%+1", "/a%ff", "/a%c3", "/%c3/%a9", "/%c0%af", "/%c0%ae%c0%ae/x", "/%ed%a0%80", "/é",
        "/a b", "/a\tb", "/a#b", "/a?x#y", "/a\"b", "/a<b>", "?x", "/\u{7F}",
    ])
    func `an ambiguous path is refused and not repaired (rows 236, 237, W10)`(_ target: String) {
        #expect(RoutePath(target) == nil)
    }

    @Test func `hosts are read without their port and without their case`() {
        for (text, want) in [
            ("a.example", "a.example"), ("A.Example:8443", "a.example"),
            ("127.0.0.1:1", "127.0.0.1"),
            ("[::1]:80", "[::1]"), ("[FE80::1]", "[fe80::1]"), ("a_b", "a_b"),
        ] {
            #expect(RouteHost.read(text) == want)
        }
        for text in [
            "", "a.example.", ".a", "a..b", "a,b", "a b", "u@a", "a:", "a:x", "a:123456", "[::1",
            "[]",
            "[::1]x", "a/b", "é", "a:1:2", "[a]:b]:1",
        ] {
            #expect(RouteHost.read(text) == nil, "\(text)")
        }
    }
}

// Client addresses and cookies, without a socket.
import HTTPTypes
import Primitives
import Testing
import Web

@Suite struct AddressTests {
    private func find(_ peer: String, _ lines: [String], trusted: [String]) throws -> String {
        let networks = try trusted.map { try #require(IPNetwork($0)) }
        let finder = ClientAddress(trusted: networks)
        return finder.find(peer: try #require(IPAddress(peer)), forwardedFor: lines).description
    }

    @Test func `a peer that is not trusted is the client, whatever it says`() throws {
        #expect(try find("203.0.113.9", ["1.2.3.4"], trusted: ["10.0.0.0/8"]) == "203.0.113.9")
        #expect(try find("203.0.113.9", ["1.2.3.4"], trusted: []) == "203.0.113.9")
    }

    @Test func `the first address from the right that is not trusted is the client`() throws {
        let trusted = ["10.0.0.0/8", "fd00::/8"]
        #expect(try find("10.0.0.1", ["6.6.6.6, 1.2.3.4"], trusted: trusted) == "1.2.3.4")
        #expect(try find("10.0.0.1", ["6.6.6.6, 1.2.3.4 ,10.9.9.9"], trusted: trusted) == "1.2.3.4")
        #expect(
            try find("10.0.0.1", ["6.6.6.6", "1.2.3.4", "fd00::1"], trusted: trusted) == "1.2.3.4"
        )
        #expect(try find("::ffff:10.0.0.1", ["2001:DB8::1"], trusted: trusted) == "2001:db8::1")
        #expect(try find("10.0.0.1", [], trusted: trusted) == "10.0.0.1")
    }

    @Test(arguments: [
        "", "unknown", "1.2.3.4:80", "[::1]", "1.2.3", "01.2.3.4", "fe80::1%eth0", "a,",
    ])
    func `what is no address ends the walk at the last trusted hop`(text: String) throws {
        #expect(
            try find("10.0.0.1", ["6.6.6.6, \(text), 10.0.0.2"], trusted: ["10.0.0.0/8"])
                == "10.0.0.2"
        )
    }

    @Test func `networks are parsed strictly`() {
        for good in [
            "10.0.0.0/8", "::/0", "0.0.0.0/0", "192.168.1.1", "192.168.1.1/32", "fd00::/8",
            "::ffff:10.0.0.0/104", "::ffff:192.168.1.1",
        ] {
            #expect(IPNetwork(good) != nil, "\(good)")
        }
        for bad in [
            "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/", "/8", "x", "10/8",
            "10.0.0.0/-1", "fd00::1/8", "10.0.0.0/8/8", "::ffff:10.0.0.0/8", "::ffff:10.0.0.0/95",
            "::ffff:10.0.0.0/129", "::ffff:10.0.0.1/104", "10.0.0.0/104",
            "::ffff:10.0.0.0/-9223372036854775808",
        ] {
            #expect(IPNetwork(bad) == nil, "\(bad)")
        }
    }

    @Test func `an IPv4 network holds its addresses however both are written`() throws {
        for network in ["10.20.0.0/16", "::ffff:10.20.0.0/112", "::ffff:a14:0/112"] {
            let block = try #require(IPNetwork(network))
            #expect(block.description == "10.20.0.0/16")
            for (address, isInside) in [
                ("10.20.7.1", true), ("::ffff:10.20.7.1", true), ("::ffff:a14:701", true),
                ("10.21.0.1", false), ("::ffff:10.21.0.1", false), ("::10.20.7.1", false),
            ] {
                let found = block.contains(try #require(IPAddress(address)))
                #expect(found == isInside, "\(address) in \(network)")
            }
        }
    }

    @Test(arguments: [
        ("10.0.0.1/8", "10.0.0.0/8"), ("10.0.0.0/08", "10.0.0.0/8"), ("fd00::1/8", "fd00::/8"),
        ("192.168.1.255/28", "192.168.1.240/28"), ("::ffff:10.0.0.1/104", "10.0.0.0/8"),
        ("::ffff:10.0.0.1/8", "10.0.0.0/8"), ("10.0.0.1/+32", "10.0.0.1"),
        ("1.2.3.4/0", "0.0.0.0/0"),
    ])
    func `what is almost a network is told with the one that was meant`(text: String, meant: String)
    {
        #expect(IPNetwork(text) == nil)
        #expect(IPNetwork.closest(to: text)?.description == meant)
    }

    @Test(arguments: ["", "office", "10.0.0.0/33", "10.0.0.1:80", "10.0.0.0/", "10/8", "::1/x"])
    func `what cannot be told is not guessed at`(text: String) {
        #expect(IPNetwork.closest(to: text) == nil)
    }

    @Test func `a network holds its own addresses and no others`() throws {
        let odd = try #require(IPNetwork("172.16.0.0/12"))
        #expect(odd.contains(try #require(IPAddress("172.31.255.255"))))
        #expect(!odd.contains(try #require(IPAddress("172.32.0.0"))))
        #expect(!odd.contains(try #require(IPAddress("::1"))))
        let all = try #require(IPNetwork("0.0.0.0/0"))
        #expect(all.contains(try #require(IPAddress("8.8.8.8"))))
    }

    @Test func `a cookie sent twice is not believed (row 254)`() {
        let cookies = Cookies([.cookie: "a=1; b=2; a=3; c=\"x\"; =y; d; e=; f=g=h"])
        #expect(cookies.only("a") == nil)
        #expect(cookies.values("a") == ["1", "3"])
        #expect(cookies.only("b") == "2")
        #expect(cookies.only("c") == nil)
        #expect(cookies.only("e") == "")
        #expect(cookies.only("f") == "g=h")
        #expect(cookies.only("B") == nil)
    }

    @Test func `cookies are written with their prefix and attributes`() {
        let set = SetCookie(
            .secure,
            "ww_refresh",
            value: "abc",
            path: "/v1/auth",
            sameSite: .strict,
            lifetime: .minutes(1)
        )
        #expect(
            set.field
                == "__Secure-ww_refresh=abc; Path=/v1/auth; SameSite=Strict; Max-Age=60; Secure"
                + "; HttpOnly"
        )
        #expect(
            SetCookie.clearing(.none, "ww_csrf", sameSite: .lax).field
                == "ww_csrf=; Path=/; SameSite=Lax; Max-Age=0; HttpOnly"
        )
    }

    @Test func `ids from outside go into the log only when they look like ids`() {
        #expect(TraceRules.isRequestID("a-b_c.d1"))
        for bad in [
            "", "short", "has space", "quote\"quote", String(repeating: "a", count: 129), "äääää",
        ] {
            #expect(!TraceRules.isRequestID(bad))
        }
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        #expect(TraceRules.traceID("00-\(trace)-00f067aa0ba902b7-01") == trace)
        for bad in [
            "01-\(trace)-00f067aa0ba902b7-01", "00-\(trace.uppercased())-00f067aa0ba902b7-01",
            "00-\(trace)-0000000000000000-01", "00-\(trace)-00f067aa0ba902b7", trace,
        ] {
            #expect(TraceRules.traceID(bad) == nil)
        }
    }
}

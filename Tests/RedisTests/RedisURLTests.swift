// URLs of Redis: what they mean, what is refused, and that no complaint shows a password.
import Primitives
import Testing

@testable import Redis

@Suite struct RedisURLTests {
    @Test func `every part of a URL is read`() throws {
        let full = try RedisConfiguration(url: "rediss://al%40ice:p%3Aw@cache.example:6390/3")
        #expect(full.address == .tcp(host: "cache.example", port: 6390))
        #expect(full.user == "al@ice")
        #expect(full.password?.exposed == Array("p:w".utf8))
        #expect(full.database == 3)
        #expect(full.tls == RedisConfiguration.TLS())
        let authority = try RedisConfiguration(url: "rediss://h/?ca=/etc/my%20ca.pem")
        #expect(authority.tls?.authorityFile == "/etc/my ca.pem")
        let unix = try RedisConfiguration(url: "unix:///run/redis.sock?db=2")
        #expect(unix.address == .unix(path: "/run/redis.sock"))
        #expect(unix.database == 2 && unix.tls == nil && unix.password == nil)
        let plain = try RedisConfiguration(url: "redis://:secret@[::1]")
        #expect(plain.address == .tcp(host: "::1", port: 6379))
        #expect(plain.user == nil && plain.password?.exposed == Array("secret".utf8))
    }

    @Test(arguments: [
        "", "localhost:6379", "http://hunter2@h", "redis://", "redis://:hunter2@", "redis://h:0",
        "redis://h:65536", "redis://h:+1", "redis://h:x", "redis://h/x", "redis://h/-1",
        "redis://[::1", "redis://hunter2@h", "redis://u:hunter2%@h", "redis://u:hunter2%ff@h",
        "redis://h?ca=/x", "rediss://h?verify=hunter2", "unix://", "unix:///", "unix://path",
    ])
    func `a malformed URL is refused with a sentence that shows nothing of it`(url: String) {
        let complaint = #expect(throws: RedisConfiguration.Malformed.self) {
            try RedisConfiguration(url: url)
        }
        let text = complaint?.description ?? ""
        #expect(text.hasSuffix(".") && !text.contains("hunter2"))
    }

    @Test func `the password appears in no description (W7)`() throws {
        let configuration = try RedisConfiguration(url: "redis://user:hunter2@host/1")
        var dumped = ""
        dump(configuration, to: &dumped)
        for text in ["\(configuration)", String(reflecting: configuration), dumped] {
            #expect(!text.contains("hunter2"))
        }
        #expect("\(configuration)" == "redis://host:6379/1")
    }

    @Test func `an error reply loses the arguments Redis echoes`() {
        let error = RedisError(
            reply: "ERR unknown command 'X', with args beginning with: 'hunter2' "
        )
        #expect(error.code == "ERR" && !error.description.contains("hunter2"))
    }
}

// The command line from outside: exit codes, one clear sentence, JSON where scripts read.
import FoundationEssentials
import Glibc
import Primitives
import Testing

@testable import Watchword

@Suite struct CommandTests {
    struct Call: Sendable, CustomTestStringConvertible {
        let arguments: [String]
        let code: Int32

        init(_ line: String, _ code: Int32) {
            arguments = line.split(separator: " ").map(String.init)
            self.code = code
        }

        var testDescription: String { arguments.joined(separator: " ") }
    }

    static let calls = [
        Call("--help", 0), Call("version", 0), Call("--version", 0), Call("describe config", 0),
        Call("dev --help", 0), Call("nonsense", 64), Call("dev --nodes 0", 64),
        Call("dev --nodes many", 64), Call("dev --port 70000", 64), Call("dev --port 9080", 64),
        Call("dev --set http.port=1", 64), Call("dev --set http.prot=1", 78), Call("serve", 78),
        Call("migrate", 78), Call("describe config --set log.level=loud", 78),
        Call("describe config --config /nowhere.json", 78), Call("admin audit", 78),
        Call("admin audit --account me", 64), Call("admin audit --action everything", 64),
        Call("admin audit --from yesterday", 64), Call("admin audit --limit 0", 64),
        Call("admin users list", 78), Call("admin users list --state gone", 64),
        Call("admin users list --limit 0", 64), Call("admin users list --cursor x", 64),
        Call("admin users create --email ada", 78), Call("admin users create", 64),
        Call("admin users create --email a@b.example --password-stdin", 64),
        Call("admin users delete ada", 64), Call("admin users delete ada --yes", 78),
        Call("admin roles create Clerk", 64), Call("admin roles create clerk", 78),
        Call("admin roles create clerk --permission orders", 64),
        Call("admin roles delete clerk", 64), Call("admin roles grant ada", 64),
        Call("admin roles grant ada clerk --scope org:acme", 64),
        Call("admin roles grant ada clerk --scope nowhere", 64),
        Call("admin roles grant ada clerk --until tomorrow", 64),
        Call("admin keys revoke billing mine", 64), Call("admin signing-keys list", 78),
    ]

    @Test(arguments: calls)
    func `exit codes tell a script what kind of failure it was`(
        call: Call
    ) async throws {
        let (status, text) = try await BuiltBinary.run(call.arguments)
        #expect(status == .code(call.code), "\(text)")
        #expect(!text.isEmpty)
    }

    @Test func `the version is JSON for programs`() async throws {
        let (_, text) = try await BuiltBinary.run(["version", "--json"])
        let object = try JSONDecoder().decode([String: String].self, from: Data(text.utf8))
        #expect(object["name"] == "watchword" && object["version"] == Version.number)
        #expect(try await BuiltBinary.run(["describe", "version", "--json"]).text == text)
    }

    @Test func `serve names every unsafe setting and no secret (rows 283, 284)`() async throws {
        let (status, text) = try await BuiltBinary.run(
            ["serve"],
            [
                "WATCHWORD_KEYS_MASTER": "changeme", "WATCHWORD_PUBLIC_URL": "http://example.com",
                "WATCHWORD_DATABASE_URL": "postgresql://u:cinnamon@db/w",
            ]
        )
        #expect(status == .code(78))
        for name in ["keys.master", "public.url", "redis.url"] { #expect(text.contains(name)) }
        #expect(!text.contains("changeme") && !text.contains("cinnamon"))
    }

    @Test func `a taken port is named before anything is started`() async throws {
        let scratch = try ScratchFolder()
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(listener) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, size) == 0 && listen(listener, 1) == 0
                    && getsockname(listener, $0, &size) == 0
            }
        }
        try #require(bound)
        let port = Int(UInt16(bigEndian: address.sin_port))
        let path = scratch.path + "/data"
        let (status, text) = try await BuiltBinary.run([
            "dev", "--data-dir", path, "--port", "\(port)", "--management-port", "1024",
        ])
        #expect(status == .code(1))
        #expect(text.contains("Port \(port) ") && text.contains("--port"))
        #expect(!FileIO.exists(path + "/postgres"))
    }
}

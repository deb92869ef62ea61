// Lists of networks among the settings: what is none stops the start, with the setting's name and
// the network that was probably meant.
import Primitives
import Testing

@testable import Watchword

@Suite struct NetworkSettingsTests {
    static let names = ["administration.networks", "http.trusted_proxies"]

    /// What is read from `text`, and what is complained of.
    private func read(_ name: String, _ text: String) -> (networks: [String], complaints: [String])
    {
        let source = SettingsSource { $0 == name ? RawSetting(text, from: .environment) : nil }
        let settings = Settings(from: source)
        let networks =
            name == "administration.networks"
            ? settings.administrationNetworks : settings.web.trustedProxies
        let complaints = source.complaints.filter { $0.name == name }
        return (networks.map { "\($0)" }, complaints.map(\.description))
    }

    @Test(arguments: names)
    func `networks and addresses of both kinds are read (row 176: network)`(name: String) {
        let text = "10.20.0.0/16, 2001:db8:7::/48,192.0.2.7 ,::ffff:10.21.0.0/112"
        let (networks, complaints) = read(name, text)
        #expect(networks == ["10.20.0.0/16", "2001:db8:7::/48", "192.0.2.7", "10.21.0.0/16"])
        #expect(complaints == [])
        let none = read(name, "")
        #expect(none.networks == [] && none.complaints == [])
        let many = Array(repeating: "192.0.2.7", count: 100).joined(separator: ",")
        #expect(read(name, many).complaints == [])
    }

    @Test func `without the setting administration is answered everywhere`() {
        let settings = Settings(from: .recording())
        #expect(settings.administrationNetworks.isEmpty)
    }

    @Test(arguments: [
        ("10.20.0.1/16", "10.20.0.0/16"), ("2001:db8:7::1/48", "2001:db8:7::/48"),
        ("10.20.0.0/016", "10.20.0.0/16"), ("::ffff:10.20.0.1/112", "10.20.0.0/16"),
    ])
    func `a slip is refused with the network that was meant`(text: String, meant: String) {
        for name in Self.names {
            let (_, complaints) = read(name, "192.0.2.7," + text)
            #expect(complaints.count == 1)
            #expect(complaints.first?.hasPrefix("\(name): \"\(text)\" is neither") == true)
            #expect(complaints.first?.hasSuffix("did you mean \(meant)?") == true)
        }
    }

    @Test(arguments: [
        "office", "localhost", "10.20.0.0/33", "10.20.7.1:443", "10.20.*", "10.20.0.0-10.20.0.9",
        "[2001:db8::1]", "fe80::1%eth0", "10.20.0.0/255.255.0.0", "*", "10.20.0.0/-1",
    ])
    func `what is no network at all is refused with how one is written`(text: String) {
        for name in Self.names {
            let (_, complaints) = read(name, text)
            #expect(complaints.count == 1)
            #expect(complaints.first?.hasPrefix(name) == true)
            #expect(complaints.first?.contains("10.0.0.0/8 or 2001:db8::/32") == true)
        }
    }

    @Test func `an empty entry and more than a hundred are refused`() {
        let many = Array(repeating: "192.0.2.7", count: 101).joined(separator: ",")
        for name in Self.names {
            for text in ["10.20.0.0/16,", ",", many] {
                let (_, complaints) = read(name, text)
                #expect(complaints.count == 1)
                #expect(complaints.first?.hasPrefix(name) == true)
            }
        }
    }

    @Test func `serve does not start with a network that is none (row 176: network)`() async throws
    {
        let (status, text) = try await BuiltBinary.run(
            ["serve"],
            ["WATCHWORD_ADMINISTRATION_NETWORKS": "192.0.2.7,10.20.0.1/16"]
        )
        #expect(status == .code(78))
        #expect(text.contains("administration.networks"))
        #expect(text.contains("did you mean 10.20.0.0/16?"))
    }
}

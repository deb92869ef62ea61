// Which operations can be bound to networks, and which addresses such a network lets in; with real
// nodes and gateways' headers in ClusterTests.
import Access
import Primitives
import Testing

@testable import Web

@Suite struct AdministrationNetworksTests {
    private func networks(_ texts: [String]) throws -> [IPNetwork] {
        try texts.map { try #require(IPNetwork($0)) }
    }

    /// Whether a call of `address` at `gate` goes on, and how many were refused.
    private func check(
        _ address: String,
        at gate: Gate = .permission(.usersRead),
        in texts: [String],
        behind proxies: [String] = []
    ) throws -> (passes: Bool, refused: Int) {
        let metrics = MetricsRegistry()
        let rule = AdministrationNetworks(
            try networks(texts),
            behind: try networks(proxies),
            metrics
        )
        let client = try #require(IPAddress(address))
        var passes = true
        do throws(GateRefusal) {
            try rule.check(gate, from: client)
        } catch {
            #expect(error == .networkNotAllowed)
            passes = false
        }
        let name = "watchword_administration_network_refused_total "
        let line = metrics.exposition().split(separator: "\n").first { $0.hasPrefix(name) }
        let count = line.flatMap { Int($0.dropFirst(name.count)) } ?? -1
        return (passes, count)
    }

    @Test
    func `all that lies under /v1/admin can be bound to networks, and nothing else (row 176)`() {
        var bound = 0
        for info in PublicAPI.catalogue.operations {
            let isAdministration = info.pattern.text.hasPrefix("/v1/admin/")
            #expect(info.gate.isAdministration == isAdministration, "\(info.name)")
            let declares = info.problems.contains(.networkNotAllowed)
            #expect(declares == isAdministration, "\(info.name)")
            if isAdministration { bound += 1 }
        }
        #expect(bound >= 55)
        #expect(ProblemCode.networkNotAllowed.rawValue == "network-not-allowed")
        #expect(ProblemCode.networkNotAllowed.status == 403)
    }

    @Test func `without a network every address passes`() throws {
        for address in ["203.0.113.9", "::1", "10.0.0.1"] {
            let (passes, refused) = try check(address, in: [], behind: ["10.0.0.0/8"])
            #expect(passes && refused == 0, "\(address)")
        }
    }

    @Test(arguments: [
        ("10.20.7.1", true), ("::ffff:10.20.7.1", true), ("192.0.2.7", true),
        ("2001:db8:7::1", true), ("10.21.0.1", false), ("::ffff:10.21.0.1", false),
        ("192.0.2.8", false), ("2001:db8:8::1", false), ("127.0.0.1", false), ("::1", false),
    ])
    func `an address passes in one of them, however it is written, and others are counted`(
        address: String,
        isInside: Bool
    ) throws {
        let list = ["10.20.0.0/16", "2001:db8:7::/48", "192.0.2.7"]
        let (passes, refused) = try check(address, in: list)
        #expect(passes == isInside)
        #expect(refused == (isInside ? 0 : 1))
    }

    @Test func `a proxy's own address is anybody's and passes nowhere (W10)`() throws {
        let list = ["10.20.0.0/16"]
        #expect(try check("10.20.0.5", in: list).passes)
        #expect(try !check("10.20.0.5", in: list, behind: ["10.20.0.5"]).passes)
        #expect(try !check("::ffff:10.20.0.5", in: list, behind: ["10.20.0.0/24"]).passes)
        #expect(try check("10.20.1.5", in: list, behind: ["10.20.0.0/24"]).passes)
    }

    @Test(arguments: [
        Gate.anyone, .credential, .endedCredential, .principal, .refreshCredential, .listener,
    ])
    func `what administers nothing is open everywhere`(gate: Gate) throws {
        let (passes, refused) = try check("203.0.113.9", at: gate, in: ["10.20.0.0/16"])
        #expect(passes && refused == 0)
        let isRefused = try !check("203.0.113.9", at: .delegated(.usersRead), in: ["::1"]).passes
        #expect(isRefused)
    }
}

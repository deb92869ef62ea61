// API keys that open nothing, at a real listener, on both ways in which `/verify` is answered and
// at the API: PostgreSQL is asked about those of one address only so often, and nobody else's key
// is the worse for it (decision 18).
import Access
import ClusterKit
import Primitives
import Sessions
import Testing

@testable import Web

@Suite(.serialized) struct ForgedKeyTests {
    private typealias Call = ForgedTokenTests.Call
    private static let statements = "watchword_api_key_resolutions_total"

    private static func ask(
        _ key: [UInt8],
        _ port: Int,
        _ call: Call = Call()
    ) async throws -> String {
        try await ForgedTokenTests.ask(key, port, call)
    }

    @Test(arguments: [true, false])
    func `keys that nobody has made use up the budget of their address, and of no other (W10)`(
        _ isFast: Bool
    ) async throws {
        try await Cluster.run(set: ForgedTokenTests.settings) { cluster in
            let node = cluster.nodes[0]
            let robot = try await Robot(cluster)
            let known = try await robot.makeKey().text
            try await VerifyListener.run(cluster, isFast: isFast) { listener in
                let port = listener.port
                #expect(try await Self.ask(known, port) == "200")
                #expect(try await Self.ask(robot.makeUp(), port) == "401 token-invalid")
                // Each time with a failure before it, in case that one took as long as twenty
                // seconds.
                try await until("a new key is not looked for") {
                    let fresh = try await robot.makeKey().text
                    _ = try await Self.ask(robot.makeUp(), port)
                    return try await Self.ask(fresh, port) == "401 token-invalid later"
                }
                #expect(node.value("watchword_signature_budget_refused_total") > 0)
                let before = node.value(Self.statements)
                for _ in 0..<20 { _ = try await Self.ask(robot.makeUp(), port) }
                #expect(node.value(Self.statements) - before < 20)
                try await until("the API says so by its own code") {
                    let call = Call(target: "/v1/me")
                    let said = try await Self.ask(robot.makeUp(), port, call)
                    return said == "429 too-many-attempts later"
                }
                // Keys have a budget of their own: a token that nobody has met is looked at.
                _ = try await cluster.signUp("stranger")
                let token = try await cluster.signIn("stranger").accessToken.exposed
                #expect(try await Self.ask(token, port) == "200")
                // A key in use is read as ever; elsewhere, and where everybody is, so is each.
                #expect(try await Self.ask(known, port) == "200")
                for address in ["203.0.113.10", nil] {
                    let other = Call(address: address)
                    let fresh = try await robot.makeKey().text
                    #expect(try await Self.ask(fresh, port, other) == "200")
                    #expect(try await Self.ask(robot.makeUp(), port, other) == "401 token-invalid")
                }
            }
        }
    }

    @Test(arguments: [true, false])
    func `a key that was taken back is read once more, and then it is paid for`(
        _ isFast: Bool
    ) async throws {
        try await Cluster.run(set: ForgedTokenTests.settings) { cluster in
            let node = cluster.nodes[0]
            let robot = try await Robot(cluster)
            let key = try await robot.makeKey()
            try await VerifyListener.run(cluster, isFast: isFast) { listener in
                // The first is the general path's.
                for _ in 0..<2 { #expect(try await Self.ask(key.text, listener.port) == "200") }
                try await robot.revoke(key.id)
                let before = node.value(Self.statements)
                for _ in 0..<30 {
                    let said = try await Self.ask(key.text, listener.port)
                    #expect(said.hasPrefix("401"), "\(said)")
                }
                #expect(node.value(Self.statements) - before < 30)
            }
        }
    }
}

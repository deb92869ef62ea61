// What cannot be read of one API key or account is the fault of that one: the others that are asked
// for with it get their answers (W10).
import Access
import ClusterKit
import Primitives
import Testing

@testable import Web

@Suite(.serialized) struct KeyFaultTests {
    @Test func `a key that cannot be read spoils no other of its batch (W10)`() async throws {
        try await Cluster.run { cluster in
            let web = cluster.nodes[0].web
            let scene = try await OrganisationScene(cluster)
            let good = try await Robot(scene, named: "robot-1")
            let bad = try await Robot(scene, named: "robot-2")
            let (key, spoilt) = (try await good.makeKey(), try await bad.makeKey())
            try await VerifyListener.run(cluster, isFast: true) { listener in
                let port = listener.port
                for text in [key.text, spoilt.text] {
                    for _ in 0..<2 { #expect(try await ForgedTokenTests.ask(text, port) == "200") }
                }
                // There is no time that it could be read as.
                try await cluster.run(
                    "UPDATE api_keys SET expires_at = 'infinity' WHERE id = '\(spoilt.id)'"
                )
                for robot in [good, bad] { try await robot.interrupt() }
                var settled = Settled()
                try await settled.learn([.key(spoilt.text), .key(key.text)], web)
                let (read, unread) = (settled.keys[key.text], settled.keys[spoilt.text])
                guard case .success(.success)? = read, case .failure? = unread else {
                    Issue.record("\(String(describing: read)), \(String(describing: unread))")
                    return
                }
                let refused = try await ForgedTokenTests.ask(spoilt.text, port)
                #expect(refused.hasPrefix("5"), "\(refused)")
                #expect(try await ForgedTokenTests.ask(key.text, port) == "200")
            }
        }
    }

    @Test func `a role that is held until infinity is held, and spoils no other account`()
        async throws
    {
        try await Cluster.run { cluster in
            let scene = try await OrganisationScene(cluster)
            let other = try await cluster.signUp("ben")
            try await cluster.run(
                """
                UPDATE account_roles SET expires_at = 'infinity'
                 WHERE account_id = '\(scene.member)'
                   AND role_id = '\(BuiltInRole.admin)'
                """
            )
            let found = try await cluster.nodes[0].web.rights.read([
                RightsQuestion(scene.member, version: 0), RightsQuestion(other, version: 0),
            ])
            let held = found[scene.member]?.roles(in: scene.organisation, on: nil) ?? []
            #expect(held.contains(BuiltInRole.admin))
            #expect(found[other] != nil)
        }
    }
}

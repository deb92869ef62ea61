// A service account with as many API keys as a test wants, made by the use cases of a real node.
import Access
import Accounts
package import Primitives
import Web

/// A service that is given keys.
package struct Robot: Sendable {
    /// Who gives them, and where.
    package let scene: OrganisationScene
    /// Its account.
    package let account: AccountID

    /// Makes one in a cluster that has nobody yet.
    package init(_ cluster: Cluster) async throws {
        try await self.init(OrganisationScene(cluster), named: "robot")
    }

    /// Makes one of several.
    package init(_ scene: OrganisationScene, named name: String) async throws {
        self.scene = scene
        guard let root = scene.root.actor else { throw Unexpected("root has no account") }
        account = try await scene.cluster.nodes[0].web.administration.services.create(
            name,
            by: root,
            scene.cluster.trace()
        )
    }

    /// Makes a key that no node has met.
    package func makeKey(
        _ permissions: [String]? = nil
    ) async throws -> (id: APIKeyID, text: [UInt8]) {
        let made = try await scene.cluster.nodes[0].web.administration.keys.create(
            APIKeyRequest(name: "k", permissions: permissions, expiresAt: nil),
            for: account,
            by: scene.root,
            scene.cluster.trace()
        )
        return (made.view.id, made.text.exposed)
    }

    /// Takes a key back.
    package func revoke(_ key: APIKeyID) async throws {
        try await scene.cluster.nodes[0].web.administration.keys.revoke(
            key,
            of: account,
            by: scene.root,
            scene.cluster.trace()
        )
    }

    /// Disables the account and enables it again: what nodes know of its keys is outdated.
    package func interrupt() async throws {
        let change = scene.cluster.nodes[0].web.administration.changeState
        try await change.disable(account, .service, by: scene.root, scene.cluster.trace())
        try await change.enable(account, .service, by: scene.root, scene.cluster.trace())
    }

    /// A key of the right form that nobody has made.
    package func makeUp() -> [UInt8] {
        let id = APIKeyID(at: scene.cluster.trace().now, entropy: .system)
        return APIKey.make(id, entropy: .system).text.exposed
    }
}

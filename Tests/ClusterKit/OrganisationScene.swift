// An organisation with one member, who administers there, and somebody who may everything: what
// tests of organisations begin with.
package import Access
package import Primitives
import Sessions
import Web

/// One organisation and its member.
package struct OrganisationScene: Sendable {
    /// Its id, as text.
    package static let id = "00000000-0000-7000-8000-00000000a001"
    /// Where they are.
    package let cluster: Cluster
    /// The organisation.
    package let organisation: OrganisationID
    /// Its member, whose user name is `ada`.
    package let member: AccountID
    /// Somebody who may everything.
    package let root: Grantor

    /// Makes them.
    package init(_ cluster: Cluster) async throws {
        self.cluster = cluster
        guard let organisation = OrganisationID(Self.id) else { throw Unexpected("no id") }
        self.organisation = organisation
        member = try await cluster.signUp("ada")
        let root = try await cluster.signUp("root")
        self.root = Grantor(account: root, narrowedTo: nil, realm: .everywhere)
        try await cluster.run(
            """
            INSERT INTO account_roles (account_id, role_id, granted_at)
            VALUES ('\(root)', '\(BuiltInRole.admin)', now());
            INSERT INTO organisations (id, name, display_name, created_at, updated_at)
            VALUES ('\(organisation)', 'acme', 'Acme', now(), now());
            INSERT INTO organisation_members (organisation_id, account_id, joined_at)
            VALUES ('\(organisation)', '\(member)', now());
            INSERT INTO account_roles (account_id, role_id, scope, granted_at)
            VALUES ('\(member)', '\(BuiltInRole.admin)', 'org:\(organisation)', now());
            """
        )
    }

    /// Disables it, or enables it again.
    package func change(_ state: OrganisationState, on index: Int = 0) async throws {
        let view = try await cluster.nodes[index].web.administration.organisations.change(
            organisation,
            displayName: nil,
            state: state,
            by: root,
            cluster.trace()
        )
        guard view.state == state else { throw Unexpected("it is \(view.state)") }
    }
}

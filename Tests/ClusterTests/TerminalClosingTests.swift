// Closing what is open to many at the terminal, when nobody can at the API: organisations and
// signing keys. In force on every node when the command ends (W1, W11).
import Primitives
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct TerminalClosingTests {
    /// What the nodes answer a request.
    private func verdicts(
        _ cluster: Cluster,
        _ fields: [(String, String)]
    ) async throws -> Set<Int> {
        var found: Set<Int> = []
        for node in cluster.nodes {
            found.insert(try await node.client.send("GET", "/verify", fields).status)
        }
        return found
    }

    /// What the log last says of such an action at the terminal.
    private func entry(_ cluster: Cluster, _ member: String, _ id: String) async throws -> String {
        try await cluster.sql(
            """
            SELECT action || ' ' || COALESCE(actor_id::text, 'nobody') || ' ' || ip_address
              FROM audit_events WHERE detail ->> '\(member)' = '\(id)' ORDER BY id DESC LIMIT 1
            """
        )
    }

    @Test func `an organisation is closed, opened again and removed at the terminal (W11)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let desk = try await AdminDesk(cluster)
        let organisation = try await TestOrganisation(desk)
        let person = try await cluster.person()
        try await organisation.add(person, by: desk)
        let acting = try await cluster.signIn(person).bearer + [organisation.field]
        #expect(try await verdicts(cluster, acting) == [200])
        for (verb, name, status) in [
            ("disable", organisation.name, 403), ("enable", organisation.id, 200),
        ] {
            let done = try await cluster.terminal("organisations", verb, name, "--json")
            #expect(done.status == 0, "\(done.errors)")
            #expect(done.text("state") == (status == 200 ? "active" : "disabled"))
            #expect(try await verdicts(cluster, acting) == [status])
            let told = try await entry(cluster, "organisation_id", organisation.id)
            #expect(told == "organisation.changed nobody terminal")
        }
        let careless = try await cluster.terminal("organisations", "delete", organisation.name)
        #expect(careless.status == 64)
        #expect(try await verdicts(cluster, acting) == [200])
        let removed = try await cluster.terminal(
            "organisations",
            "delete",
            organisation.name,
            "--yes"
        )
        #expect(removed.status == 0, "\(removed.errors)")
        #expect(try await verdicts(cluster, acting) == [403])
        let told = try await entry(cluster, "organisation_id", organisation.id)
        #expect(told == "organisation.removed nobody terminal")
        for name in [organisation.name, organisation.id] {
            let missing = try await cluster.terminal("organisations", "disable", name)
            #expect(missing.status == 1 && missing.errors.contains("no organisation"))
        }
    }

    @Test func `a signing key is taken out of use at the terminal, but never the last (W1)`()
        async throws
    {
        var plan = Cluster.Plan()
        plan.nodes = 2
        try await Cluster.run(plan) { cluster in
            let tokens = try await cluster.signIn(cluster.administrator)
            let key = try await cluster.sql("SELECT id FROM keys WHERE use = 'access-token'")
            let remove = ["remove", key, "--yes"]
            let last = try await cluster.terminal(of: "keys", all: remove)
            #expect(last.status == 1 && last.errors.contains("No other signing key is active"))
            #expect(try await verdicts(cluster, tokens.bearer) == [200])
            let made = try await cluster.terminal(
                of: "keys",
                all: ["rotate", "--at-once", "--json"]
            )
            #expect(made.text("state") == "active", "\(made.errors)")
            let careless = try await cluster.terminal(of: "keys", all: ["remove", key])
            #expect(careless.status == 64)
            let removed = try await cluster.terminal(of: "keys", all: remove)
            #expect(removed.status == 0, "\(removed.errors)")
            #expect(try await verdicts(cluster, tokens.bearer) == [401])
            #expect(
                try await entry(cluster, "key_id", key) == "signing-key.removed nobody terminal"
            )
            for id in [key, "no-key"] {
                let missing = try await cluster.terminal(of: "keys", all: ["remove", id, "--yes"])
                #expect(missing.status != 0)
            }
            let fresh = try await cluster.signIn(cluster.administrator)
            #expect(try await verdicts(cluster, fresh.bearer) == [200])
        }
    }
}

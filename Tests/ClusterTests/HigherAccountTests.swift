// Whoever administers people and services changes nobody who may more than he, and not himself, by
// whatever operation (rows 169, 170). Derived from the catalogue: a new operation on one account
// joins by itself.
import Primitives
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct HigherAccountTests {
    /// Somebody who may change accounts and nothing else.
    private struct Scene {
        let cluster: Cluster
        let root: AdminDesk
        let organisation: TestOrganisation
        let clerk: Person
        let desk: AdminDesk

        init() async throws {
            cluster = try await Cluster.shared()
            root = try await AdminDesk(cluster)
            organisation = try await TestOrganisation(root)
            clerk = try await cluster.person()
            let rights = ["users:read", "users:write", "services:read", "services:write"]
            try await cluster.grant("clerk-\(clerk.id.suffix(12))", rights, to: clerk)
            desk = try await AdminDesk(cluster, clerk)
        }

        /// A person and a service, who may more than the clerk where `isHigher`.
        func subjects(isHigher: Bool) async throws -> Subjects {
            let made = try await organisation.subjects(root)
            try await cluster.addSecondFactor(to: made[.account])
            guard isHigher else { return made }
            for subject in [Subject.account, .service] {
                let holder = Person(email: "", username: "", password: "", id: made[subject])
                try await cluster.grant("\(subject)-\(made.mark)", ["orders:pay"], to: holder)
            }
            return made
        }

        /// The clerk's call of an operation on them.
        func send(_ info: OperationInfo, _ subjects: Subjects) async throws -> HTTPAnswer {
            let call = try CallTable.call(info, subjects)
            var fields = desk.tokens.bearer
            if !info.traits.isDisjoint(with: [.needsVersion, .takesVersion]) {
                fields.append(("If-Match", "*"))
            }
            return try await cluster.node.send(call.method, call.target, fields, json: call.json)
        }

        /// All that there is of them, as text.
        func state(_ subjects: Subjects) async throws -> String {
            let both = "IN ('\(subjects[.account])', '\(subjects[.service])')"
            let rows = [
                "account_signatures", "account_profiles", "account_passwords", "account_roles",
                "sessions", "api_keys", "audit_events", "outbox", "second_factors",
            ].map { "SELECT '\($0)' || t::text AS line FROM \($0) t WHERE account_id \(both)" }
            let all = rows + ["SELECT 'accounts' || a::text FROM accounts a WHERE id \(both)"]
            return try await cluster.sql(
                "SELECT string_agg(line, E'\\n' ORDER BY line) FROM ("
                    + all.joined(separator: " UNION ALL ") + ") all_of_it (line)"
            )
        }
    }

    /// Those that change one account; keys of services have rules of their own.
    private static var operations: [OperationInfo] {
        PublicAPI.catalogue.operations.filter { info in
            guard let permission = info.gate.permission,
                ["users:write", "services:write"].contains(permission)
            else { return false }
            return info.pattern.text.contains("{id}") && !info.pattern.text.contains("/keys")
        }
    }

    @Test
    func `no operation changes somebody who may more, nor oneself (rows 169, 170)`() async throws {
        let scene = try await Scene()
        var tried: Set<String> = []
        for info in Self.operations {
            let higher = try await scene.subjects(isHigher: true)
            let before = try await scene.state(higher)
            let refused = try await scene.send(info, higher)
            #expect(
                refused.status == 403 && refused.code == "permission-not-held",
                "\(info.name) \(refused.status) \(refused.body)"
            )
            #expect(try await scene.state(higher) == before, "\(info.name)")
            // The opposite: who may no more than he.
            let equal = try await scene.subjects(isHigher: false)
            let done = try await scene.send(info, equal)
            let isDone = (200..<300).contains(done.status)
            #expect(isDone, "\(info.name) \(done.status) \(done.body)")
            tried.insert(info.name)
            guard info.name.hasPrefix("users.") else { continue }
            let himself = equal.with([
                .account: scene.clerk.id, .session: scene.desk.tokens.session,
            ])
            let own = try await scene.send(info, himself)
            #expect(
                own.status == 403 && own.code == "self-change-refused",
                "\(info.name) \(own.status) \(own.body)"
            )
        }
        #expect(
            tried.isSuperset(of: [
                "users.change", "users.delete", "users.disable", "users.enable", "users.unlock",
                "users.require_password_change", "users.end_sessions", "users.end_session",
                "services.disable", "services.enable", "services.delete",
            ])
        )
        try await scene.cluster.expectEverywhere(200, scene.desk.tokens.bearer)
    }
}

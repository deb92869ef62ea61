// Every operation of the catalogue, sent twice at the same time with the same input through two
// nodes: what is unique is done once, who comes second is told so, and nothing breaks. An operation
// that nobody has told what to expect of fails.
import Primitives
import Testing

@testable import Web

@Suite struct TwiceAtOnceTests {
    /// What two of the same come to.
    private enum Outcome {
        /// Nothing is changed; both are answered.
        case read
        /// Both are answered as done.
        case both
        /// One is done, and the other refused with one of these.
        case one(Set<String>)
        /// One is done, and the other done too, or refused with one of these.
        case any(Set<String>)
    }

    /// What needs an authenticator is sent twice at once where there is one
    /// (`SecondFactorTests`, `SecondFactorAdministrationTests`).
    private static let isElsewhere: Set = [
        "second_factor.confirm", "second_factor.renew_recovery_codes", "second_factor.remove",
        "users.reset_second_factor",
    ]

    /// What is to be expected of an operation; nil where nobody has told.
    private static func outcome(_ name: String) -> Outcome? {
        switch name {
        case "accounts.me", "sessions.list", "sessions.login_history", "gateway.verify",
            "gateway.jwks", "users.list", "users.get", "users.sessions", "users.login_history",
            "permissions.list", "roles.list", "roles.get", "roles.holders", "assignments.list",
            "routes.list", "routes.get", "routes.explain", "audit.list", "statistics.list",
            "settings.list", "keys.list", "organisations.list", "organisations.get",
            "organisations.members", "accounts.organisations", "services.list", "services.get",
            "services.keys", "decisions.authorize", "decisions.evaluation",
            "decisions.evaluations", "decisions.configuration", "decisions.my_permissions",
            "decisions.why", "approvals.list", "approvals.get", "second_factor.show":
            .read
        case "sessions.sign_in", "sessions.refresh", "sessions.log_out",
            "sessions.choose_organisation", "users.bulk", "users.disable", "users.enable",
            "users.unlock", "users.require_password_change", "users.end_sessions",
            "users.impersonate", "permissions.change", "assignments.create", "assignments.bulk",
            "routes.insert", "keys.rotate", "organisations.add_member", "services.disable",
            "services.enable", "services.create_key", "approvals.give", "approvals.refuse",
            "second_factor.begin":
            .both
        case "accounts.register", "users.create", "services.create":
            .one(["email-taken", "username-taken"])
        case "permissions.create", "roles.create", "organisations.create": .one(["name-taken"])
        case "users.change", "roles.change", "routes.replace", "routes.update", "routes.delete",
            "organisations.change":
            .one(["version-mismatch"])
        case "users.delete", "permissions.remove", "roles.remove", "assignments.remove",
            "keys.remove", "organisations.remove", "organisations.remove_member",
            "services.delete":
            .one(["not-found"])
        case "accounts.change_password": .one(["password-incorrect", "token-revoked"])
        case "sessions.log_out_everywhere", "sessions.end_others": .any(["token-revoked"])
        case "sessions.end", "users.end_session", "services.revoke_key": .any(["not-found"])
        default: nil
        }
    }

    /// What must have been done before.
    private static let preparations = [
        "users.enable": "users.disable", "services.enable": "services.disable",
        "assignments.create": "assignments.remove", "assignments.bulk": "assignments.remove",
        "organisations.add_member": "organisations.remove_member",
    ]

    /// What is counted before and after, and by how much that differs.
    private struct Effect {
        let sql: String
        let by: Int

        init(_ sql: String, _ by: Int) {
            self.sql = sql
            self.by = by
        }
    }

    /// What an operation leaves; nil where nobody has told.
    private static func effect(_ name: String, _ on: Subjects) -> Effect? {
        effectOnPeople(name, on) ?? effectOnRights(name, on) ?? effectOnRest(name, on)
    }

    private static func effectOnPeople(_ name: String, _ on: Subjects) -> Effect? {
        let mine = "account_id = '\(on[.account])'"
        let living = """
            SELECT count(*) FROM sessions s JOIN account_signatures g USING (account_id)
             WHERE s.\(mine) AND s.revoked_at IS NULL AND s.signature_generation = g.generation
            """
        func accounts(_ condition: String) -> String {
            "SELECT count(*) FROM accounts WHERE id = '\(on[.account])' AND \(condition)"
        }
        func journal(_ action: String) -> String {
            "SELECT count(*) FROM audit_events WHERE \(mine) AND action = '\(action)'"
        }
        func named(_ name: String) -> String {
            "SELECT count(*) FROM accounts WHERE username_canonical = '\(name)'"
        }
        return switch name {
        case "accounts.register": Effect(named("new_\(on.mark)"), 1)
        case "accounts.change_password": Effect(journal("password.changed"), 1)
        case "sessions.sign_in": Effect(living, 2)
        case "sessions.refresh": Effect(living, 0)
        case "sessions.log_out", "sessions.end", "sessions.end_others", "users.end_session":
            Effect(living, -1)
        case "sessions.log_out_everywhere", "users.end_sessions": Effect(living, -2)
        case "sessions.choose_organisation": Effect(journal("session.organisation-chosen"), 1)
        case "users.create": Effect(named("made_\(on.mark)"), 1)
        case "users.bulk", "users.disable": Effect(accounts("state = 'disabled'"), 1)
        case "users.enable": Effect(accounts("state = 'active'"), 1)
        case "users.delete": Effect(accounts("state = 'deleted'"), 1)
        case "users.change": Effect("SELECT version FROM accounts WHERE id = '\(on[.account])'", 1)
        case "users.unlock": Effect(journal("account.unlocked"), 2)
        case "users.require_password_change":
            Effect("SELECT count(*) FROM account_passwords WHERE \(mine) AND must_change", 1)
        case "second_factor.begin":
            Effect("SELECT count(*) FROM second_factors WHERE \(mine)", 1)
        case "users.impersonate":
            Effect("SELECT count(*) FROM sessions WHERE \(mine) AND actor_id IS NOT NULL", 2)
        default: nil
        }
    }

    private static func effectOnRights(_ name: String, _ on: Subjects) -> Effect? {
        func permissions(_ name: String) -> String {
            "SELECT count(*) FROM permissions WHERE name = '\(name)'"
        }
        let held = """
            SELECT count(*) FROM account_roles
             WHERE account_id = '\(on[.account])' AND role_id = '\(on[.role])'
            """
        return switch name {
        case "permissions.create": Effect(permissions("n\(on.mark):write"), 1)
        case "permissions.change":
            Effect("SELECT count(*) FROM permissions WHERE description = '\(on.mark)'", 1)
        case "permissions.remove": Effect(permissions(on[.permission]), -1)
        case "roles.create": Effect("SELECT count(*) FROM roles WHERE name = 'n-\(on.mark)'", 1)
        case "roles.change":
            Effect("SELECT count(*) FROM roles WHERE description = '\(on.mark)'", 1)
        case "roles.remove":
            Effect(
                "SELECT count(*) FROM roles WHERE id = '\(on[.role])' AND removed_at IS NULL",
                -1
            )
        case "assignments.create", "assignments.bulk": Effect(held, 1)
        case "assignments.remove": Effect(held, -1)
        default: nil
        }
    }

    private static func effectOnRest(_ name: String, _ on: Subjects) -> Effect? {
        func rules(_ condition: String) -> String {
            "SELECT count(*) FROM route_rules WHERE \(condition)"
        }
        func organisations(_ condition: String) -> String {
            "SELECT count(*) FROM organisations WHERE \(condition) AND removed_at IS NULL"
        }
        let members = """
            SELECT count(*) FROM organisation_members
             WHERE organisation_id = '\(on[.organisation])' AND account_id = '\(on[.account])'
            """
        func service(_ state: String) -> String {
            "SELECT count(*) FROM accounts WHERE id = '\(on[.service])' AND state = '\(state)'"
        }
        func approvals(_ decision: String) -> String {
            """
            SELECT count(*) FROM audit_events
             WHERE action = 'approval.\(decision)'
               AND detail ->> 'approval_id' = '\(on[.approval])'
            """
        }
        return switch name {
        case "routes.insert": Effect(rules("path = '/n\(on.mark)'"), 2)
        case "routes.replace": Effect(rules("path = '/n\(on.mark)'"), 1)
        case "routes.update": Effect(rules("description = '\(on.mark)'"), 1)
        case "routes.delete": Effect(rules("id = '\(on[.rule])'"), -1)
        case "keys.rotate": Effect("SELECT count(*) FROM keys WHERE use = 'access-token'", 2)
        case "keys.remove": Effect("SELECT count(*) FROM keys WHERE retired_at IS NULL", -1)
        case "organisations.create": Effect(organisations("name = 'n-\(on.mark)'"), 1)
        case "organisations.change": Effect(organisations("display_name = '\(on.mark)'"), 1)
        case "organisations.remove": Effect(organisations("id = '\(on[.organisation])'"), -1)
        case "organisations.add_member": Effect(members, 1)
        case "organisations.remove_member": Effect(members, -1)
        case "services.create":
            Effect("SELECT count(*) FROM accounts WHERE username = 'n-\(on.mark)'", 1)
        case "services.disable": Effect(service("disabled"), 1)
        case "services.enable": Effect(service("active"), 1)
        case "services.delete": Effect(service("deleted"), 1)
        case "services.create_key":
            Effect("SELECT count(*) FROM api_keys WHERE name = 'k-\(on.mark)'", 2)
        case "services.revoke_key":
            Effect(
                "SELECT count(*) FROM api_keys"
                    + " WHERE id = '\(on[.apiKey])' AND revoked_at IS NULL",
                -1
            )
        case "approvals.give": Effect(approvals("given"), 1)
        case "approvals.refuse": Effect(approvals("refused"), 1)
        default: nil
        }
    }

    /// Two nodes, and who administers them.
    private struct Scene {
        let cluster: Cluster
        let root: AdminDesk

        init() async throws {
            var plan = Cluster.Plan()
            plan.nodes = 2
            plan.variables["WATCHWORD_ADMIN_IMPERSONATION"] = "true"
            cluster = try await Cluster.start(plan)
            root = try await AdminDesk(cluster)
        }

        /// The fields of a call: whose it is, and which version it changes.
        func fields(
            _ info: OperationInfo,
            _ call: Call,
            _ on: Subjects
        ) async throws -> [(String, String)] {
            let caller = info.gate.permission == nil ? on.tokens : root.tokens
            guard !info.traits.isDisjoint(with: [.needsVersion, .takesVersion]) else {
                return caller.bearer
            }
            let seen = try await cluster.node.send("GET", call.target, caller.bearer)
            guard let tag = seen["ETag"] else {
                throw ClusterError("\(info.name): no version at \(call.target): \(seen.body)")
            }
            return caller.bearer + [("If-Match", tag)]
        }

        /// Sends one call through both nodes at once.
        func twice(_ info: OperationInfo, _ on: Subjects) async throws -> [HTTPAnswer] {
            let call = try CallTable.call(info, on)
            let fields = try await fields(info, call, on)
            let (one, two) = (cluster.nodes[0].client, cluster.nodes[1].client)
            async let first = one.send(call.method, call.target, fields, json: call.json)
            async let second = two.send(call.method, call.target, fields, json: call.json)
            return try await [first, second]
        }

        /// Carries out the operation that must come before.
        func prepare(_ name: String, _ on: Subjects) async throws {
            let info = PublicAPI.catalogue.operations.first { $0.name == name }
            guard let info else { throw ClusterError("there is no \(name)") }
            let call = try CallTable.call(info, on)
            let fields = try await fields(info, call, on)
            let answer = try await cluster.node.send(
                call.method,
                call.target,
                fields,
                json: call.json
            )
            guard answer.status == info.success else { throw ClusterError(answer.body) }
        }

        func count(_ sql: String) async throws -> Int { Int(try await cluster.sql(sql)) ?? -1 }
    }

    @Test
    func `every operation sent twice at once is done once, or twice where it may be (S4-16, W10)`()
        async throws
    {
        let scene = try await Scene()
        let organisation = try await TestOrganisation(scene.root)
        let shared = try await organisation.subjects(scene.root, and: [.rule, .permission])
        var changes: [(OperationInfo, Outcome)] = []
        for info in PublicAPI.catalogue.operations {
            guard !Self.isElsewhere.contains(info.name) else { continue }
            guard let outcome = Self.outcome(info.name) else {
                Issue.record("\(info.name): tell what two at once come to")
                continue
            }
            guard case .read = outcome else {
                changes.append((info, outcome))
                continue
            }
            let answers = try await scene.twice(info, shared)
            #expect(answers.map(\.status) == [info.success, info.success], "\(info.name)")
        }
        var changed = 0
        for (info, outcome) in changes {
            for round in 0..<2 {
                let place = try await TestOrganisation(scene.root)
                let on = try await place.subjects(scene.root, and: Self.rare(info))
                if let first = Self.preparations[info.name] { try await scene.prepare(first, on) }
                guard let effect = Self.effect(info.name, on) else {
                    Issue.record("\(info.name): tell what it leaves")
                    break
                }
                let before = try await scene.count(effect.sql)
                let answers = try await scene.twice(info, on)
                expect(outcome, of: info, answers, round)
                let by = try await scene.count(effect.sql) - before
                #expect(by == effect.by, "\(info.name) \(round) \(answers.map(\.status))")
                changed += 1
            }
        }
        #expect(changed >= 80)
        try await expectConsistent(scene)
    }

    /// What is made for an operation alone.
    static func rare(_ info: OperationInfo) -> Set<Subject> {
        switch info.name {
        case "keys.remove": [.signingKey]
        case let name where name.hasPrefix("routes."): [.rule]
        case let name where name.hasPrefix("permissions."): [.permission]
        default: []
        }
    }

    private func expect(
        _ outcome: Outcome,
        of info: OperationInfo,
        _ answers: [HTTPAnswer],
        _ round: Int
    ) {
        let what = "\(info.name) \(round) \(answers.map { "\($0.status) \($0.code ?? "")" })"
        let done = answers.filter { (200..<300).contains($0.status) }
        let codes = answers.filter { !(200..<300).contains($0.status) }.map { $0.code ?? "" }
        let declared = Set(info.problems.map(\.rawValue))
        #expect(declared.isSuperset(of: codes), "\(what)")
        switch outcome {
        case .read, .both: #expect(done.count == 2, "\(what)")
        case .one(let wanted): #expect(done.count == 1 && wanted.isSuperset(of: codes), "\(what)")
        case .any(let wanted): #expect(done.count >= 1 && wanted.isSuperset(of: codes), "\(what)")
        }
        let isWhole = answers.allSatisfy { $0.status < 500 }
        #expect(isWhole, "\(what)")
    }

    /// What must find nothing, whatever was done (W9, W12).
    private static let oddities = [
        "an event that is in no journal": """
        SELECT count(*) FROM outbox o
         WHERE NOT EXISTS (SELECT FROM audit_events e WHERE e.id = o.id)
        """,
        "an account without a signature": """
        SELECT count(*) FROM accounts a
         WHERE NOT EXISTS (SELECT FROM account_signatures g WHERE g.account_id = a.id)
        """,
        "something held by who is deleted": """
        SELECT count(*) FROM accounts a JOIN account_roles r ON r.account_id = a.id
         WHERE a.state = 'deleted'
        """,
        "an organisation's role held by no member": """
        SELECT count(*) FROM account_roles r JOIN organisations o ON r.scope = 'org:' || o.id
         WHERE o.removed_at IS NULL
           AND NOT EXISTS (SELECT FROM organisation_members m
                            WHERE m.organisation_id = o.id AND m.account_id = r.account_id)
        """,
    ]

    private func expectConsistent(_ scene: Scene) async throws {
        for (what, sql) in Self.oddities { #expect(try await scene.count(sql) == 0, "\(what)") }
        let root = try await scene.root.send("GET", "/\(scene.root.id)")
        #expect(root.status == 200, "\(root.body)")
    }

    @Test
    func `a signing key that is asked for again with its key is the same one (W7, S4-17)`()
        async throws
    {
        let scene = try await Scene()
        let bearer = scene.root.tokens.bearer
        let path = "/v1/admin/keys/rotate"
        let kept = bearer + [("Idempotency-Key", "rotate-1")]
        var answers: [HTTPAnswer] = []
        for index in [0, 1, 0] {
            let client = scene.cluster.nodes[index].client
            answers.append(try await client.send("POST", path, kept, json: "{}"))
        }
        #expect(answers.map(\.status) == [201, 201, 201])
        #expect(answers.map { $0["Idempotent-Replayed"] } == [nil, "true", "true"])
        #expect(Set(answers.map(\.body)).count == 1)
        let id = try #require(answers[0].text("id"))
        let made = """
            SELECT count(*) FROM audit_events
             WHERE action = 'signing-key.made' AND actor_id IS NOT NULL
            """
        #expect(try await scene.count(made) == 1)
        // A key for one rotation is none for another.
        let other = try await scene.cluster.node.send(
            "POST",
            path,
            kept,
            json: #"{"at_once":true}"#
        )
        #expect(other.status == 409 && other.code == "idempotency-key-reused")
        // Without a body, once and again.
        let minimal = bearer + [("Idempotency-Key", "rotate-2"), ("Prefer", "return=minimal")]
        for index in [0, 1] {
            let client = scene.cluster.nodes[index].client
            let answer = try await client.send("POST", path, minimal)
            #expect(answer.status == 201 && answer.body.isEmpty, "\(answer.body)")
            #expect(answer["Preference-Applied"] == "return=minimal")
        }
        #expect(try await scene.count(made) == 2)
        let listed = try await scene.cluster.node.send("GET", "/v1/admin/keys", bearer)
        let ids = listed.json.at("items")?.items.compactMap { $0.at("id")?.string } ?? []
        #expect(ids.count == 3 && ids.contains(id))
    }
}

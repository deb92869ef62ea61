// Ids of another organisation, in every operation that names one: what is not one's own is answered
// as what is not there, and stays as it is. Derived from the catalogue: a new operation joins by
// its line in `CallTable`, and fails here without one.
import Primitives
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct ForeignIDTests {
    /// A delegate of one organisation, who holds every permission of administration there, and
    /// another organisation with all that there can be in one.
    private struct Scene {
        let cluster: Cluster
        let root: AdminDesk
        let own: TestOrganisation
        let other: TestOrganisation
        let boss: Person
        let desk: AdminDesk
        let theirs: Subjects
        /// Somebody in no organisation.
        let stranger: Person

        init() async throws {
            cluster = try await Cluster.shared()
            root = try await AdminDesk(cluster)
            own = try await TestOrganisation(root)
            other = try await TestOrganisation(root)
            boss = try await cluster.person()
            try await own.add(boss, by: root)
            // Also what opens nothing unless it is held everywhere.
            let all = PublicAPI.catalogue.operations.compactMap(\.gate.permission)
            try await own.give(Set(all).sorted(), to: boss, by: root)
            desk = try await AdminDesk(cluster, boss)
            theirs = try await other.subjects(root)
            stranger = try await cluster.person()
            for id in [theirs[.account], stranger.id] { try await cluster.addSecondFactor(to: id) }
        }

        /// The ids of others that can stand where one of one's own does.
        func foreign(_ subject: Subject, _ mine: Subjects) -> [String] {
            switch subject {
            case .organisation: [theirs[.organisation]]
            case .account: [theirs[.account], theirs[.service], root.id, stranger.id]
            case .session: [theirs[.session]]
            case .ownSession: [theirs[.session], mine[.session]]
            case .service: [theirs[.service]]
            case .apiKey: [theirs[.apiKey]]
            case .approval: [theirs[.approval]]
            case .role, .rule, .signingKey, .permission: []
            }
        }

        /// Fresh subjects of the delegate's own organisation, or he himself where an operation is
        /// about its caller.
        func mine(_ info: OperationInfo) async throws -> Subjects {
            let fresh = try await own.subjects(root)
            // The role permits nothing: he gives it because he has it (row 169).
            let held = "{\"role\":\"\(fresh[.role])\",\"organisation\":\"\(own.id)\"}"
            let given = try await root.send("POST", "/\(boss.id)/roles", json: held)
            guard given.status == 201 else { throw ClusterError("not given: \(given.body)") }
            switch info.gate {
            case .principal: return fresh.with([.account: desk.id])
            case .credential:
                let another = try await cluster.signIn(boss)
                return fresh.with([.ownSession: another.session])
            case .anyone, .endedCredential, .permission, .delegated, .refreshCredential,
                .listener:
                return fresh
            }
        }

        /// Sends an operation's call as the delegate, at his organisation or at `place`.
        func send(
            _ info: OperationInfo,
            _ subjects: Subjects,
            in place: String? = nil
        ) async throws -> HTTPAnswer {
            let call = try CallTable.call(info, subjects)
            var fields = desk.tokens.bearer
            if info.gate.permission != nil { fields.append(("X-Org", place ?? own.id)) }
            if !info.traits.isDisjoint(with: [.needsVersion, .takesVersion]) {
                fields.append(("If-Match", "*"))
            }
            return try await cluster.node.send(call.method, call.target, fields, json: call.json)
        }

        /// All that there is of the other organisation and its members, as text.
        func state() async throws -> String {
            let people = "('\(theirs[.account])', '\(theirs[.service])', '\(stranger.id)')"
            func rows(_ table: String, _ condition: String) -> String {
                "SELECT '\(table)' || t::text AS line FROM \(table) t WHERE \(condition)"
            }
            let parts =
                [
                    rows("organisations", "id = '\(other.id)'"),
                    rows("organisation_members", "organisation_id = '\(other.id)'"),
                    rows("accounts", "id IN \(people)"),
                    rows("audit_events", "detail ->> 'organisation_id' = '\(other.id)'"),
                    rows("revocation_log", "subject = uuid_send('\(other.id)')"),
                    "SELECT l::text FROM revocation_log l JOIN accounts a"
                        + " ON l.subject = uuid_send(a.id) WHERE a.id IN \(people)",
                ]
                + [
                    "organisation_members", "account_roles", "account_signatures",
                    "account_passwords", "account_profiles", "sessions", "api_keys",
                    "audit_events", "login_history", "outbox", "approvals",
                    "second_factors",
                ].map { rows($0, "account_id IN \(people)") }
            return try await cluster.sql(
                "SELECT string_agg(line, E'\\n' ORDER BY line) FROM ("
                    + parts.joined(separator: " UNION ALL ") + ") all_of_it (line)"
            )
        }
    }

    /// What an answer says, without what differs between any two.
    private func said(_ answer: HTTPAnswer, about ids: [String]) -> String {
        let body = ids.reduce(answer.body) { $0.replacing($1, with: "ID") }
            .replacing(/"instance":"[^"]*"/, with: "")
        return "\(answer.status) \(answer.names.joined(separator: " ")) \(body)"
    }

    /// Whether an answer, or each part of one to many, gives and tells nothing.
    private func isRefused(_ answer: HTTPAnswer) -> Bool {
        guard answer.status == 200 else { return [403, 404].contains(answer.status) }
        if case .list(let items)? = answer.json.at("items") { return items.isEmpty }
        if answer.json.at("decision") != nil || answer.body.contains("\"decision\":") {
            return !answer.body.contains("\"decision\":true")
        }
        let results = answer.json.at("results")?.items ?? []
        return !results.isEmpty
            && results.allSatisfy { result in
                if case .integer(let status)? = result.at("status") {
                    return status == 403 || status == 404
                }
                return result.at("allowed") == .boolean(false)
            }
    }

    /// Whether an answer does or shows what was asked for.
    private func isLetThrough(_ answer: HTTPAnswer) -> Bool {
        (200..<300).contains(answer.status) && !isRefused(answer)
    }

    /// What no delegate does, with whatever ids: it brings in people who are not his yet.
    private static let closed: Set<String> = ["organisations.add_member"]

    @Test
    func `by no id of any operation is anything of another organisation reached (row 175, S4-16)`()
        async throws
    {
        let scene = try await Scene()
        let before = try await scene.state()
        #expect(before.split(separator: "\n").count > 20)
        var tried: Set<String> = []
        for info in PublicAPI.catalogue.operations {
            let mine = try await scene.mine(info)
            let call = try CallTable.call(info, mine)
            let named = try Subject.owned.filter {
                try CallTable.call(info, mine.with([$0: Subjects.nobody()])) != call
            }
            guard !named.isEmpty else { continue }
            tried.insert(info.name)
            for subject in named {
                let nobody = Subjects.nobody()
                let none = try await scene.send(info, mine.with([subject: nobody]))
                #expect(isRefused(none), "\(info.name) \(subject) \(none.status) \(none.body)")
                for id in scene.foreign(subject, mine) {
                    let answer = try await scene.send(info, mine.with([subject: id]))
                    #expect(isRefused(answer), "\(info.name) \(answer.status) \(answer.body)")
                    let texts = (said(answer, about: [id]), said(none, about: [nobody]))
                    #expect(texts.0 == texts.1, "\(info.name) \(subject)")
                }
            }
            // All of them at once, the roles of theirs too. Who signs in there is one of them.
            if info.gate != .anyone {
                let answer = try await scene.send(info, scene.theirs)
                #expect(isRefused(answer), "\(info.name) \(answer.status) \(answer.body)")
            }
            let after = try await scene.state()
            #expect(after == before, "\(info.name)")
            try await expectOwn(info, mine, scene)
        }
        // Some that must be among them, whatever becomes of the rest.
        #expect(
            tried.isSuperset(of: [
                "users.get", "users.bulk", "users.end_session", "assignments.create",
                "assignments.bulk", "assignments.list", "organisations.members", "audit.list",
                "sessions.end", "sessions.choose_organisation", "sessions.sign_in",
                "services.get", "organisations.remove", "decisions.authorize",
            ])
        )
        #expect(tried.count >= 35)
    }

    /// The opposite of the refusals: the same call with ids of one's own.
    private func expectOwn(
        _ info: OperationInfo,
        _ mine: Subjects,
        _ scene: Scene
    ) async throws {
        let answer = try await scene.send(info, mine)
        switch info.gate {
        case .permission:
            // Not in one organisation, be it one's own.
            #expect(answer.status == 403 && answer.code == "permission-denied", "\(info.name)")
        case .delegated where Self.closed.contains(info.name):
            #expect(answer.status == 404, "\(info.name) \(answer.body)")
        case .delegated, .principal, .credential, .endedCredential, .anyone, .refreshCredential,
            .listener:
            #expect(isLetThrough(answer), "\(info.name) \(answer.status) \(answer.body)")
        }
    }

    @Test
    func `another organisation as the place of a call is refused, there or not (rows 169, 175)`()
        async throws
    {
        let scene = try await Scene()
        let before = try await scene.state()
        var tried = 0
        for info in PublicAPI.catalogue.operations {
            guard case .delegated = info.gate else { continue }
            let nobody = Subjects.nobody()
            let answers = try await [scene.other.id, nobody].asyncMap { place in
                try await scene.send(info, scene.theirs, in: place)
            }
            for answer in answers {
                #expect(answer.status == 403 && answer.code == "permission-denied", "\(info.name)")
            }
            #expect(said(answers[0], about: []) == said(answers[1], about: []), "\(info.name)")
            tried += 1
        }
        #expect(tried >= 20)
        #expect(try await scene.state() == before)
    }

    @Test
    func `every id that an operation for delegates takes is in the call that is tried`()
        async throws
    {
        let scene = try await Scene()
        for info in PublicAPI.catalogue.operations {
            if case .permission = info.gate { continue }
            let call = try CallTable.call(info, scene.theirs)
            for name in info.idMembers {
                let isThere =
                    call.json?.contains("\"\(name)\":") == true
                    || call.target.contains("\(name)=")
                #expect(isThere, "\(info.name) takes \(name): tell CallTable")
            }
        }
    }

    @Test
    func `who may make anybody a member of his own organisation does so in no other (row 175)`()
        async throws
    {
        let scene = try await Scene()
        let boss = try await scene.cluster.person()
        try await scene.own.add(boss, by: scene.root)
        try await scene.own.give(["organisations:write"], to: boss, by: scene.root)
        try await scene.cluster.grant("u-\(scene.own.name)", ["users:*"], to: boss)
        let desk = try await AdminDesk(scene.cluster, boss)
        let json = "{\"account\":\"\(scene.stranger.id)\"}"
        let before = try await scene.state()
        func add(_ place: String) async throws -> HTTPAnswer {
            try await scene.cluster.node.send(
                "POST",
                "/v1/admin/organisations/\(place)/members",
                desk.tokens.bearer + [scene.own.field],
                json: json
            )
        }
        let nobody = Subjects.nobody()
        let answers = try await [scene.other.id, nobody].asyncMap { try await add($0) }
        #expect(answers[0].status == 404 && answers[0].code == "not-found")
        #expect(said(answers[0], about: []) == said(answers[1], about: []))
        #expect(try await scene.state() == before)
        #expect(try await add(scene.own.id).status == 201)
    }
}

extension Gate {
    /// The permission that it asks for, as its title names it.
    var permission: String? {
        switch self {
        case .permission, .delegated: title.split(separator: "`").dropFirst().first.map(String.init)
        case .anyone, .credential, .endedCredential, .principal, .refreshCredential, .listener: nil
        }
    }
}

extension Sequence where Element: Sendable {
    /// One after the other.
    func asyncMap<R>(_ transform: (Element) async throws -> R) async throws -> [R] {
        var all: [R] = []
        for element in self { all.append(try await transform(element)) }
        return all
    }
}

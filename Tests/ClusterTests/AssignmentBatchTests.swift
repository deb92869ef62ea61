// Many roles given and taken by one call: each item stands by itself, is answered as the single
// call would be, in its place, and what is refused stops nothing behind it.
import Primitives
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct AssignmentBatchTests {
    /// Somebody who may assign, and those he does it to.
    private struct Scene {
        let cluster: Cluster
        let mark: String
        let boss: Person
        /// Has `writer` already.
        let clerk: Person
        let newcomer: Person
        /// Holds what the boss does not.
        let rich: Person
        let desk: AdminDesk
        /// The boss holds what these permit, and not what `bills` does.
        let reader: String
        let writer: String
        let bills: String

        init(_ cluster: Cluster) async throws {
            self.cluster = cluster
            boss = try await cluster.person()
            clerk = try await cluster.person()
            newcomer = try await cluster.person()
            rich = try await cluster.person()
            mark = String(boss.id.suffix(12))
            let held = ["roles:assign", "orders:read", "orders:write"]
            try await cluster.grant("boss-\(mark)", held, to: boss)
            reader = try await Self.role(cluster, "reader-\(mark)", "orders:read")
            writer = try await Self.role(cluster, "writer-\(mark)", "orders:write")
            bills = try await Self.role(cluster, "bills-\(mark)", "bills:pay")
            let root = try await AdminDesk(cluster)
            for (person, role) in [(clerk, writer), (rich, bills)] {
                let json = "{\"role\":\"\(role)\"}"
                let given = try await root.send("POST", "/\(person.id)/roles", json: json)
                guard given.status == 201 else { throw ClusterError("not given: \(given.body)") }
            }
            desk = try await AdminDesk(cluster, boss)
        }

        private static func role(
            _ cluster: Cluster,
            _ name: String,
            _ permission: String
        ) async throws -> String {
            let id = try await cluster.sql("SELECT gen_random_uuid()")
            try await cluster.sql(
                """
                INSERT INTO roles (id, name, description, built_in, created_at)
                VALUES ('\(id)', '\(name)', '', false, now());
                INSERT INTO role_permissions (role_id, permission) VALUES ('\(id)', '\(permission)')
                """
            )
            return id
        }

        /// What somebody has been given, without what everybody has.
        func given(_ person: Person) async throws -> [String] {
            let rows = try await cluster.sql(
                """
                SELECT r.name || ' ' || ar.scope
                  FROM account_roles ar
                  JOIN roles r ON r.id = ar.role_id
                 WHERE ar.account_id = '\(person.id)'
                   AND r.name <> 'member'
                 ORDER BY r.name, ar.scope
                """
            )
            return rows.split(separator: "\n").map(String.init)
        }
    }

    /// An item of a batch.
    private static func item(
        _ action: String,
        _ account: String,
        _ role: String,
        _ rest: String = ""
    ) -> String {
        """
        {"action":"\(action)","account":"\(account)","role":"\(role)"\(rest)}
        """
    }

    /// The items, each with what it is answered.
    private static func steps(_ scene: Scene) -> [(json: String, result: String)] {
        let (clerk, newcomer) = (scene.clerk.id, scene.newcomer.id)
        let past = ",\"expires_at\":\"2020-01-01T00:00:00Z\""
        let project = ",\"resource\":\"project:\(scene.mark)\""
        return [
            (item("assign", clerk, scene.reader), "201"),
            (item("assign", clerk, Subjects.nobody()), "404 not-found"),
            (item("unassign", clerk, scene.writer), "204"),
            (item("assign", Subjects.nobody(), scene.reader), "404 not-found"),
            (item("assign", newcomer, scene.bills), "403 permission-not-held"),
            (item("assign", newcomer, scene.reader, project), "201"),
            // As the one before has left it.
            (item("assign", clerk, scene.reader), "200"),
            (item("unassign", clerk, scene.writer), "404 not-found"),
            (item("assign", scene.boss.id, scene.reader), "403 self-change-refused"),
            (item("assign", newcomer, scene.writer, past), "400 validation-failed"),
            (item("assign", scene.rich.id, scene.reader), "403 permission-not-held"),
            (item("unassign", scene.rich.id, scene.bills), "403 permission-not-held"),
            // It has it elsewhere.
            (item("unassign", newcomer, scene.reader), "404 not-found"),
            (item("assign", newcomer, scene.writer), "201"),
        ]
    }

    @Test
    func
        `of a mixed batch the good is done, the bad is not, and each is told in its place (S4-14)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let scene = try await Scene(cluster)
        let (clerk, newcomer) = (
            try await cluster.signIn(scene.clerk), try await cluster.signIn(scene.newcomer)
        )
        let steps = Self.steps(scene)
        let items = steps.map(\.json).joined(separator: ",")
        let answer = try await cluster.node.send(
            "POST",
            "/v1/admin/assignments/bulk",
            scene.desk.tokens.bearer,
            json: "{\"items\":[\(items)]}"
        )
        #expect(answer.status == 200, "\(answer.body)")
        let results = answer.json.at("results")?.items ?? []
        let told = results.map { result -> String in
            guard case .integer(let status)? = result.at("status") else { return "no status" }
            let code = result.at("code")?.string
            return code.map { "\(status) \($0)" } ?? "\(status)"
        }
        #expect(told == steps.map(\.result), "\(answer.body)")
        // A version of rights came with what was done, and with nothing else.
        let hasVersion = results.map { result -> Bool in
            if case .integer? = result.at("version") { return true }
            return false
        }
        let isDone = steps.map { $0.result.hasPrefix("2") }
        #expect(hasVersion == isDone, "\(answer.body)")
        #expect(try await scene.given(scene.clerk) == ["reader-\(scene.mark) "])
        #expect(
            try await scene.given(scene.newcomer) == [
                "reader-\(scene.mark) project:\(scene.mark)", "writer-\(scene.mark) ",
            ]
        )
        #expect(try await scene.given(scene.rich) == ["bills-\(scene.mark) "])
        #expect(try await scene.given(scene.boss) == ["boss-\(scene.mark) "])
        // In force on every node when it is answered (W11).
        for (tokens, query, status) in [
            (clerk, "permission=orders:read", 200), (clerk, "permission=orders:write", 403),
            (newcomer, "permission=orders:write", 200), (newcomer, "permission=orders:read", 403),
            (newcomer, "permission=orders:read&resource=project:\(scene.mark)", 200),
            (newcomer, "permission=bills:pay", 403),
        ] {
            for node in cluster.nodes {
                let verdict = try await node.client.send("GET", "/verify?\(query)", tokens.bearer)
                #expect(verdict.status == status, "\(query) \(verdict.body)")
            }
        }
    }

    @Test
    func `a batch that is not well-formed does nothing at all (S4-14)`() async throws {
        let cluster = try await Cluster.shared()
        let scene = try await Scene(cluster)
        let good = Self.item("assign", scene.newcomer.id, scene.reader)
        let many = Array(repeating: good, count: 101).joined(separator: ",")
        let (to, role) = (scene.newcomer.id, scene.reader)
        let wrong = [
            Self.item("give", to, role), Self.item("assign", "nobody", role), "{}",
            Self.item("assign", to, role, ",\"x\":1"),
        ]
        for items in ["", many] + wrong.map({ "\(good),\($0)" }) {
            let answer = try await cluster.node.send(
                "POST",
                "/v1/admin/assignments/bulk",
                scene.desk.tokens.bearer,
                json: "{\"items\":[\(items)]}"
            )
            #expect(answer.status == 400 && answer.code == "validation-failed", "\(answer.body)")
        }
        #expect(try await scene.given(scene.newcomer).isEmpty)
        let done = try await cluster.node.send(
            "POST",
            "/v1/admin/assignments/bulk",
            scene.desk.tokens.bearer,
            json: "{\"items\":[\(good)]}"
        )
        #expect(done.status == 200)
        #expect(try await scene.given(scene.newcomer) == ["reader-\(scene.mark) "])
    }

    @Test
    func `where one item fails for a fault the others are told as they are (S4-14, W10)`()
        async throws
    {
        let cluster = try await Cluster.shared()
        let scene = try await Scene(cluster)
        // Nobody gets to the clerk meanwhile, however long he waits.
        let holder = try await LockHolder(
            cluster,
            "SELECT FROM account_signatures WHERE account_id = '\(scene.clerk.id)' FOR UPDATE"
        )
        defer { holder.letGo() }
        let items = [
            Self.item("assign", scene.newcomer.id, scene.reader),
            Self.item("assign", scene.clerk.id, scene.reader),
        ]
        let answer = try await cluster.node.send(
            "POST",
            "/v1/admin/assignments/bulk",
            scene.desk.tokens.bearer,
            json: "{\"items\":[\(items.joined(separator: ","))]}"
        )
        #expect(answer.status == 200, "\(answer.body)")
        let results = answer.json.at("results")?.items ?? []
        let statuses = results.compactMap { result -> Int64? in
            if case .integer(let status)? = result.at("status") { return Int64(status) }
            return nil
        }
        #expect(statuses == [201, 503], "\(answer.body)")
        #expect(try await scene.given(scene.newcomer) == ["reader-\(scene.mark) "])
    }
}

// How many roles one role stands for: every node keeps all of them with each, so there is a limit,
// which nobody passes from above or from below, by a long way or by a broad one (W8).
import Primitives
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct RoleReachTests {
    /// An administrator, and roles that permit nothing.
    private struct Scene: Sendable {
        let cluster: Cluster
        let desk: AdminDesk

        init() async throws {
            cluster = try await Cluster.shared()
            desk = try await AdminDesk(cluster)
        }

        /// A name that nobody else takes.
        func name() -> String { "reach-\(Hex.encode(Entropy.system.bytes(6)))" }

        /// So many roles, of which `a` includes `b` by itself where the numbers say so; their ids.
        func roles(_ count: Int, where condition: String) async throws -> [String] {
            let list = try await cluster.sql(
                """
                WITH made AS (
                    INSERT INTO roles (id, name, description, built_in, created_at)
                    SELECT gen_random_uuid(), '\(name())' || '.' || n, '', false, now()
                      FROM generate_series(1001, \(1000 + count)) n
                    RETURNING id, right(name, 4)::int - 1001 AS number
                ), linked AS (
                    INSERT INTO role_includes (role_id, included_id)
                    SELECT a.id, b.id FROM made a JOIN made b ON \(condition)
                )
                SELECT string_agg(id::text, ',' ORDER BY number) FROM made
                """
            )
            return list.split(separator: ",").map(String.init)
        }

        /// Roles of which each includes the next.
        func chain(_ count: Int) async throws -> [String] {
            try await roles(count, where: "b.number = a.number + 1")
        }

        private func list(_ ids: [String]) -> String {
            ids.map { "\"\($0)\"" }.joined(separator: ",")
        }

        /// Makes a role that includes `ids`.
        func make(including ids: [String]) async throws -> HTTPAnswer {
            try await cluster.node.send(
                "POST",
                "/v1/admin/roles",
                desk.tokens.bearer,
                json: "{\"name\":\"\(name())\",\"includes\":[\(list(ids))]}"
            )
        }

        /// Has `role` include `ids` and no more.
        func include(_ ids: [String], in role: String) async throws -> HTTPAnswer {
            try await cluster.node.send(
                "PATCH",
                "/v1/admin/roles/\(role)",
                desk.tokens.bearer,
                json: "{\"includes\":[\(list(ids))]}"
            )
        }

        /// How many roles a role includes by itself.
        func inclusions(of role: String) async throws -> String {
            try await cluster.sql("SELECT count(*) FROM role_includes WHERE role_id = '\(role)'")
        }
    }

    private func expectTooFar(
        _ answer: HTTPAnswer,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(
            answer.status == 409 && answer.code == "limit-reached",
            "\(answer.body)",
            sourceLocation: sourceLocation
        )
    }

    @Test func `a chain of roles is as long as may be, and no longer from either end (W8)`()
        async throws
    {
        let scene = try await Scene()
        let chain = try await scene.chain(255)
        let (first, last) = (chain[0], chain[chain.count - 1])
        let made = try await scene.make(including: [first])
        #expect(made.status == 201, "\(made.body)")
        let top = try #require(made.text("id"))
        // One more above: a new role, and one that was there.
        expectTooFar(try await scene.make(including: [top]))
        let other = try await scene.chain(1)[0]
        expectTooFar(try await scene.include([top], in: other))
        // One more below, which the one above would stand for too.
        expectTooFar(try await scene.include([other], in: last))
        for role in [last, other] { #expect(try await scene.inclusions(of: role) == "0") }
        // Without the one above there is room for it below, and then none above.
        #expect(try await scene.include([], in: top).status == 200)
        let below = try await scene.include([other], in: last)
        #expect(below.status == 200, "\(below.body)")
        expectTooFar(try await scene.include([first], in: top))
        #expect(try await scene.include([chain[1]], in: top).status == 200)
    }

    @Test func `a role that branches stands for as many as may be, each counted once (W8)`()
        async throws
    {
        let scene = try await Scene()
        // The first includes a hundred, the first of which includes all the others.
        let tree = try await scene.roles(
            256,
            where: """
                a.number = 0 AND b.number BETWEEN 1 AND 100
                OR a.number = 1 AND b.number > 100
                """
        )
        let last = tree[tree.count - 1]
        // What it stands for already makes it no more.
        let again = try await scene.include([tree[200]], in: last)
        #expect(again.status == 200, "\(again.body)")
        let other = try await scene.chain(1)[0]
        expectTooFar(try await scene.include([tree[200], other], in: last))
        expectTooFar(try await scene.include([other], in: tree[50]))
        expectTooFar(try await scene.make(including: [tree[0]]))
        // One that is not above it has room.
        let beside = try await scene.make(including: [tree[1], other])
        #expect(beside.status == 201, "\(beside.body)")
    }

    @Test func `roles that include each other by every way have a limit of ways (W8)`()
        async throws
    {
        let scene = try await Scene()
        // 45 roles, and 990 inclusions.
        let dense = try await scene.roles(45, where: "a.number < b.number")
        let room = 1000 - 990
        let made = try await scene.make(including: Array(dense.prefix(room)))
        #expect(made.status == 201, "\(made.body)")
        expectTooFar(try await scene.make(including: Array(dense.prefix(room + 1))))
        let other = try await scene.chain(1)[0]
        expectTooFar(try await scene.include([other], in: dense[44]))
    }

    @Test func `what stands for too many can be cut, step by step`() async throws {
        let scene = try await Scene()
        let chain = try await scene.chain(258)
        let others = try await scene.chain(2)
        try await scene.cluster.sql(
            """
            INSERT INTO role_includes (role_id, included_id)
            SELECT '\(chain[0])', unnest(ARRAY['\(others[0])', '\(others[1])']::uuid[])
            """
        )
        let less = try await scene.include([chain[1], others[0]], in: chain[0])
        #expect(less.status == 200, "\(less.body)")
        expectTooFar(try await scene.include([chain[1], others[0], others[1]], in: chain[0]))
        #expect(try await scene.include([], in: chain[200]).status == 200)
    }

    @Test func `the terminal is bound by the limits of what roles include (W8)`() async throws {
        let scene = try await Scene()
        let cluster = scene.cluster
        let chain = try await scene.chain(256)
        func create(_ includes: [String]) async throws -> TerminalAnswer {
            let options = includes.flatMap { ["--include", $0] }
            return try await cluster.terminal(all: ["roles", "create", scene.name()] + options)
        }
        let long = try await create([chain[0]])
        #expect(long.status == 1 && long.errors.contains("(limit-reached)"), "\(long.errors)")
        let whole = try await create([chain[1]])
        #expect(whole.status == 0, "\(whole.errors)")
        let many = try await scene.roles(101, where: "false")
        let broad = try await create(many)
        #expect(broad.status == 1 && broad.errors.contains("(limit-reached)"), "\(broad.errors)")
        let fewer = try await create(Array(many.dropLast()))
        #expect(fewer.status == 0, "\(fewer.errors)")
    }
}

// Roles that include roles never include themselves, by however long a way: what would close a
// circle is refused, also where those who close it together ask at the same time at several nodes.
import Primitives
import Testing

@testable import Web

@Suite(.leavesNoSecrets) struct RoleCycleTests {
    /// An administrator who makes roles that permit nothing.
    private struct Scene: Sendable {
        let cluster: Cluster
        let desk: AdminDesk

        init() async throws {
            cluster = try await Cluster.shared()
            desk = try await AdminDesk(cluster)
        }

        /// A role that includes nothing.
        func role() async throws -> String { try await cluster.makeRole(by: desk.tokens) }

        /// Has `role` include `others` and no more.
        func include(
            _ others: [String],
            in role: String,
            at node: Int = 0
        ) async throws
            -> HTTPAnswer
        {
            let list = others.map { "\"\($0)\"" }.joined(separator: ",")
            return try await cluster.nodes[node].client.send(
                "PATCH",
                "/v1/admin/roles/\(role)",
                desk.tokens.bearer,
                json: "{\"includes\":[\(list)]}"
            )
        }

        /// What a role includes by itself, sorted.
        func included(in role: String) async throws -> [String] {
            let answer = try await cluster.node.send(
                "GET",
                "/v1/admin/roles/\(role)",
                desk.tokens.bearer
            )
            #expect(answer.status == 200)
            let list = try #require(answer.json.at("includes"))
            return list.items.compactMap(\.string).sorted()
        }
    }

    @Test func `what would close a circle is refused, and what only meets again is not (S1-18)`()
        async throws
    {
        let scene = try await Scene()
        let (one, two) = (try await scene.role(), try await scene.role())
        let (three, four) = (try await scene.role(), try await scene.role())
        #expect(try await scene.include([two], in: one).status == 200)
        #expect(try await scene.include([three], in: two).status == 200)
        // By three, by two and by one.
        for role in [one, two, three] {
            #expect(try await scene.include([role], in: three).code == "role-cycle")
            #expect(try await scene.include([four, role], in: three).code == "role-cycle")
        }
        #expect(try await scene.include([one], in: two).code == "role-cycle")
        // A refusal has changed nothing.
        #expect(try await scene.included(in: one) == [two])
        #expect(try await scene.included(in: two) == [three])
        #expect(try await scene.included(in: three).isEmpty)
        // Two ways to the same role are no circle; one that is cut may be closed elsewhere.
        #expect(try await scene.include([two, three], in: four).status == 200)
        #expect(try await scene.included(in: four) == [two, three].sorted())
        #expect(try await scene.include([], in: one).status == 200)
        #expect(try await scene.include([one], in: three).status == 200)
        #expect(try await scene.include([two], in: one).code == "role-cycle")
    }

    @Test(arguments: [2, 3])
    func `of those who close a circle together, each at its node, one is refused (S1-18)`(
        _ count: Int
    ) async throws {
        let scene = try await Scene()
        for round in 0..<10 {
            var roles: [String] = []
            for _ in 0..<count { roles.append(try await scene.role()) }
            let ring = roles
            let answers = try await withThrowingTaskGroup(of: HTTPAnswer.self) { group in
                for index in ring.indices {
                    group.addTask {
                        let next = ring[(index + 1) % ring.count]
                        return try await scene.include([next], in: ring[index], at: index)
                    }
                }
                var found: [HTTPAnswer] = []
                for try await answer in group { found.append(answer) }
                return found
            }
            let codes = answers.map { $0.status == 200 ? "ok" : $0.code ?? $0.body }.sorted()
            let wanted = Array(repeating: "ok", count: count - 1) + ["role-cycle"]
            #expect(codes == wanted, "round \(round)")
            var links = 0
            for role in ring { links += try await scene.included(in: role).count }
            #expect(links == count - 1, "round \(round)")
        }
    }
}

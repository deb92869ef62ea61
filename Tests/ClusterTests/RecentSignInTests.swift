// What destroys, gives power or reaches every gateway is refused to who has not signed in lately,
// and let through to who has: each operation that the catalogue marks so (row 178).
import HTTPTypes
import Primitives
import Testing

@testable import Web

@Suite struct RecentSignInTests {
    /// A request that an administrator may make, and what it is answered.
    private struct Scene {
        var path: String
        var json: String?
        var status: Int
        var anyVersion = false

        var fields: [(String, String)] { anyVersion ? [("If-Match", "*")] : [] }
    }

    private static let admin = "/v1/admin"
    private static let variable = "WATCHWORD_ADMINISTRATION_RECENT_SIGN_IN"

    private static func rule(_ path: String) -> String {
        "{\"methods\":[\"GET\"],\"path\":\"\(path)\",\"access\":\"authenticated\"}"
    }

    /// Somebody who signed in 16 minutes ago and has refreshed since.
    private static func aged(_ cluster: Cluster, _ person: Person) async throws -> Tokens {
        let tokens = try await cluster.signIn(person)
        try await cluster.sql(
            """
            UPDATE sessions SET authenticated_at = authenticated_at - interval '16 minutes'
             WHERE id = '\(tokens.session)'
            """
        )
        return try Tokens(await cluster.refresh(tokens.refresh))
    }

    /// The id of what a desk makes.
    private static func make(
        _ desk: AdminDesk,
        _ path: String,
        _ json: String
    ) async throws -> String {
        let made = try await desk.client.send("POST", admin + path, desk.tokens.bearer, json: json)
        guard made.status == 201, let id = made.text("id") else {
            throw ClusterError("not made: \(path) \(made.status) \(made.body)")
        }
        return id
    }

    /// One request for each marked operation; none of them stands in another's way.
    private static func scenes(_ desk: AdminDesk) async throws -> [String: Scene] {
        try await scenesOfPeople(desk).merging(scenesOfGateways(desk)) { $1 }
    }

    private static func scenesOfPeople(_ desk: AdminDesk) async throws -> [String: Scene] {
        let cluster = desk.cluster
        var people: [String] = []
        for _ in 0..<5 { people.append(try await cluster.person().id) }
        var roles: [String] = []
        for name in ["changed", "removed", "given"] {
            roles.append(
                try await make(desk, "/roles", "{\"name\":\"\(name)\",\"permissions\":[]}")
            )
        }
        var services: [String] = []
        for name in ["deleted", "enabled", "keyed"] {
            services.append(try await make(desk, "/service-accounts", "{\"name\":\"\(name)\"}"))
        }
        for path in ["/users/\(people[2])", "/service-accounts/\(services[1])"] {
            let off = try await desk.client.send(
                "POST",
                "\(admin)\(path)/disable",
                desk.tokens.bearer
            )
            #expect(off.status == 204)
        }
        let step = "{\"action\":\"assign\",\"account\":\"\(people[4])\",\"role\":\"\(roles[2])\"}"
        return [
            "users.bulk": Scene(
                path: "/users/bulk",
                json: "{\"action\":\"delete\",\"ids\":[\"\(people[0])\"]}",
                status: 200
            ),
            "users.delete": Scene(path: "/users/\(people[1])", status: 204),
            "users.enable": Scene(path: "/users/\(people[2])/enable", status: 204),
            "users.impersonate": Scene(path: "/users/\(people[3])/impersonate", status: 201),
            // Whoever registers next would have it.
            "roles.create": Scene(
                path: "/roles",
                json: "{\"name\":\"made\",\"permissions\":[\"users:read\"],\"default\":true}",
                status: 201
            ),
            "roles.change": Scene(
                path: "/roles/\(roles[0])",
                json: "{\"permissions\":[\"users:read\"]}",
                status: 200
            ),
            "roles.remove": Scene(path: "/roles/\(roles[1])", status: 204),
            "assignments.create": Scene(
                path: "/users/\(people[3])/roles",
                json: "{\"role\":\"\(roles[2])\"}",
                status: 201
            ),
            "assignments.bulk": Scene(
                path: "/assignments/bulk",
                json: "{\"items\":[\(step)]}",
                status: 200
            ),
            "services.delete": Scene(path: "/service-accounts/\(services[0])", status: 204),
            "services.enable": Scene(path: "/service-accounts/\(services[1])/enable", status: 204),
            "services.create_key": Scene(
                path: "/service-accounts/\(services[2])/keys",
                json: "{\"name\":\"a key\"}",
                status: 201
            ),
        ]
    }

    private static func scenesOfGateways(_ desk: AdminDesk) async throws -> [String: Scene] {
        let cluster = desk.cluster
        let organisation = try await TestOrganisation(desk).id
        let rules = "/route-rules"
        let (a, b) = (
            try await make(desk, rules, rule("/a")), try await make(desk, rules, rule("/b"))
        )
        let key = try await cluster.sql("SELECT id FROM keys WHERE use = 'access-token'")
        return [
            "routes.insert": Scene(path: rules, json: rule("/c"), status: 201),
            // The rules that stay keep their ids.
            "routes.replace": Scene(
                path: rules,
                json: "{\"rules\":[\(rule("/b")),\(rule("/a"))]}",
                status: 200,
                anyVersion: true
            ),
            "routes.update": Scene(
                path: "\(rules)/\(a)",
                json: "{\"access\":\"public\"}",
                status: 200,
                anyVersion: true
            ),
            "routes.delete": Scene(path: "\(rules)/\(b)", status: 204, anyVersion: true),
            "keys.rotate": Scene(path: "/keys/rotate", json: "{\"at_once\":true}", status: 201),
            "keys.remove": Scene(path: "/keys/\(key)", status: 204),
            "organisations.remove": Scene(path: "/organisations/\(organisation)", status: 204),
        ]
    }

    private static func method(_ info: OperationInfo) -> String {
        guard case .only(let methods) = info.methods, let first = methods.first else { return "?" }
        return first.rawValue
    }

    private static func send(
        _ cluster: Cluster,
        _ info: OperationInfo,
        _ scene: Scene,
        _ tokens: Tokens,
        body: String? = nil
    ) async throws -> HTTPAnswer {
        try await cluster.node.send(
            method(info),
            admin + scene.path,
            tokens.bearer + scene.fields,
            json: body ?? scene.json
        )
    }

    @Test
    func `what is marked is refused after 16 minutes, without effect, and not before (row 178)`()
        async throws
    {
        var plan = Cluster.Plan()
        plan.nodes = 1
        plan.variables["WATCHWORD_ADMIN_IMPERSONATION"] = "true"
        try await Cluster.run(plan) { cluster in
            let marked = PublicAPI.catalogue.operations.filter { $0.proof != .none }
            let scenes = try await Self.scenes(try await AdminDesk(cluster))
            #expect(Set(scenes.keys) == Set(marked.map(\.name)))
            let late = try await Self.aged(cluster, cluster.administrator)
            let member = try await Self.aged(cluster, try await cluster.person())
            let before = try await cluster.digest()
            for info in marked {
                let scene = try #require(scenes[info.name])
                // What a body says does not matter, nor whether it says anything.
                for body in [scene.json, scene.json.map { _ in "{" }] {
                    let answer = try await Self.send(cluster, info, scene, late, body: body)
                    #expect(answer.status == 403, "\(info.name) \(answer.body)")
                    #expect(answer.code == "recent-sign-in-required", "\(info.name)")
                    let challenge =
                        "Bearer realm=\"watchword\", "
                        + "error=\"insufficient_user_authentication\", max_age=\"900\""
                    #expect(answer.values("WWW-Authenticate") == [challenge], "\(info.name)")
                    #expect(try await cluster.digest() == before, "\(info.name)")
                }
                // Who may not do it at all is not asked to sign in for it.
                let stranger = try await Self.send(cluster, info, scene, member)
                #expect(stranger.code == "permission-denied", "\(info.name)")
            }
            // What takes away never waits.
            let other = try await cluster.person()
            let calls = [("POST", "disable"), ("DELETE", "sessions")]
            for (method, rest) in calls {
                let path = "\(Self.admin)/users/\(other.id)/\(rest)"
                let answer = try await cluster.node.send(method, path, late.bearer)
                #expect(answer.status == 204, "\(rest) \(answer.body)")
            }
            for info in marked {
                let scene = try #require(scenes[info.name])
                // The key that signed the last one may be gone.
                let fresh = try await cluster.signIn(cluster.administrator)
                let answer = try await Self.send(cluster, info, scene, fresh)
                #expect(answer.status == scene.status, "\(info.name) \(answer.body)")
            }
        }
    }

    @Test
    func `an API key has nothing to show again and passes; zero switches it off (rows 178, 179)`()
        async throws
    {
        var plan = Cluster.Plan()
        plan.nodes = 2
        plan.perNode = [[Self.variable: "1s"], [Self.variable: "0s"]]
        try await Cluster.run(plan) { cluster in
            let off = cluster.nodes[1].client
            let desk = try await AdminDesk(cluster, at: off)
            let id = try await Self.make(desk, "/service-accounts", "{\"name\":\"sweeper\"}")
            let service = Person(email: "", username: "", password: "", id: id)
            try await cluster.grant("sweeper", ["users:read", "users:write"], to: service)
            let made = try await off.send(
                "POST",
                "\(Self.admin)/service-accounts/\(id)/keys",
                desk.tokens.bearer,
                json: "{\"name\":\"a key\"}"
            )
            let key = [("Authorization", "Bearer \(try #require(made.text("key")))")]
            let (one, two) = (try await cluster.person(), try await cluster.person())
            // From here on the node remembers what the key stands for.
            let list = "\(Self.admin)/users"
            #expect(try await cluster.node.send("GET", list, key).status == 200)
            let late = try await cluster.signIn(cluster.administrator)
            let nobody = "\(list)/019b7713-5400-7000-8000-000000000001"
            try await eventually("a second has passed since the sign-in") {
                let answer = try await cluster.node.send("DELETE", nobody, late.bearer)
                #expect(answer.status == 403 || answer.status == 404)
                return answer.code == "recent-sign-in-required"
            }
            let refused = try await cluster.node.send("DELETE", "\(list)/\(one.id)", late.bearer)
            #expect(refused["WWW-Authenticate"]?.hasSuffix("max_age=\"1\"") == true)
            let swept = try await cluster.node.send("DELETE", "\(list)/\(one.id)", key)
            #expect(swept.status == 204, "\(swept.body)")
            let old = try await Self.aged(cluster, cluster.administrator)
            let passed = try await off.send("DELETE", "\(list)/\(two.id)", old.bearer)
            #expect(passed.status == 204, "\(passed.body)")
        }
    }
}

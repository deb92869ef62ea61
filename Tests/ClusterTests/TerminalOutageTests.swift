// `watchword admin` where something is broken or forbidden: the last administrator, a throttle, a
// database that is away, and Redis as the authority of the revocation log. Clusters of its own.
import Primitives
import TestKit
import Testing

@Suite(.serialized) struct TerminalOutageTests {
    private static func plan() -> Cluster.Plan {
        var plan = Cluster.Plan()
        plan.isPatient = false
        plan.nodes = 1
        plan.variables["WATCHWORD_THROTTLE_SIGN_IN_PER_ACCOUNT"] = "3"
        return plan
    }

    @Test func `the last administrator stays, also for the operator (W12)`() async throws {
        let cluster = try await Cluster.start(Self.plan())
        let root = cluster.administrator
        let tokens = try await cluster.signIn(root)
        for answer in [
            try await cluster.terminal("users", "disable", root.email),
            try await cluster.terminal("users", "delete", root.email, "--yes"),
            try await cluster.terminal("roles", "revoke", root.email, "admin"),
            try await cluster.terminal(
                "roles",
                "grant",
                root.email,
                "admin",
                "--until",
                "2999-01-01T00:00:00Z"
            ),
        ] {
            #expect(answer.status == 1)
            #expect(answer.errors.hasSuffix("(last-administrator)\n"), "\(answer.errors)")
        }
        try await cluster.expectEverywhere(200, tokens.bearer)
        let person = try await cluster.person()
        let given = try await cluster.terminal("roles", "grant", person.email, "admin")
        #expect(given.status == 0, "\(given.errors)")
        let deleted = try await cluster.terminal("users", "delete", root.email, "--yes", "--json")
        #expect(deleted.status == 0 && deleted.text("state") == "deleted", "\(deleted.errors)")
        try await cluster.expectEverywhere(401, tokens.bearer)
    }

    @Test func `who is kept waiting may try again, unless Redis cannot be asked`() async throws {
        let cluster = try await Cluster.start(Self.plan())
        let person = try await cluster.person()
        for _ in 0..<3 {
            #expect(try await cluster.login(person.email, "a wrong one").status == 401)
        }
        #expect(try await cluster.login(person.email, person.password).status == 429)
        let unlocked = try await cluster.terminal("users", "unlock", person.email)
        #expect(unlocked.status == 0, "\(unlocked.errors)")
        #expect(try await cluster.login(person.email, person.password).status == 200)
        // Only this command needs Redis.
        let nowhere = ["WATCHWORD_REDIS_URL": "unix:///nowhere.sock"]
        let away = try await cluster.terminal("users", "unlock", person.email, set: nowhere)
        #expect(away.status == 69 && away.errors.hasSuffix("(store-unavailable)\n"), "\(away)")
        let shown = try await cluster.terminal("users", "show", person.email, set: nowhere)
        #expect(shown.status == 0, "\(shown.errors)")
    }

    @Test func `without its database a command says so, and shows no password`() async throws {
        let cluster = try await Cluster.start(Self.plan())
        let url = "postgresql://u:cinnamon@/postgres?host=\(cluster.folder)"
        let answer = try await cluster.terminal(
            "users",
            "list",
            set: ["WATCHWORD_DATABASE_URL": url]
        )
        #expect(answer.status == 69 && answer.output.isEmpty)
        #expect(answer.errors.hasPrefix("Error: The database cannot be reached"))
        #expect(!answer.errors.contains("cinnamon"))
    }

    @Test func `a command writes its journal also where no node has run for weeks (W9)`()
        async throws
    {
        let cluster = try await Cluster.start(Self.plan())
        let person = try await cluster.person()
        let parts = try await cluster.sql(
            """
            SELECT string_agg(inhrelid::regclass::text, ', ')
              FROM pg_inherits WHERE inhparent = 'audit_events'::regclass
            """
        )
        try await cluster.sql("DROP TABLE \(parts)")
        let disabled = try await cluster.terminal("users", "disable", person.email)
        #expect(disabled.status == 0, "\(disabled.errors)")
        let recorded = try await cluster.sql("SELECT action FROM audit_events")
        #expect(recorded == "account.disabled")
    }

    @Test(arguments: [true, false])
    func `with Redis as the authority a change is in force as well (W1)`(
        isToldOfMembers: Bool
    ) async throws {
        let member = try await RedisServer.start()
        var plan = Self.plan()
        plan.nodes = 2
        plan.variables["WATCHWORD_AUTHORITY_MEMBERS"] = "unix://\(member.socket)?db=0"
        plan.variables["WATCHWORD_AUTHORITY_ADOPT_AFTER"] = "300ms"
        plan.variables["WATCHWORD_AUTHORITY_LEASE"] = "1s"
        plan.variables["WATCHWORD_AUTHORITY_POLL_LIMIT"] = "10s"
        plan.variables["WATCHWORD_AUTHORITY_PUBLISH_LIMIT"] = "10s"
        let cluster = try await Cluster.start(plan)
        let person = try await cluster.person()
        let tokens = try await cluster.signIn(person)
        func state() async throws -> String {
            try await cluster.sql("SELECT state FROM revocation_authority")
        }
        try await eventually("the member is adopted") { try await state() == "redis" }
        // Every node asks the member now.
        for _ in 0..<20 { try await cluster.expectEverywhere(200, tokens.bearer) }
        #expect(try await state() == "redis")
        // An operator who knows nothing of members closes the epoch, which takes its lease.
        let disabled = try await cluster.terminal(
            "users",
            "disable",
            person.email,
            set: isToldOfMembers ? [:] : ["WATCHWORD_AUTHORITY_MEMBERS": ""]
        )
        #expect(disabled.status == 0, "\(disabled.errors)")
        try await cluster.expectEverywhere(401, tokens.bearer)
        if isToldOfMembers { #expect(try await state() == "redis") }
    }
}

// The API of administration without its stores: every operation of the catalogue says 503 and when
// to come back, or works; nothing is half done, and with the store all is as before (W10, rows 304,
// 308, 309).
import Glibc
import HTTPTypes
import Primitives
import TestKit
import Testing

@testable import Web

@Suite(.serialized) struct AdministrationOutageTests {
    /// Codes for what will pass.
    private static let passing = ["store-unavailable", "deadline-exceeded", "overloaded"]

    private static func plan() -> Cluster.Plan {
        var plan = Cluster.Plan()
        plan.isPatient = false
        plan.nodes = 2
        plan.variables["WATCHWORD_VERIFY_READ_LIMIT"] = "3s"
        return plan
    }

    private struct Call: Sendable {
        let name: String
        let method: String
        let path: String
        var json: String?
    }

    /// Every operation that administers, about what is not there.
    private static var table: [Call] {
        let gone = "0192f000-0000-7000-8000-000000000001"
        return PublicAPI.catalogue.operations.flatMap { info -> [Call] in
            switch info.gate {
            case .permission, .delegated: break
            default: return []
            }
            guard case .only(let methods) = info.methods else { return [] }
            let path = info.pattern.parameters.reduce(into: info.pattern.text) { path, name in
                path = path.replacing("{\(name)}", with: name == "name" ? "no:such" : gone)
            }
            return methods.map { method in
                let hasBody = ["POST", "PUT", "PATCH"].contains(method.rawValue)
                return Call(
                    name: info.name,
                    method: method.rawValue,
                    path: path,
                    json: hasBody ? "{}" : nil
                )
            }
        }
    }

    /// The answers to calls that are all sent at once, to one node after the other.
    private func send(
        _ calls: [Call],
        _ cluster: Cluster,
        _ tokens: Tokens
    ) async throws -> [(call: Call, answer: HTTPAnswer)] {
        try await withThrowingTaskGroup(of: (Call, HTTPAnswer).self) { group in
            for (index, call) in calls.enumerated() {
                let client = cluster.nodes[index % cluster.nodes.count].client
                group.addTask {
                    let any = [("If-Match", "*")]
                    let fields = tokens.bearer + any
                    let answer = try await client.send(
                        call.method,
                        call.path,
                        fields,
                        json: call.json
                    )
                    return (call, answer)
                }
            }
            var all: [(Call, HTTPAnswer)] = []
            for try await pair in group { all.append(pair) }
            return all
        }
    }

    private func expectUnavailable(_ call: Call, _ answer: HTTPAnswer) {
        #expect(answer.status == 503, "\(call.name) \(answer.status) \(answer.body)")
        let isPassing = Self.passing.contains(answer.code ?? "")
        #expect(isPassing, "\(call.name) \(answer.body)")
        let wait = answer["Retry-After"].flatMap { Int($0) } ?? 0
        #expect(wait >= 1, "\(call.name)")
        #expect(!answer.body.contains("SELECT") && !answer.body.contains("PostgreSQL"))
    }

    private func untilAnswered(_ cluster: Cluster, _ tokens: Tokens) async throws {
        for node in cluster.nodes {
            try await eventually("recovery") {
                try await node.client.send("GET", "/verify", tokens.bearer).status == 200
            }
        }
    }

    @Test func `without PostgreSQL every operation says 503, and works when it is back (W10)`()
        async throws
    {
        let cluster = try await Cluster.start(Self.plan())
        let tokens = try await cluster.signIn(cluster.administrator)
        let calls = Self.table
        #expect(calls.count > 50)
        let before = try await send(calls, cluster, tokens)
        for (call, answer) in before { #expect(answer.status < 500, "\(call.name)") }
        // There without answering, and then gone altogether.
        cluster.postgres.signalAll(SIGSTOP)
        defer { cluster.postgres.signalAll(SIGCONT) }
        for (call, answer) in try await send(calls, cluster, tokens) {
            expectUnavailable(call, answer)
        }
        cluster.postgres.signalAll(SIGCONT)
        try await untilAnswered(cluster, tokens)
        try await cluster.postgres.crash()
        for (call, answer) in try await send(calls, cluster, tokens) {
            expectUnavailable(call, answer)
        }
        try await cluster.postgres.restart()
        try await untilAnswered(cluster, tokens)
        let known = Dictionary(
            before.map { ("\($0.call.name) \($0.call.method)", $0.answer.status) },
            uniquingKeysWith: { first, _ in first }
        )
        for (call, answer) in try await send(calls, cluster, tokens) {
            let status = known["\(call.name) \(call.method)"]
            guard answer.status == 503 else {
                #expect(answer.status == status, "\(call.name) \(answer.body)")
                continue
            }
            // Connections come back one after the other.
            try await eventually("\(call.name) works", patience: .seconds(60)) {
                try await send([call], cluster, tokens).first?.answer.status == status
            }
        }
    }

    /// Changes that would be made, each of its own kind.
    private func changes(_ cluster: Cluster, _ desk: AdminDesk) async throws -> [Call] {
        let org = try await TestOrganisation(desk)
        let person = try await cluster.person()
        let (second, third) = try await (cluster.person(), cluster.person())
        let path = "/v1/admin"
        let made = try await cluster.node.send(
            "POST",
            "\(path)/roles",
            desk.tokens.bearer,
            json: "{\"name\":\"held\",\"permissions\":[]}"
        )
        let role = try #require(made.text("id"))
        let service = try await cluster.node.send(
            "POST",
            "\(path)/service-accounts",
            desk.tokens.bearer,
            json: "{\"name\":\"billing\"}"
        )
        let keys = "\(path)/service-accounts/\(try #require(service.text("id")))/keys"
        let user = "\(path)/users/\(person.id)"
        func call(_ name: String, _ method: String, _ path: String, _ json: String?) -> Call {
            Call(name: name, method: method, path: path, json: json)
        }
        return [
            call("roles.create", "POST", "\(path)/roles", "{\"name\":\"new\"}"),
            call("roles.change", "PATCH", "\(path)/roles/\(role)", "{\"permissions\":[\"*:*\"]}"),
            call("assign", "POST", "\(user)/roles", "{\"role\":\"\(role)\"}"),
            call("users.create", "POST", "\(path)/users", "{\"email\":\"new@example.test\"}"),
            call("users.change", "PATCH", user, "{\"username\":\"changed\"}"),
            call("users.disable", "POST", "\(path)/users/\(second.id)/disable", "{}"),
            call("users.delete", "DELETE", "\(path)/users/\(third.id)", nil),
            call(
                "organisations.create",
                "POST",
                "\(path)/organisations",
                "{\"name\":\"new\",\"display_name\":\"N\"}"
            ),
            call(
                "organisations.change",
                "PATCH",
                "\(path)/organisations/\(org.id)",
                "{\"state\":\"disabled\"}"
            ),
            call("services.create", "POST", "\(path)/service-accounts", "{\"name\":\"newer\"}"),
            call("services.create_key", "POST", keys, "{\"name\":\"a key\"}"),
        ]
    }

    /// All that administration writes, but for what sign-ins leave behind.
    private func contents(_ cluster: Cluster) async throws -> String {
        let tables = [
            "accounts", "account_passwords", "account_signatures", "account_roles", "roles",
            "role_permissions", "organisations", "organisation_members", "api_keys",
            "audit_events", "outbox", "revocation_log",
        ]
        var found: [String] = []
        for table in tables {
            let digest = "md5(string_agg(t::text, ' ' ORDER BY t::text))"
            found.append("\(table) " + (try await cluster.sql("SELECT \(digest) FROM \(table) t")))
        }
        return found.joined(separator: "\n")
    }

    @Test func `what PostgreSQL takes down with it has not happened, not even half (row 308)`()
        async throws
    {
        let cluster = try await Cluster.start(Self.plan())
        let desk = try await AdminDesk(cluster)
        let calls = try await changes(cluster, desk)
        let before = try await contents(cluster)
        // Every change is recorded, so this stops each of them in the middle (W9).
        let holder = try await LockHolder(
            cluster,
            "LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE"
        )
        defer { holder.letGo() }
        let answers = try await withThrowingTaskGroup(
            of: [(call: Call, answer: HTTPAnswer)].self
        ) { group in
            group.addTask { try await send(calls, cluster, desk.tokens) }
            try await eventually("a change waits in the middle") {
                try await cluster.sql(
                    """
                    SELECT count(*) FROM pg_locks
                     WHERE relation = 'audit_events'::regclass AND NOT granted
                    """
                ) != "0"
            }
            try await cluster.postgres.crash()
            return try await group.next() ?? []
        }
        #expect(answers.count == calls.count)
        for (call, answer) in answers { expectUnavailable(call, answer) }
        try await cluster.postgres.restart()
        try await untilAnswered(cluster, desk.tokens)
        #expect(try await contents(cluster) == before)
        for (call, answer) in try await send(calls, cluster, desk.tokens) {
            #expect((200...204).contains(answer.status), "\(call.name) \(answer.body)")
        }
        #expect(try await contents(cluster) != before)
    }

    @Test func `without Redis everything works but lifting a throttle, which says so (row 309)`()
        async throws
    {
        let cluster = try await Cluster.start(Self.plan())
        let desk = try await AdminDesk(cluster)
        let person = try await cluster.person()
        let changes = try await changes(cluster, desk)
        try await cluster.redis.kill()
        for (call, answer) in try await send(Self.table, cluster, desk.tokens) {
            #expect(answer.status < 500, "\(call.name) \(answer.body)")
        }
        for (call, answer) in try await send(changes, cluster, desk.tokens) {
            #expect((200...204).contains(answer.status), "\(call.name) \(answer.body)")
        }
        let unlock = Call(
            name: "users.unlock",
            method: "POST",
            path: "/v1/admin/users/\(person.id)/unlock",
            json: "{}"
        )
        for (call, answer) in try await send([unlock, unlock], cluster, desk.tokens) {
            expectUnavailable(call, answer)
        }
        // What did not happen is not recorded (W9).
        let unlocked = "SELECT count(*) FROM audit_events WHERE action = 'account.unlocked'"
        #expect(try await cluster.sql(unlocked) == "0")
        try await cluster.redis.restart()
        for node in cluster.nodes {
            try await eventually("Redis is back") {
                let answer = try await node.client.send(
                    unlock.method,
                    unlock.path,
                    desk.tokens.bearer,
                    json: "{}"
                )
                return answer.status == 204
            }
        }
        #expect(try await cluster.sql(unlocked) == "\(cluster.nodes.count)")
    }
}

// What a node says of itself while it leaves: whoever asks is told to send no more, on a listener
// that ends after the public one.
import Glibc
import Primitives
import TestKit
import Testing

@testable import Web

@Suite(.serialized) struct LeavingTests {
    @Test
    func `a node on its way out is not ready while it answers what is in flight`() async throws {
        var plan = Cluster.Plan()
        plan.nodes = 1
        // What is in flight takes its time, so that a slow machine is no other case.
        plan.variables["WATCHWORD_HTTP_BODY_TIME"] = "300s"
        plan.variables["WATCHWORD_HTTP_DRAIN_TIME"] = "300s"
        let cluster = try await Cluster.start(plan)
        let node = cluster.nodes[0]
        let person = try await cluster.person()
        let json = "{\"login\":\"\(person.email)\",\"password\":\"\(person.password)\"}"
        let body = Array(json.utf8)
        let fields = [("Content-Type", "application/json")]
        let check = HTTPClient.head("GET", "/verify", [], nil, closes: false)
        let head = HTTPClient.head("POST", "/v1/auth/login", fields, body, closes: false)
        let port = node.client.port
        let connection = try await Blocking.run { try Connection(port: port) }
        defer { connection.close() }
        // Answered once, so that the connection is the node's and no listener's any more.
        let first = try await Blocking.run {
            try connection.write(check)
            let answer = try connection.readAnswer()
            try connection.write(head + body.dropLast(5))
            return answer.status
        }
        #expect(first == 401)
        let before = try await node.management.send("GET", "/readyz")
        #expect(before.status == 200 && before.text("checks.draining") == "ok")
        node.process.signal(SIGTERM)
        try await eventually("the node says that it leaves") {
            let ready = try await node.management.send("GET", "/readyz")
            guard let said = ready.text("checks.draining"), said != "ok" else { return false }
            #expect(ready.status == 503 && ready.text("status") == "not-ready")
            for name in ["postgres", "clock", "keys"] {
                #expect(ready.text("checks.\(name)") == "ok")
            }
            return true
        }
        let last = try await Blocking.run {
            try connection.write(Array(body.suffix(5)))
            return try connection.readAnswer()
        }
        #expect(last.status == 200)
        #expect(last["Connection"] == "close")
        let process = node.process
        let status = try await Blocking.run { process.wait() }
        #expect(status == 0)
    }
}

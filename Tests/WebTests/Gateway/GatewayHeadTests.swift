// The heads that five gateways send, as captured, to a listener with the settings of their pages:
// each is answered on the fast path, under other methods too. That they can be read is shown by
// VerifyHeadTests; here a real token is in them, and what is counted is who answered.
import ClusterKit
import Primitives
import Sessions
import Testing

@testable import Web

@Suite(.serialized) struct GatewayHeadTests {
    /// What a page asks of the nodes, and which of the captured heads its gateway sends.
    struct Page: Sendable, CustomTestStringConvertible {
        let name: String
        let source: String
        var readsQuery = true
        let heads: [Int]

        var testDescription: String { name }

        var settings: [String: String] {
            [
                "verify.original_request": source,
                "verify.query_requirements": readsQuery ? "true" : "false",
            ]
        }
    }

    static let pages = [
        Page(name: "nginx", source: "x-original", heads: [4]),
        Page(name: "HAProxy", source: "x-original", heads: [5]),
        Page(name: "Caddy", source: "x-forwarded", readsQuery: false, heads: [6, 9]),
        Page(name: "Traefik", source: "x-forwarded", heads: [7]),
        Page(name: "Envoy", source: "request-line", heads: [8]),
    ]

    /// The head with a good token, and under other methods, with a body of no bytes as well.
    private static func variants(_ captured: String, _ token: String) -> [String] {
        let head = captured.replacing(VerifyHeadTests.token, with: token)
        let rest = head.drop { $0 != " " }
        // A line's end is one character.
        let announced =
            head.contains("content-length: 0\r\n")
            ? String(rest) : String(rest.dropLast()) + "Content-Length: 0\r\n\r\n"
        return [head, "HEAD\(rest)", "HEAD\(announced)", "POST\(announced)", "GET\(announced)"]
    }

    @Test(arguments: pages)
    func `what a gateway sends is answered on the fast path, under any method`(
        _ page: Page
    ) async throws {
        try await Cluster.run(set: page.settings) { cluster in
            let node = cluster.nodes[0]
            _ = try await cluster.signUp()
            let pair = try await cluster.signIn()
            let token = String(decoding: pair.accessToken.exposed, as: UTF8.self)
            try await VerifyListener.run(cluster, isFast: true) { listener in
                let server = RunningServer(port: listener.port, logs: LogRecorder(), stop: {})
                for number in page.heads {
                    for head in Self.variants(VerifyHeadTests.heads[number], token) {
                        let before = node.value("watchword_verify_fast_total")
                        let answer = try await server.connect { client in
                            try await client.send(head)
                            client.finish()
                            return try await client.readToEnd()
                        }
                        let shown = head.replacing(token, with: "…")
                        #expect(answer.hasPrefix("HTTP/1.1 200 "), "\(shown)\(answer)")
                        // The answer is out a moment before it is counted.
                        try await until("it is counted as fast: \(shown)") {
                            node.value("watchword_verify_fast_total") > before
                        }
                        #expect(node.value("watchword_verify_fast_total") == before + 1)
                    }
                }
                #expect(node.value("watchword_verify_general_total") == 0)
            }
        }
    }
}

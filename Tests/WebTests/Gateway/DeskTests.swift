// When the desk begins a batch: the second on the wire is to be worth its reading, but it waits no
// longer than it is patient, also where nobody comes any more who would wake it (W8).
import ClusterKit
import Logging
import NIOCore
import Postgres
import Primitives
import Sessions
import TestKit
import Testing

@testable import Web

@Suite(.serialized) struct DeskTests {
    @Test func `who comes alone behind two that wait is read for although nobody follows (W8)`()
        async throws
    {
        try await Cluster.run(1, set: ["verify.read_limit": "30s"]) { cluster in
            _ = try await cluster.signUp("ada")
            let token = try await cluster.signIn("ada").accessToken
            let text = String(decoding: token.exposed, as: UTF8.self)
            let ask = Array(
                "GET /verify HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \(text)\r\n\r\n".utf8
            )
            let node = cluster.nodes[0]
            let loop = node.group.next()
            try await VerifyListener.run(cluster, isFast: true) { listener in
                let desk = try #require(listener.desks.desk(on: loop))
                let limits = HTTPLimits()
                let dispatcher = Dispatcher(
                    VerifyListener.settings(limits),
                    routes: [],
                    clock: .system,
                    entropy: .system,
                    logger: Logger(label: "tests") { _ in LogRecorder().handler }
                )
                @Sendable func come(_ count: Int) throws -> CutBatch {
                    let ways = Array(repeating: [Int](), count: count)
                    return try CutBatch(ask, ways, desk, dispatcher, limits)
                }
                func batches() -> Int { node.histogramCount("watchword_verify_batch_requests") }
                // Whoever reads the log waits from now on.
                let hold = cluster.makePool(applicationName: "holder")
                try await hold.start()
                let asked = try await hold.transaction { transaction in
                    let sql = "LOCK TABLE revocation_authority IN ACCESS EXCLUSIVE MODE"
                    try await transaction.script(sql)
                    // The last comes when the two have just been taken: later on, whoever comes
                    // finds that they have been out for long.
                    let asked = try await loop.submit {
                        let pair = try come(2)
                        return loop.submit { [pair, try come(1)] }
                    }.get().get()
                    try await until("the last is a batch of its own") { batches() == 2 }
                    return asked
                }
                await hold.close()
                for batch in asked {
                    try await until("answered") { try await loop.submit { batch.isQuiet }.get() }
                    let answer = try await loop.submit { batch.outcome.bytes }.get()
                    #expect(String(decoding: answer, as: UTF8.self).hasPrefix("HTTP/1.1 200 "))
                    try await loop.submit { batch.close() }.get()
                }
            }
        }
    }
}

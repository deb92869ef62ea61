// A request stays on its connection's event loop from the first byte to the last.
import HTTPTypes
import NIOPosix
import Testing
import Web

@Suite struct LoopTests {
    @Test func `a handler runs on an event loop, also after it has waited`() async throws {
        let route = Route("where", .only([.get]), PathPattern("/where")) { _, _ in
            let before = MultiThreadedEventLoopGroup.currentEventLoop
            await Task.yield()
            try await Task.sleep(for: .milliseconds(5))
            let after = MultiThreadedEventLoopGroup.currentEventLoop
            return Reply.text(200, "\(before != nil) \(before === after)")
        }
        try await withServer(routes: [route]) { server in
            let text = try await server.exchange(
                "GET /where HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            )
            #expect(try RawAnswer.only(text).body == "true true")
        }
    }
}

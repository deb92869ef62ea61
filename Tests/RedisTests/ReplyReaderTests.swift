// The decoder: any cut of the stream gives the same replies, and bounds hold before memory does.
import NIOCore
import Testing

@testable import Redis

@Suite struct ReplyReaderTests {
    private func read(_ text: String, cut: Int) throws -> [Result<RedisValue, RedisError>] {
        let reader = try ReplyReader()
        var replies: [Result<RedisValue, RedisError>] = []
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let piece = rest.prefix(cut)
            rest = rest.dropFirst(cut)
            try reader.read(ByteBuffer(bytes: piece)) {
                replies.append($0)
                return true
            }
        }
        return replies
    }

    @Test func `every kind of reply survives every cut of the stream`() throws {
        let text =
            "+OK\r\n:-7\r\n$-1\r\n$4\r\na\r\nb\r\n*-1\r\n*0\r\n*3\r\n:1\r\n*1\r\n$0\r\n\r\n+x\r\n"
            + "-WRONGTYPE no\r\n:9\r\n"
        let expected: [Result<RedisValue, RedisError>] = [
            .success(.status("OK")), .success(.integer(-7)), .success(.null),
            .success(.bulk(Array("a\r\nb".utf8))), .success(.null), .success(.array([])),
            .success(.array([.integer(1), .array([.bulk([])]), .status("x")])),
            .failure(RedisError(.server(code: "WRONGTYPE", message: "no"))),
            .success(.integer(9)),
        ]
        for cut in 1...text.utf8.count {
            #expect(try read(text, cut: cut) == expected)
        }
    }

    @Test(arguments: [
        "?\r\n", "$x\r\n", ":12a\r\n", "*2000000\r\n",
        String(repeating: "*1\r\n", count: 9) + ":1\r\n",
    ])
    func `a stream that is not RESP2, too deep or too wide is refused`(text: String) {
        let error = #expect(throws: RedisError.self) { try read(text, cut: 100) }
        guard case .protocolViolation = error?.kind else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test func `seven levels are read`() throws {
        let text = String(repeating: "*1\r\n", count: 7) + ":1\r\n"
        #expect(try read(text, cut: 3).count == 1)
    }

    @Test func `a reply that never ends is refused at the bound`() throws {
        let reader = try ReplyReader()
        let piece = ByteBuffer(repeating: 97, count: 1 << 20)
        try reader.read(ByteBuffer(string: "$1000000000\r\n")) { _ in true }
        #expect(throws: RedisError.self) {
            for _ in 0..<32 { try reader.read(piece) { _ in true } }
        }
    }

    @Test func `a partial nested reply is freed with its reader`() throws {
        for _ in 0..<1000 { #expect(try read("*2\r\n*2\r\n$1\r\na\r\n", cut: 5).isEmpty) }
    }
}

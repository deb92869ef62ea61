// Log lines: nobody can forge one, and nobody is held up by them.
import CLinux
import FoundationEssentials
import Glibc
import Logging
import Primitives
import Testing

@testable import Watchword

@Suite struct LogTests {
    static let forgeries = [
        "x\n{\"level\":\"info\",\"message\":\"forged\"}", "x\r\nforged", "\u{1b}[2Kforged",
        "a\u{202e}b\u{2066}c", "\u{2028}forged", "\u{85}forged", "\u{9b}31mred", "\u{feff}x",
        "zero\u{200b}width", "back\\slash \"quote\"", "\u{e0041}tag", "\u{7f}", "\0",
    ]

    private struct Entry: Decodable {
        let time: String
        let level: String
        let logger: String
        let message: String
        let metadata: [String: String]?
    }

    private func render(_ format: LogFormat, _ text: String) -> String {
        LogLine.render(
            format,
            at: Timestamp(microseconds: 1_795_241_228_123_456),
            label: text,
            level: .warning,
            message: text,
            error: nil,
            metadata: [text: .string(text)]
        )
    }

    @Test(arguments: forgeries)
    func `text cannot forge, hide or colour a line (row 301)`(text: String) throws {
        for format in LogFormat.allCases {
            let line = render(format, text)
            #expect(!line.unicodeScalars.contains(where: JSONText.isDeceptive))
        }
        let entry = try JSONDecoder().decode(Entry.self, from: Data(render(.json, text).utf8))
        #expect(entry.message.unicodeScalars.elementsEqual(text.unicodeScalars))
        #expect(entry.logger.unicodeScalars.elementsEqual(text.unicodeScalars))
        #expect(entry.level == "warning" && entry.time == "2026-11-21T06:07:08.123456Z")
        #expect(entry.metadata?.count == 1)
    }

    @Test func `nested metadata is JSON, and a secret in it is dots`() {
        let line = LogLine.render(
            .json,
            at: Timestamp(seconds: 0),
            label: "l",
            level: .info,
            message: "m",
            error: nil,
            metadata: [
                "a": ["x", ["k": "v"]], "s": .stringConvertible(Secret("cinnamon")),
            ]
        )
        #expect(line.hasSuffix(#""metadata":{"a":["x",{"k":"v"}],"s":"••••"}}"#))
    }

    @Test func `a reader that is too slow costs lines, not time, and the loss is told`() throws {
        var ends: [Int32] = [-1, -1]
        #expect(ww_pipe(&ends) == 0)
        let writer = LogWriter(to: ends[1]) { "lost \($0)" }
        let line = String(repeating: "x", count: 1023)
        let count = LogWriter.bufferBytes / 1024 * 2
        for _ in 0..<count { writer.write(line) }
        let lost = writer.dropped.count
        #expect(lost > 0)
        var whole = 0
        var notice = ""
        let reading = ends[0]
        FileIO.readLines(from: reading, longest: 4096) { text in
            if text == line { whole += 1 }
            if text.hasPrefix("lost") {
                notice = text
                // All has arrived: the other end may be closed, which ends the reading.
                close(ends[1])
            }
        }
        close(reading)
        #expect(whole == count - lost)
        #expect(notice == "lost \(lost)")
    }

    @Test func `the handler keeps the level and merges metadata`() throws {
        var ends: [Int32] = [-1, -1]
        #expect(ww_pipe(&ends) == 0)
        let writer = LogWriter(to: ends[1]) { "lost \($0)" }
        var logger = Logger(label: "test") {
            LineLogHandler(label: $0, level: .info, format: .json, writer: writer)
        }
        logger[metadataKey: "node"] = "n1"
        logger.debug("quiet")
        logger.info("loud", metadata: ["request": "r1"])
        writer.flush()
        var chunk = [UInt8](repeating: 0, count: 4096)
        let count = read(ends[0], &chunk, chunk.count)
        let text = String(decoding: chunk.prefix(max(0, count)), as: UTF8.self)
        #expect(text.split(separator: "\n").count == 1)
        #expect(text.contains(#""metadata":{"node":"n1","request":"r1"}"#))
        for end in ends { close(end) }
    }
}

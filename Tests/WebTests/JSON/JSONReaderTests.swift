// The JSON reader against hostile texts (row 252).
import Testing
import Web

@Suite struct JSONReaderTests {
    @Test func `a hundred thousand brackets are refused in a blink`() {
        for opener in ["[", "{\"a\":", "[[{\"a\":"] {
            let bytes = Array(String(repeating: opener, count: 100_000).utf8)
            let clock = ContinuousClock()
            let spent = clock.measure {
                #expect(throws: JSONRefusal.tooDeep) { try JSONReader.read(bytes) }
            }
            #expect(spent < .seconds(1))
        }
    }

    @Test func `thirty-two levels are read and thirty-three are not`() throws {
        func nested(_ depth: Int) -> [UInt8] {
            Array(
                (String(repeating: "[", count: depth) + String(repeating: "]", count: depth)).utf8
            )
        }
        _ = try JSONReader.read(nested(32))
        #expect(throws: JSONRefusal.tooDeep) { try JSONReader.read(nested(33)) }
    }

    @Test func `brackets inside strings do not count`() throws {
        let inside = String(repeating: "[\\\"{", count: 100)
        #expect(
            try JSONReader.read(Array("[\"\(inside)\"]".utf8))
                == .list([.text(String(repeating: "[\"{", count: 100))])
        )
    }

    @Test(arguments: [
        (#"{"a":1,"a":2}"#, JSONRefusal.duplicateKey),
        (#"{"a":1,"\u0061":2}"#, .duplicateKey),
        ("{\"\u{E9}\":1,\"e\u{301}\":2}", .duplicateKey),
        (#"{"b":{"a":1,"a":1}}"#, .duplicateKey),
        (#"["\u0000"]"#, .nul), (#"{"\u0000":1}"#, .nul), ("[\"a\0b\"]", .nul), ("[1]\0", .nul),
        (#"["\ud800"]"#, .malformed), (#"["\udc00"]"#, .malformed),
        (#"["\ud800\u0041"]"#, .malformed),
        ("[1e400]", .numberOutOfRange), ("[9223372036854775808]", .numberOutOfRange),
        ("[-9223372036854775809]", .numberOutOfRange),
        ("", .malformed), (" ", .malformed), ("[1,]", .malformed), ("{'a':1}", .malformed),
        ("[01]", .malformed), ("[+1]", .malformed), ("[NaN]", .malformed), ("[.5]", .malformed),
        ("[1] [2]", .malformed), ("[1]x", .malformed), ("/* */[1]", .malformed), ("[", .malformed),
        ("]", .malformed), ("[\"a\nb\"]", .malformed), ("\u{FEFF}[1]", .malformed),
        (#"["\x41"]"#, .malformed), ("nul", .malformed),
    ])
    func `what is not strict JSON is refused`(text: String, refusal: JSONRefusal) {
        #expect(throws: refusal, "\(text)") { try JSONReader.read(Array(text.utf8)) }
    }

    @Test(
        arguments: [
            [0xFF], [0xC0, 0x80], [0xC3], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80],
            [0xE2, 0x82],
        ] as [[UInt8]]
    )
    func `bytes that are not UTF-8 are refused`(bytes: [UInt8]) {
        let text = Array("[\"".utf8) + bytes + Array("\"]".utf8)
        #expect(throws: JSONRefusal.invalidText) { try JSONReader.read(text) }
    }

    @Test func `numbers keep their kind`() throws {
        #expect(
            try JSONReader.read(Array("[1,-0,9223372036854775807,1.0,1e3,true,null]".utf8))
                == .list([
                    .integer(1), .integer(0), .integer(.max), .real(1), .real(1000), .boolean(true),
                    .null,
                ])
        )
        #expect(try JSONReader.read(Array(" \"x\" ".utf8)) == .text("x"))
    }

    @Test func `what is written is read back, and is inert as HTML`() throws {
        let nasty = "a\"b\\c\n\t\u{1}\u{7F}é😀<script>&'/\u{2028}"
        var out: [UInt8] = []
        JSONText.append(nasty, to: &out)
        #expect(try JSONReader.read(out) == .text(nasty))
        #expect(!out.contains(UInt8(ascii: "<")))
    }
}

// Ids: their two forms, their order, and the time they carry.
import Primitives
import Testing

@Suite struct IDTests {
    @Test func `an id survives its text and its bytes`() throws {
        let id = AccountID(at: Timestamp(seconds: 1_700_000_000), entropy: .system)
        #expect(AccountID(id.description) == id)
        #expect(AccountID(bytes: id.bytes) == id)
        #expect(id.createdAt == Timestamp(seconds: 1_700_000_000))
    }

    @Test func `text that is nearly an id is refused`() {
        for text in [
            "", "0", "018bcfe5-6800-7000-8000-00000000000", "018bcfe568007000800000000000000000",
            "018bcfe5-6800-7000-8000-00000000000g", "018bcfe5-6800-7000-8000-0000000000000",
        ] {
            #expect(AccountID(text) == nil)
        }
    }

    @Test func `times are written in UTC with six digits whatever TZ says (S4-T9)`() {
        #expect(
            Timestamp(microseconds: 1_795_241_228_123_456).description
                == "2026-11-21T06:07:08.123456Z"
        )
        #expect(Timestamp(microseconds: -1).description == "1969-12-31T23:59:59.999999Z")
        #expect(Timestamp(seconds: 1_795_241_228).httpDate == "Sat, 21 Nov 2026 06:07:08 GMT")
    }

    @Test func `base64url has one spelling for each value`() {
        #expect(Base64URL.decode(Array("AQ".utf8)) == [1])
        for text in ["AR", "AQ=", "AQ==", "A", "A+8_", " AQ", "AQ\n"] {
            #expect(Base64URL.decode(Array(text.utf8)) == nil)
        }
        let bytes = Entropy.system.bytes(61)
        #expect(Base64URL.decode(Array(Base64URL.encode(bytes).utf8)) == bytes)
    }
}

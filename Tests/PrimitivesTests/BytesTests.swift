// Loops over bytes: the same answer for every kind of sequence that bytes come in.
import Testing

@testable import Primitives

@Suite struct BytesTests {
    private static let bytes: [UInt8] = Array(0...255)

    @Test func `equal bytes are equal whatever collection they lie in`() {
        let bytes = Self.bytes
        let backwards = Array(bytes.reversed())
        #expect(constantTimeEqual(bytes, bytes))
        #expect(constantTimeEqual(bytes[...], bytes))
        #expect(constantTimeEqual(bytes, backwards.reversed()))
        #expect(constantTimeEqual(backwards.reversed(), bytes[0...]))
        #expect(constantTimeEqual([UInt8](), bytes[0..<0]))
    }

    @Test(arguments: [0, 1, 127, 255]) func `one byte makes the difference`(place: Int) {
        var other = Self.bytes
        other[place] ^= 0x80
        #expect(!constantTimeEqual(Self.bytes, other))
        #expect(!constantTimeEqual(other[...], Self.bytes.reversed().reversed()))
    }

    @Test func `a prefix is not equal`() {
        #expect(!constantTimeEqual(Self.bytes, Self.bytes.dropLast()))
        #expect(!constantTimeEqual([UInt8](), Self.bytes))
    }

    @Test func `text forms do not depend on the kind of collection`() {
        let backwards = Array(Self.bytes.reversed())
        let text = Base64URL.encode(Self.bytes)
        #expect(Base64URL.encode(backwards.reversed()) == text)
        #expect(Base64URL.decode(("x" + text).utf8.dropFirst()) == Self.bytes)
        #expect(Base64URL.decode(Array(Array(text.utf8).reversed()).reversed()) == Self.bytes)
        #expect(Hex.encode(backwards.reversed()) == Hex.encode(Self.bytes))
        #expect(Hex.encode(Self.bytes[14...17]) == "0e0f1011")
    }
}

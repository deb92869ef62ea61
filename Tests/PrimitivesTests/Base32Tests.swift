// Base32 by the vectors of RFC 4648 section 10, without their padding.
import Primitives
import Testing

@Suite struct Base32Tests {
    @Test(arguments: [
        ("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ"),
        ("fooba", "MZXW6YTB"), ("foobar", "MZXW6YTBOI"),
    ])
    func `bytes are written as RFC 4648 has them`(_ text: String, _ digits: String) {
        #expect(Base32.encode(text.utf8) == digits)
        #expect(digits.utf8.allSatisfy(Base32.isDigit))
        #expect(!["a", "0", "1", "8", "="].contains { Base32.isDigit($0) })
    }
}

extension Base32 {
    fileprivate static func isDigit(_ text: String) -> Bool { text.utf8.allSatisfy(isDigit) }
}

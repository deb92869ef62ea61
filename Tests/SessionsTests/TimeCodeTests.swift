// Codes of authenticators, by the vectors of RFC 6238, and recovery codes.
import Primitives
import Testing

@testable import Sessions

@Suite struct TimeCodeTests {
    private static let seed = Array("12345678901234567890".utf8)

    private static func text(_ code: [UInt8]) -> String { String(decoding: code, as: UTF8.self) }

    @Test(arguments: [
        (59, "287082"), (1_111_111_109, "081804"), (1_111_111_111, "050471"),
        (1_234_567_890, "005924"), (2_000_000_000, "279037"), (20_000_000_000, "353130"),
    ])
    func `codes are those of RFC 6238, appendix B`(_ seconds: Int64, _ code: String) {
        let step = TimeCode.step(at: Timestamp(seconds: seconds))
        #expect(Self.text(TimeCode.code(of: Self.seed, step: step)) == code)
    }

    @Test func `one step each way is good, and no more (row 51)`() {
        let now = Timestamp(seconds: 1_234_567_890)
        let present = TimeCode.step(at: now)
        for distance in -3...3 as ClosedRange<Int64> {
            let step = present + distance
            let code = TimeCode.code(of: Self.seed, step: step)
            let found = TimeCode.step(of: code, by: Self.seed, at: now, after: 0)
            #expect(found == (abs(distance) <= 1 ? step : nil), "\(distance)")
            // None that is as old as the last one (RFC 6238 section 5.2).
            #expect(TimeCode.step(of: code, by: Self.seed, at: now, after: step) == nil)
        }
    }

    @Test func `what is no code is none`() {
        let now = Timestamp(seconds: 59)
        for typed in ["", "28708", "2870822", "287083", "28708x", " 287082"] {
            let found = TimeCode.step(of: Array(typed.utf8), by: Self.seed, at: now, after: 0)
            #expect(found == nil, "\(typed)")
        }
    }

    @Test func `recovery codes differ, and are read however they are typed (row 57)`() throws {
        let codes = (0..<100).map { _ in RecoveryCode.make(.system).exposed }
        #expect(Set(codes).count == 100)
        for code in codes {
            let text = Self.text(code)
            let groups = text.split(separator: "-").map(\.count)
            #expect(groups == [4, 4, 4, 4, 4, 4])
            let digest = try #require(RecoveryCode.digest(of: code))
            #expect(digest.count == 32)
            let spaced = text.lowercased().replacing("-", with: " ")
            #expect(RecoveryCode.digest(of: Array(spaced.utf8)) == digest)
        }
        let code = Self.text(codes[0])
        for typed in ["", "123456", "AAAA-BBBB", code + "A", "0" + code.dropFirst()] {
            #expect(RecoveryCode.digest(of: Array(typed.utf8)) == nil, "\(typed)")
        }
    }

    @Test func `a link has names and addresses escaped`() {
        let link = AuthenticatorLink.text(
            issuer: "auth.example.org",
            account: "ada+x y&z@example.org",
            secret: "MZXW6"
        )
        #expect(
            link == "otpauth://totp/auth.example.org:ada%2Bx%20y%26z%40example.org?secret=MZXW6"
                + "&issuer=auth.example.org&algorithm=SHA1&digits=6&period=30"
        )
    }
}

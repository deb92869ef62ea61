// Time-based codes of authenticators (RFC 6238 over RFC 4226): six digits of an HMAC-SHA-1 of the
// number of half minutes since 1970. The parameters are those that every authenticator knows. No
// clock inside: the time is given, and it is the database's, so that all nodes agree on it.
import Crypto
import Primitives

/// Codes of one authenticator.
enum TimeCode {
    /// How many digits a code has.
    static let digitCount = 6
    /// How long a code is shown, in seconds.
    static let period: Int64 = 30
    /// How many bytes a seed has (RFC 4226 section 4, R6: 160 bits).
    static let seedLength = 20

    /// What was typed as a code, without the space that some authenticators show in it.
    static func digits(of typed: Secret) -> [UInt8] {
        // Read to be compared, in constant time.
        typed.exposed.filter { $0 != UInt8(ascii: " ") }
    }

    /// The number of the half minute that `time` is in.
    static func step(at time: Timestamp) -> Int64 { time.seconds / period }

    /// The code of `seed` in `step`.
    static func code(of seed: [UInt8], step: Int64) -> [UInt8] {
        let counter = (0..<8).map { UInt8(truncatingIfNeeded: step >> (56 - 8 * $0)) }
        let mac = Array(
            HMAC<Insecure.SHA1>.authenticationCode(for: counter, using: SymmetricKey(data: seed))
        )
        // Dynamic truncation (RFC 4226 section 5.3).
        let offset = Int(mac[mac.count - 1] & 15)
        var number = mac[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) } & 0x7FFF_FFFF
        var digits = [UInt8](repeating: 0, count: digitCount)
        for place in digits.indices.reversed() {
            digits[place] = UInt8(ascii: "0") + UInt8(number % 10)
            number /= 10
        }
        return digits
    }

    /// The step that `code` is of: that of `time`, or the one before or after it for clocks that
    /// differ, and later than `last`; nil where it is of none (row 51).
    ///
    /// All three are looked at, whatever is found.
    static func step(
        of code: [UInt8],
        by seed: [UInt8],
        at time: Timestamp,
        after last: Int64
    ) -> Int64? {
        let now = step(at: time)
        var found: Int64?
        for step in [now + 1, now, now - 1]
        where constantTimeEqual(self.code(of: seed, step: step), code) && step > last {
            // The earliest, so that the next one is still good.
            found = step
        }
        return found
    }
}

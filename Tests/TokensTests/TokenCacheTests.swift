// The memory of checked tokens: it is bounded whatever comes, keeps what is asked for, and takes no
// token for another.
import Primitives
import Testing

@testable import Tokens

@Suite struct TokenCacheTests {
    private static func claims(_ number: Int) throws -> AccessClaims {
        let low = UInt64(number)
        return AccessClaims(
            tokenID: TokenID(high: 0, low: low),
            accountID: AccountID(high: 1, low: low),
            sessionID: SessionID(high: 2, low: low),
            clientID: "watchword",
            audience: "https://auth.example.test",
            signatureGeneration: 1,
            rightsVersion: 1,
            roles: nil,
            scope: "",
            authenticatedAt: Timestamp(seconds: 0),
            issuedAt: Timestamp(seconds: 0),
            expiresAt: Timestamp(seconds: 900),
            keyID: KeyID(high: 3, low: 0)
        )
    }

    private static func token(_ number: Int) -> [UInt8] { Array("token \(number)".utf8) }

    @Test func `it never holds more than its limit, however many tokens come (W8)`() throws {
        let cache = TokenCache(limit: 100, metrics: MetricsRegistry())
        var largest = 0
        for number in 0..<20_000 {
            cache.insert(Self.token(number), try Self.claims(number))
            // What is found in the old generation moves to the young one, and counts there too.
            _ = cache.find(Self.token(number - 60))
            _ = cache.find(Self.token(7))
            largest = max(largest, cache.count)
        }
        #expect(largest <= 100)
        #expect(largest > 50)
        // It forgets what nobody has asked for, and nothing else.
        #expect(cache.find(Self.token(7))?.tokenID == TokenID(high: 0, low: 7))
        #expect(cache.find(Self.token(19_999))?.tokenID == TokenID(high: 0, low: 19_999))
        #expect(cache.find(Self.token(1000)) == nil)
    }

    @Test func `a token is found by all of its bytes`() throws {
        let cache = TokenCache(limit: 100, metrics: MetricsRegistry())
        let whole = Array("eyJh.payload.signature".utf8)
        cache.insert(whole, try Self.claims(1))
        #expect(cache.find(whole) != nil)
        for place in whole.indices {
            var other = whole
            other[place] ^= 1
            #expect(cache.find(other) == nil, "\(place)")
        }
        #expect(cache.find(Array(whole.dropLast())) == nil)
        #expect(cache.find(whole + whole) == nil)
        #expect(cache.find([]) == nil)
    }
}

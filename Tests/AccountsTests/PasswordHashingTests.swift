// The hashing threads themselves: their results against libsodium's own, and their memory.
import Accounts
import CLinux
import Primitives
import Testing

@Suite struct PasswordHashingTests {
    private func withHashing<R>(
        threads: Int,
        _ body: (PasswordHashing) async throws -> R
    ) async throws -> R {
        let hashing = PasswordHashing(
            parameters: HashParameters(memoryKiB: 19 * 1024, passes: 2),
            threadCount: threads,
            queueLimit: 64,
            entropy: .system,
            metrics: MetricsRegistry()
        )
        hashing.start()
        do {
            let result = try await body(hashing)
            try await hashing.stop()
            return result
        } catch {
            try await hashing.stop()
            throw error
        }
    }

    private func password(_ text: String) throws -> Password {
        try Password(Secret(text))
    }

    @Test func `Hashes one after the other use the same memory and do not mix`() async throws {
        let lent = ww_arena_lent()
        try await withHashing(threads: 2) { hashing in
            let first = try password("the first of two passwords")
            let second = try password("the second of two passwords")
            let one = try await hashing.hash(first)
            let two = try await hashing.hash(second)
            for _ in 0..<3 {
                #expect(try await hashing.check(first, against: one))
                #expect(try await hashing.check(second, against: two))
                #expect(try await !hashing.check(first, against: two))
                #expect(try await !hashing.check(second, against: nil))
            }
        }
        // Each of them ran in memory that was there already.
        #expect(ww_arena_lent() - lent >= 14)
    }

    @Test func `A hash made elsewhere is checked in reused memory as well`() async throws {
        // From the reference implementation: t=2, m=19456, p=1, the salt "somesaltsomesalt".
        let phc =
            "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA"
            + "$Sfx4U1vcW8y8sgFjwmkNAzxlFKV2S5ty278X4j02Az8"
        try await withHashing(threads: 1) { hashing in
            for _ in 0..<3 {
                let password = try password("a password of some length")
                #expect(try await hashing.check(password, against: phc))
            }
        }
    }
}

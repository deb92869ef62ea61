// Argon2id by libsodium and nothing else, on as many threads as a node would use: the most sign-ins
// a second that any node on this machine could reach.
import CLinux
import CSodium
import NIOPosix
import Primitives

/// The raw loop.
enum HashLoop {
    /// Checks one password over and over on every thread.
    static func run(_ options: Options) async throws -> String {
        guard sodium_init() >= 0 else { throw BenchFailure("libsodium cannot be initialised") }
        let memory = try options.integer("memory_kib", default: 19 * 1024) * 1024
        let passes = UInt64(try options.integer("passes", default: 2))
        let threads = try options.integer("threads", default: 2)
        let reusesMemory = try options.integer("arena", default: 0) == 1
        let duration = try options.duration
        let password = "an ordinary password"
        var out = [CChar](repeating: 0, count: Int(crypto_pwhash_STRBYTES))
        let status = crypto_pwhash_str_alg(
            &out,
            password,
            UInt64(password.utf8.count),
            passes,
            memory,
            crypto_pwhash_ALG_ARGON2ID13
        )
        guard status == 0 else { throw BenchFailure("out of memory") }
        let phc = out
        let pool = NIOThreadPool(numberOfThreads: threads)
        pool.start()
        let used = processorTime()
        let begun = MonotonicInstant.now
        let end = begun + duration
        let count = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<threads {
                group.addTask {
                    try await pool.runIfActive {
                        var count = 0
                        if reusesMemory { ww_arena_arm() }
                        defer { ww_arena_disarm() }
                        while MonotonicInstant.now < end {
                            let length = UInt64(password.utf8.count)
                            guard crypto_pwhash_str_verify(phc, password, length) == 0 else {
                                throw BenchFailure("the password does not match")
                            }
                            count += 1
                        }
                        return count
                    }
                }
            }
            return try await group.reduce(0, +)
        }
        let result = LoopResult(
            count: count,
            elapsed: .now(since: begun),
            processorTime: processorTime() - used
        )
        try await pool.shutdownGracefully()
        return result.json
    }
}

// Argon2id by libsodium, on threads of its own behind a bounded queue (W8): a hash takes tens of
// milliseconds and 19 MiB, so a flood of sign-ins must not reach the threads that everything else
// runs on, nor grow without bound. When the queue is full the caller is told at once.
import CLinux
import CSodium
import Glibc
import NIOPosix
package import Primitives
import Synchronization

/// The parameters of the hash; p is always 1 (OWASP Password Storage: m=19 MiB, t=2, p=1).
package struct HashParameters: Hashable, Sendable {
    /// Memory, in KiB.
    package let memoryKiB: Int
    /// Passes over it.
    package let passes: Int

    /// Parameters of Argon2id with p = 1.
    package init(memoryKiB: Int, passes: Int) {
        self.memoryKiB = memoryKiB
        self.passes = passes
    }
}

/// The hashing threads cannot take more work now.
package struct HashingOverloaded: Refusal {
    package var code: ProblemCode { .overloaded }
    package var retryAfter: Duration? { .seconds(1) }
    /// A refusal of one more hash.
    package init() {}
}

/// The threads that hash passwords.
package final class PasswordHashing: Sendable {
    /// What new hashes are made with.
    package let parameters: HashParameters
    private let threads: NIOThreadPool
    private let queueLimit: Int
    private let queued = Atomic<Int>(0)
    private let hashes: Counter
    private let shed: Counter
    private let time: Histogram
    /// A hash of a password nobody knows, made with the current parameters: what an attempt on an
    /// unknown account is checked against, so that it costs the same (row 32).
    private let decoy: String

    /// Hashing on `threadCount` threads, with at most `queueLimit` attempts waiting or running.
    ///
    /// `start` the threads before use. Makes one hash at once, for the decoy.
    package init(
        parameters: HashParameters,
        threadCount: Int,
        queueLimit: Int,
        entropy: Entropy,
        metrics: MetricsRegistry
    ) {
        precondition(sodium_init() >= 0, "libsodium cannot be initialised")
        self.parameters = parameters
        self.queueLimit = queueLimit
        threads = NIOThreadPool(numberOfThreads: threadCount)
        decoy = Self.makeHash(entropy.bytes(32), parameters)
        hashes = metrics.counter(
            "watchword_password_hashes_total",
            help: "Passwords hashed or checked."
        )
        shed = metrics.counter(
            "watchword_password_hashes_shed_total",
            help: "Attempts turned away because too many waited."
        )
        time = metrics.histogram(
            "watchword_password_hash_seconds",
            help: "Time from asking for a hash to having it."
        )
        metrics.computed(
            "watchword_password_hash_queue",
            help: "Passwords waiting or being hashed."
        ) { [weak self] in Double(self?.queued.load(ordering: .relaxed) ?? 0) }
    }

    /// Starts the threads.
    package func start() { threads.start() }

    /// Stops them, after the work that is queued.
    package func stop() async throws { try await threads.shutdownGracefully() }

    /// The PHC string of `password`, with a salt of its own.
    ///
    /// - Throws: `HashingOverloaded`.
    package func hash(_ password: Password) async throws -> String {
        let parameters = parameters
        return try await onThread { Self.makeHash(password.normalised.exposed, parameters) }
    }

    /// Whether `password` is the one behind `phc`; the same work for nil, which never matches.
    ///
    /// - Throws: `HashingOverloaded`.
    package func check(_ password: Password, against phc: String?) async throws -> Bool {
        let target = phc ?? decoy
        let matches = try await onThread {
            Self.verify(password.normalised.exposed, against: target)
        }
        return matches && phc != nil
    }

    /// Whether a stored hash was made with other parameters than the current ones (row 28).
    package func isOutdated(_ phc: String) -> Bool {
        unsafe crypto_pwhash_str_needs_rehash(
            phc,
            UInt64(parameters.passes),
            parameters.memoryKiB * 1024
        ) != 0
    }

    private func onThread<R: Sendable>(_ work: @escaping @Sendable () -> R) async throws -> R {
        guard queued.wrappingAdd(1, ordering: .relaxed).newValue <= queueLimit else {
            queued.wrappingSubtract(1, ordering: .relaxed)
            shed.increment()
            throw HashingOverloaded()
        }
        defer { queued.wrappingSubtract(1, ordering: .relaxed) }
        let begun = MonotonicInstant.now
        let result = try await threads.runIfActive {
            Self.yieldToOthers()
            // The same pages for every hash of this thread (decision 10).
            ww_arena_arm()
            defer { ww_arena_disarm() }
            return work()
        }
        hashes.increment()
        time.record(.now - begun)
        return result
    }

    /// Lowers the priority of the thread it runs on, so that an event loop with something to do
    /// gets its core at once and not after a hash's share of it: `/verify` must not wait for sign-
    /// ins.
    ///
    /// Cheap beside a hash; a kernel that refuses costs latency only. Linux counts it per thread.
    private static func yieldToOthers() {
        _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, niceness)
    }

    private static let niceness: Int32 = 10

    private static func makeHash(_ password: [UInt8], _ parameters: HashParameters) -> String {
        var out = [CChar](repeating: 0, count: Int(crypto_pwhash_STRBYTES))
        let status = unsafe withCharacters(password) { start in
            unsafe crypto_pwhash_str_alg(
                &out,
                start,
                UInt64(password.count),
                UInt64(parameters.passes),
                parameters.memoryKiB * 1024,
                crypto_pwhash_ALG_ARGON2ID13
            )
        }
        precondition(status == 0, "out of memory for a password hash")
        return String(decoding: out.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func verify(_ password: [UInt8], against phc: String) -> Bool {
        unsafe withCharacters(password) { start in
            unsafe crypto_pwhash_str_verify(phc, start, UInt64(password.count)) == 0
        }
    }

    /// Lends the bytes as C characters; the zero behind them is only there so that no password is
    /// an empty buffer, whose address is nil.
    ///
    /// libsodium is told the length. The copy is wiped.
    private static func withCharacters<R>(
        _ password: [UInt8],
        _ body: (UnsafePointer<CChar>) -> R
    ) -> R {
        var characters = password.map { CChar(bitPattern: $0) } + [0]
        return unsafe characters.withUnsafeMutableBufferPointer { buffer in
            guard let start = buffer.baseAddress else { preconditionFailure("never empty") }
            defer { unsafe sodium_memzero(start, buffer.count) }
            return unsafe body(start)
        }
    }
}

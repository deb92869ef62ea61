// Copies of acknowledged revocations in the cache Redis, for readers outside that want a hint
// without asking `/verify`. Best effort, and no part of the protocol: nothing of ours reads them, a
// missing key means nothing, and no answer waits for them or fails with them.
package import Primitives
package import Redis

/// Writes `revoked:<kind>:<id>` for each revocation; the value is the lowest good version.
package struct RevocationMirror: Sendable {
    private let redis: RedisPool
    private let clock: WallClock
    private let written: Counter
    private let failed: Counter

    /// The most entries of one revocation that are copied.
    private static let limit = 1000
    /// How long a copy may take.
    private static let patience: Duration = .seconds(1)

    /// A mirror in `redis`, the one of the throttles.
    package init(redis: RedisPool, clock: WallClock, metrics: MetricsRegistry) {
        self.redis = redis
        self.clock = clock
        written = metrics.counter(
            "watchword_revocation_mirrored_total",
            help: "Revocations copied to the cache Redis."
        )
        failed = metrics.counter(
            "watchword_revocation_mirror_failures_total",
            help: "Revocations that could not be copied to the cache Redis."
        )
    }

    /// Sends the copies; returns at once, whatever becomes of them.
    func note(_ entries: [RevocationEntry]) {
        let now = clock.now()
        for entry in entries.prefix(Self.limit) {
            let left = (entry.expiresAt - now).wholeSeconds
            guard left > 0 else { continue }
            let subject = entry.subject
            let id = ID<Named.Entry>(high: subject.high, low: subject.low)
            let command = RedisCommand(
                "SET",
                .text("revoked:\(subject.kind.word):\(id)"),
                .text(String(entry.version)),
                "EX",
                .number(Int(left))
            )
            redis.submit(command, deadline: .after(Self.patience)) { reply in
                switch reply {
                case .success: written.increment()
                case .failure: failed.increment()
                }
            }
        }
    }
}

extension RevocationKind {
    /// What keys for readers outside call it; these words never change.
    fileprivate var word: String {
        switch self {
        case .token: "token"
        case .session: "session"
        case .signature: "signature"
        case .accountState: "account-state"
        case .role: "role"
        case .client: "client"
        case .tenant: "tenant"
        case .signingKey: "signing-key"
        case .global: "global"
        case .rights: "rights"
        case .sessions: "sessions"
        case .routeRules: "route-rules"
        }
    }
}

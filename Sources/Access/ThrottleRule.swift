// What is limited, and what a throttle answers. Keys name accounts by their canonical id, or by
// the canonical form of a login nobody has, so that all spellings share one counter (row 38).
internal import Crypto
internal import Primitives

/// A limit on attempts.
package struct ThrottleRule: Sendable, Hashable {
    /// Its name in Redis keys, metrics and refusals: lower-case letters and hyphens.
    package let name: String
    /// Attempts in one window.
    package let limit: Int
    /// How long a window lasts, from its first attempt.
    package let window: Duration

    /// A rule of `limit` attempts in each `window`.
    package init(name: String, limit: Int, window: Duration) {
        precondition(limit > 0 && window >= .milliseconds(1), "a rule that allows nothing")
        self.name = name
        self.limit = limit
        self.window = window
    }

    /// Wrong passwords for one account, from anywhere (architecture.md section 11).
    package static let signInPerAccount = Self(
        name: "account",
        limit: 10,
        window: .minutes(15)
    )
    /// Wrong passwords from one address, for any account.
    package static let signInPerAddress = Self(
        name: "address",
        limit: 100,
        window: .minutes(15)
    )
    /// Registrations from one address.
    package static let registrationPerAddress = Self(
        name: "registration",
        limit: 20,
        window: .minutes(15)
    )
}

/// One thing a rule counts for: an account, an address.
package struct ThrottleSubject: Sendable, Hashable {
    /// The rule.
    package let rule: ThrottleRule
    /// The first 16 bytes of the SHA-256 of the key, in hexadecimal: neither addresses nor logins
    /// reach Redis in the clear.
    package let digest: String

    /// The subject `key` under `rule`.
    package init(rule: ThrottleRule, key: String) {
        self.rule = rule
        digest = Hex.encode(SHA256.hash(data: Array(key.utf8)).prefix(16))
    }

    /// The key in Redis.
    var redisKey: String { "ww:throttle:\(rule.name):\(digest)" }
}

/// One attempt that has been counted and may be given back.
package struct ThrottleReservation: Sendable, Equatable {
    /// Where it was counted, and so where it must be given back.
    enum Place: Sendable, Equatable {
        case redis
        case node
    }

    let place: Place
    /// Each subject with the window its attempt was counted in.
    let windows: [(subject: ThrottleSubject, id: String)]

    package static func == (left: Self, right: Self) -> Bool {
        left.place == right.place
            && left.windows.elementsEqual(right.windows) { $0 == $1 }
    }
}

/// The answer of a throttle.
package enum ThrottleDecision: Sendable, Equatable {
    /// The attempt is counted; give it back if it succeeds.
    case allowed(ThrottleReservation)
    /// Nothing is counted; `rule` is the name of the rule that refuses longest.
    case refused(retryAfter: Duration, rule: String)
}

// The settings of accounts and of how their passwords are hashed.
package import Access
package import Primitives

/// Whether an address must be confirmed.
package enum ConfirmationRule: String, CaseIterable, Sendable {
    case required
    case off
}

/// Settings of accounts.
package struct AccountSettings: Sendable {
    /// Whether strangers may sign up.
    package var isRegistrationOpen: Bool
    /// Whether an address must be confirmed before its account may sign in.
    package var requiresConfirmation: Bool
    /// The fewest code points of a password.
    package var minimumPasswordLength: Int
    /// Sign-ups from one address.
    package var registrationRule: ThrottleRule

    /// Reads them; where nothing is said, development confirms nothing and lets a developer's own
    /// tests sign up more people.
    package init(from source: SettingsSource, isDevelopment: Bool) {
        isRegistrationOpen = source.boolean(
            "accounts.registration",
            default: true,
            help: "Whether strangers may sign up."
        )
        requiresConfirmation =
            source.choice(
                "accounts.confirmation",
                ConfirmationRule.self,
                default: isDevelopment ? .off : .required,
                help: "Whether an e-mail address must be confirmed before its account may sign in."
                    + " Development: off. This version cannot send mail, so it must be off."
            ) == .required
        minimumPasswordLength = source.integer(
            "accounts.minimum_password_length",
            default: 15,
            within: 8...128,
            help: "The fewest characters of a password (NIST SP 800-63B-4: 15 for one factor)."
        )
        registrationRule = ThrottleRule(
            name: "register-address",
            limit: source.integer(
                "throttle.registrations_per_address",
                default: isDevelopment ? 200 : 20,
                within: 1...1_000_000,
                help: "Sign-ups from one address in 15 minutes. Development: 200."
            ),
            window: .minutes(15)
        )
    }
}

/// Settings of the password hash.
package struct HashingSettings: Sendable {
    /// The parameters of Argon2id.
    package var parameters: HashParameters
    /// How many threads hash.
    package var threadCount: Int
    /// How many attempts may wait or run.
    package var queueLimit: Int

    /// Reads them; `cores` is how many the machine has.
    package init(from source: SettingsSource, cores: Int) {
        parameters = HashParameters(
            memoryKiB: source.bytes(
                "passwords.memory",
                default: 19 * 1024 * 1024,
                within: (8 * 1024 * 1024)...(1024 * 1024 * 1024),
                help: "Memory of one Argon2id hash (m). Stored hashes follow at sign-in."
            ) / 1024,
            passes: source.integer(
                "passwords.passes",
                default: 2,
                within: 1...10,
                help: "Passes of Argon2id over its memory (t). p is 1."
            )
        )
        let threads = source.integer(
            "passwords.threads",
            default: 0,
            within: 0...256,
            help: "Threads that hash; 0 means one core fewer than there are, and at least one."
        )
        // One core is left to everything that needs no hashing, or a flood of sign-ins delays
        // each check by a few turns of the scheduler.
        threadCount = threads == 0 ? max(1, cores - 1) : threads
        queueLimit = source.integer(
            "passwords.queue_limit",
            default: 64,
            within: 1...10_000,
            help: "Passwords that may wait or be hashed at a time; more are turned away with 503."
        )
    }
}

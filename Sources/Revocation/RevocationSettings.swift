// The settings of the revocation log, and of what stands beside the protocol and has no part in any
// answer: the sampler that checks it, and the mirror for readers outside.
package import Primitives

/// How often the log is read, and what is done besides revoking and checking.
package struct RevocationSettings: Sendable {
    /// The share of accepted checks that are looked at again; 0 for none.
    package var samplerShare: Double
    /// Whether revocations are copied to keys of the cache Redis.
    package var isMirrored: Bool
    /// How many ends of sessions of one account in a minute get entries of their own; 0 for all.
    package var collapseAfter: Int
    /// The least time from one batch of checks to the next.
    package var pace: Duration

    /// Reads them.
    package init(from source: SettingsSource) {
        let share = source.text(
            "revocation.sampler",
            default: "0.0001",
            longest: 20,
            help: "The share of accepted checks, 0 to 1, that are compared with the revocation log"
                + " afterwards; 0 switches that off."
        )
        samplerShare = 0
        if let number = Double(share), (0...1).contains(number) {
            samplerShare = number
        } else {
            source.complain(
                SettingComplaint(
                    "revocation.sampler",
                    "revocation.sampler must be a number from 0 to 1, such as 0.0001."
                )
            )
        }
        collapseAfter = source.integer(
            "revocation.collapse_after",
            default: 30,
            within: 0...1_000_000,
            help: "How many sessions of one account that end in a minute are told to the nodes one"
                + " by one; for more, nodes ask PostgreSQL which of its sessions are alive. 0 never"
                + " does that."
        )
        isMirrored = source.boolean(
            "revocation.mirror",
            default: false,
            help: "Whether each revocation also becomes a key revoked:<kind>:<id> in redis.url, for"
                + " readers outside; best effort, and nothing of ours reads them."
        )
        pace = source.duration(
            "revocation.pace",
            default: .zero,
            within: .zero ... .milliseconds(100),
            help: "The least time from one read of the revocation log to the next on a node. It"
                + " bounds what checks cost the authority, and each check may wait that much"
                + " longer; 0 reads as often as checks come."
        )
    }
}

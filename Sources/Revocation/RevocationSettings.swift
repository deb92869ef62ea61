// The settings of what stands beside the revocation protocol: the sampler that checks it, and the
// mirror for readers outside. Neither has a part in any answer.
package import Primitives

/// What is done besides revoking and checking.
package struct RevocationSettings: Sendable {
    /// The share of accepted checks that are looked at again; 0 for none.
    package var samplerShare: Double
    /// Whether revocations are copied to keys of the cache Redis.
    package var isMirrored: Bool

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
        isMirrored = source.boolean(
            "revocation.mirror",
            default: false,
            help: "Whether each revocation also becomes a key revoked:<kind>:<id> in redis.url, for"
                + " readers outside; best effort, and nothing of ours reads them."
        )
    }
}

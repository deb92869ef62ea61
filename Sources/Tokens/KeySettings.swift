// The settings of key rotation.
package import Primitives

extension KeySettings {
    /// Reads them.
    ///
    /// A replaced signing key is kept a day more than any token can live, a replaced refresh or
    /// CSRF key as long as any session.
    package init(from source: SettingsSource, longestSession: Duration) {
        self.init(
            publishAhead: source.duration(
                "keys.publish_ahead",
                default: .hours(1),
                within: .minutes(10) ... .days(7),
                help: "How long a new signing key is public before it signs."
            ),
            rotateAfter: source.duration(
                "keys.rotate_after",
                default: .days(90),
                within: .hours(1) ... .days(3650),
                help: "How long a key is used before the next one is made."
            ),
            keepReplaced: [
                .accessToken: .days(2),
                .refreshToken: longestSession + .days(1),
                .csrf: longestSession + .days(1),
            ]
        )
    }
}

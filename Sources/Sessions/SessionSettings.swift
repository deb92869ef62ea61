// The settings of sessions and of how often a password may be tried.
import Access
package import Primitives

extension SessionSettings {
    /// Reads them.
    ///
    /// `issuer` is the public URL.
    package init(from source: SettingsSource, issuer: String) {
        let audience = source.text(
            "sessions.audience",
            default: "",
            longest: 255,
            help: "`aud` of access tokens; empty means the public URL."
        )
        self.init(
            issuer: issuer,
            audience: audience.isEmpty ? issuer : audience,
            accessLifetime: source.duration(
                "sessions.access_lifetime",
                default: .minutes(15),
                within: .minutes(1) ... .hours(24),
                help: "How long an access token lives. Revoking takes hold at once whatever it is."
            ),
            idleLimit: source.duration(
                "sessions.idle_limit",
                default: .days(14),
                within: .minutes(1) ... .days(365),
                help: "A session that is not refreshed for this long is over."
            ),
            absoluteLimit: source.duration(
                "sessions.absolute_limit",
                default: .days(30),
                within: .minutes(1) ... .days(365),
                help: "A session is over after this long, used or not."
            ),
            refreshGrace: source.duration(
                "sessions.refresh_grace",
                default: .seconds(10),
                within: .zero ... .seconds(60),
                help: "How long the just-replaced refresh token gets the same child; 0 is off."
            )
        )
        for (name, text) in [("sessions.audience", self.audience), ("public.url", issuer)]
        where text.contains(where: { $0 == "\"" || $0 == "\\" }) {
            source.complain(SettingComplaint(name, "\(name) must not have quotes or backslashes."))
        }
    }
}

extension SignInRules {
    /// Reads them.
    package init(from source: SettingsSource) {
        let window = source.duration(
            "throttle.window",
            default: .minutes(15),
            within: .seconds(10) ... .hours(24),
            help: "The time over which failed sign-ins are counted."
        )
        self.init(
            perAccount: ThrottleRule(
                name: "sign-in-account",
                limit: source.integer(
                    "throttle.sign_in_per_account",
                    default: 10,
                    within: 1...100,
                    help: "Failed sign-ins on one account, by any of its names."
                ),
                window: window
            ),
            perAddress: ThrottleRule(
                name: "sign-in-address",
                limit: source.integer(
                    "throttle.sign_in_per_address",
                    default: 100,
                    within: 1...1_000_000,
                    help: "Failed sign-ins from one address."
                ),
                window: window
            )
        )
    }
}

// Samples for the manual: the examples of openapi.json. Their tokens are words, not tokens.
import Primitives
import Sessions

extension ID {
    static var sample: Self { Self(high: 0x0192_0000_0000_7000, low: 0x8000_0000_0000_0001) }
}

extension Timestamp {
    static var sample: Self { Timestamp(microseconds: 1_795_241_228_123_456) }
}

extension TokenPair {
    static var sample: Self {
        TokenPair(
            sessionID: .sample,
            accessToken: Secret("header.payload.signature"),
            accessLifetime: .minutes(15),
            refreshToken: Secret("wwr_opaque"),
            refreshLifetime: .days(14),
            csrfValue: "csrf-value"
        )
    }
}

extension SessionView {
    static var sample: Self {
        SessionView(
            id: .sample,
            createdAt: .sample,
            lastUsedAt: .sample,
            expiresAt: .sample + .days(14),
            address: "203.0.113.7",
            userAgent: "curl/7.88.1",
            organisationID: .sample
        )
    }
}

extension LoginView {
    static var sample: Self {
        LoginView(
            id: .sample,
            at: .sample,
            address: "203.0.113.7",
            userAgent: "curl/7.88.1",
            outcome: "signed-in"
        )
    }
}

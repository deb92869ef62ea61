// Requests and replies about second factors. Seeds and recovery codes are in the one answer that
// makes them, and in no other (rows 54, 57).
import Primitives
import Sessions

/// `POST /v1/me/second-factor/confirm`.
package struct SecondFactorCodeRequest: RequestBody {
    let code: Secret

    package init(_ members: inout MemberReader) throws {
        code = members.secretText("code", 1...64, help: "What the authenticator shows.")
    }
}

/// What its owner sees of a second factor.
package struct SecondFactorReply: ReplyBody {
    let view: SecondFactorView?

    package func write(_ members: inout MemberWriter) {
        members.boolean("enabled", view != nil, help: "Whether it is asked for at sign-ins.")
        members.timestamp("confirmed_at", view?.confirmedAt, help: "Since when.")
        members.timestamp("last_used_at", view?.lastUsedAt, help: "When it last opened something.")
        members.integer(
            "recovery_codes_left",
            Int64(view?.recoveryCodesLeft ?? 0),
            help: "How many recovery codes were not used."
        )
    }

    package static var example: Self {
        Self(
            view: SecondFactorView(
                confirmedAt: .sample,
                lastUsedAt: .sample,
                recoveryCodesLeft: 9
            )
        )
    }
}

/// The seed of an authenticator, shown once.
package struct EnrolmentReply: ReplyBody {
    let enrolment: Enrolment

    package func write(_ members: inout MemberWriter) {
        // They leave here, for their owner.
        members.text(
            "secret",
            String(decoding: enrolment.secret.exposed, as: UTF8.self),
            help: "The seed in Base32, to be typed into an authenticator."
        )
        members.text(
            "otpauth_uri",
            String(decoding: enrolment.link.exposed, as: UTF8.self),
            help: "The same for a QR code: six digits each 30 seconds, HMAC-SHA-1 (RFC 6238)."
        )
        members.integer(
            "expires_in",
            enrolment.lifetime.wholeSeconds,
            help: "Seconds until it can be confirmed no more."
        )
    }

    package static var example: Self {
        Self(
            enrolment: Enrolment(
                secret: Secret("BASE32"),
                link: Secret("otpauth://totp/auth.example.org:ada%40example.org?secret=BASE32"),
                lifetime: .minutes(10)
            )
        )
    }
}

/// Recovery codes, shown once.
package struct RecoveryCodesReply: ReplyBody {
    let codes: [Secret]

    package func write(_ members: inout MemberWriter) {
        // They leave here, for their owner.
        members.texts(
            "recovery_codes",
            codes.map { String(decoding: $0.exposed, as: UTF8.self) },
            help: "Each takes the place of one code of the authenticator, once."
        )
    }

    package static var example: Self { Self(codes: [Secret("AAAA-BBBB-CCCC-DDDD-EEEE-FFFF")]) }
}

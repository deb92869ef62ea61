// Requests and replies about sessions (architecture.md section 11).
import Primitives
import Sessions

/// `POST /v1/auth/login`.
package struct SignInRequest: RequestBody {
    let login: String
    let password: Secret
    let code: Secret?
    let newPassword: Secret?
    let transport: Transport
    let organisation: OrganisationID?

    package init(_ members: inout MemberReader) throws {
        login = members.text("login", 1...320, help: "An e-mail address or a user name.")
        password = members.secretText("password", 1...1024, help: "The password.")
        code = members.optional(
            "code",
            .secret(1...64),
            help: "The second factor, for who was told that it is required: the six digits that the"
                + " authenticator shows, or a recovery code."
        )
        newPassword = members.optional(
            "new_password",
            .secret(1...1024),
            help: "What replaces the password, for who was told that it must be replaced."
        )
        transport = members.choice(
            "transport",
            Transport.self,
            default: .body,
            help: "Where the tokens go: `body` for applications, `cookie` for browsers."
        )
        organisation = members.optional(
            "organisation_id",
            .id(),
            help: "The organisation that the session is for; the account must be in it."
        )
    }
}

/// `PUT /v1/me/sessions/current/organisation`: what is meant must be said, none by `null`.
package struct SessionOrganisationRequest: RequestBody {
    let organisation: OrganisationID?

    package init(_ members: inout MemberReader) throws {
        organisation = members.nullable(
            "organisation_id",
            .id(),
            help: "The organisation, one that the account is in; null for none."
        )
    }
}

/// `POST /v1/auth/refresh`.
package struct RefreshRequest: RequestBody {
    let refreshToken: Secret?

    package init(_ members: inout MemberReader) throws {
        refreshToken = members.optional(
            "refresh_token",
            .secret(1...512),
            help: "The refresh token; left out where the refresh cookie carries it."
        )
    }
}

/// A pair of tokens, in the body or in cookies.
package struct TokenReply: ReplyBody {
    let pair: TokenPair
    let transport: Transport

    package func write(_ members: inout MemberWriter) {
        let expiresIn = "Seconds until the access token ends."
        switch transport {
        case .body:
            // The tokens leave here, for their owner.
            members.text("token_type", "Bearer", help: "Always `Bearer` (RFC 6750).")
            members.text(
                "access_token",
                String(decoding: pair.accessToken.exposed, as: UTF8.self),
                help: "A JWT of RFC 9068."
            )
            members.integer("expires_in", pair.accessLifetime.wholeSeconds, help: expiresIn)
            members.text(
                "refresh_token",
                String(decoding: pair.refreshToken.exposed, as: UTF8.self),
                help: "Opaque; exchange it once, for one child."
            )
            members.integer(
                "refresh_expires_in",
                pair.refreshLifetime.wholeSeconds,
                help: "Seconds until the session ends if it is not refreshed."
            )
        case .cookie:
            members.text(
                "csrf_token",
                pair.csrfValue,
                help: "Send it back as `X-CSRF-Token` on every unsafe call."
            )
            members.integer("expires_in", pair.accessLifetime.wholeSeconds, help: expiresIn)
        }
        members.id("session_id", pair.sessionID, help: "The session.")
    }

    package static var example: Self { examples[0] }
    package static var examples: [Self] {
        [Self(pair: .sample, transport: .body), Self(pair: .sample, transport: .cookie)]
    }
}

/// One session in a list.
package struct SessionReply: ReplyBody {
    let view: SessionView
    let isCurrent: Bool

    package func write(_ members: inout MemberWriter) {
        members.id("id", view.id, help: "The session.")
        members.timestamp("created_at", view.createdAt, help: "When somebody signed in.")
        members.timestamp("last_used_at", view.lastUsedAt, help: "When it was last refreshed.")
        members.timestamp("expires_at", view.expiresAt, help: "When it ends if it is not used.")
        members.text("ip_address", view.address, help: "From where it was opened.")
        members.text("user_agent", view.userAgent, help: "With what; empty if it did not say.")
        members.id(
            "organisation_id",
            view.organisationID,
            help: "The organisation that it is for; null for none."
        )
        members.boolean("current", isCurrent, help: "Whether it is the caller's own.")
    }

    package static var example: Self { Self(view: .sample, isCurrent: true) }
}

/// A page of sessions.
package struct SessionPageReply: ReplyBody {
    let page: Page<SessionReply>

    package func write(_ members: inout MemberWriter) { members.page(page) }
    package static var example: Self { Self(page: Page([.example], nextCursor: nil)) }
}

/// One line of the login history.
package struct LoginReply: ReplyBody {
    let view: LoginView

    package func write(_ members: inout MemberWriter) {
        members.timestamp("at", view.at, help: "When.")
        members.text("ip_address", view.address, help: "From where.")
        members.text("user_agent", view.userAgent, help: "With what; empty if it did not say.")
        members.text(
            "outcome",
            view.outcome,
            help: "`signed-in`, `wrong-password`, `unconfirmed`, `disabled`,"
                + " `password-change-required`, `second-factor-required`, `wrong-second-factor` or"
                + " `organisation-refused`."
        )
    }

    package static var example: Self { Self(view: .sample) }
}

/// A page of the login history.
package struct LoginPageReply: ReplyBody {
    let page: Page<LoginReply>

    package func write(_ members: inout MemberWriter) { members.page(page) }
    package static var example: Self { Self(page: Page([.example], nextCursor: nil)) }
}

/// `?limit&cursor`.
package struct ListQuery: QueryParameters {
    let page: PageRequest

    package init(_ members: inout MemberReader) throws {
        page = members.page()
        if let cursor = page.cursor, cursor.bytes.count != 16 {
            members.complain("cursor", "invalid-cursor", "is not a `next_cursor` of this list")
        }
    }
}

/// `DELETE /v1/me/sessions?except=current`: the parameter is required, so that nobody ends
/// everything by leaving out an id.
package struct EndOthersQuery: QueryParameters {
    enum Exception: String, CaseIterable, Sendable { case current }
    let except: Exception

    package init(_ members: inout MemberReader) throws {
        except = members.required(
            "except",
            .choice(Exception.self),
            help: "Which session stays: `current`."
        )
    }
}

// Requests and replies about accounts (architecture.md section 11).
import Accounts
import Primitives

/// What a person tells at sign-up.
package struct ProfileRequest: RequestBody {
    let profile: AccountProfile

    package init(_ members: inout MemberReader) throws {
        profile = AccountProfile(
            givenName: members.optionalText("given_name", 1...100, help: "First name."),
            familyName: members.optionalText("family_name", 1...100, help: "Last name."),
            address: members.optional(
                "address",
                .text(1...500, allowsLines: true),
                help: "Postal address."
            ),
            phoneNumber: members.optionalText("phone_number", 3...32, help: "Phone number."),
            birthdate: members.optionalText("birthdate", 10...10, help: "As `2001-12-31`.")
        )
        if let birthdate = profile.birthdate, !Self.isDay(birthdate) {
            members.complain("birthdate", "malformed", "must be a day, as 2001-12-31")
        }
    }

    /// Whether some calendar has the day; its year may be `0000`, for one that is not told (OpenID
    /// Connect Core section 5.1).
    static func isDay(_ text: String) -> Bool {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        let isForm =
            parts.map(\.utf8.count) == [4, 2, 2]
            && parts.allSatisfy { $0.utf8.allSatisfy { (48...57).contains($0) } }
        let numbers = parts.compactMap { Int($0) }
        guard isForm, numbers.count == 3, (1...12).contains(numbers[1]) else { return false }
        let isLeap = numbers[0] % 4 == 0 && (numbers[0] % 100 != 0 || numbers[0] % 400 == 0)
        let lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        return (1...lengths[numbers[1] - 1]).contains(numbers[2])
    }
}

/// `POST /v1/auth/register`.
package struct RegisterRequest: RequestBody {
    let registration: Registration

    package init(_ members: inout MemberReader) throws {
        registration = Registration(
            email: members.text("email", 3...254, help: "The address, unique."),
            username: members.optionalText("username", 3...64, help: "A name, unique."),
            password: members.secretText(
                "password",
                1...1024,
                help: "At least 15 characters unless the site says otherwise."
            ),
            profile: members.optionalObject(
                "profile",
                ProfileRequest.self,
                help: "What the person tells."
            )?.profile ?? AccountProfile()
        )
    }
}

/// `POST /v1/me/password`.
package struct ChangePasswordRequest: RequestBody {
    let current: Secret
    let code: Secret?
    let new: Secret

    package init(_ members: inout MemberReader) throws {
        current = members.secretText("current_password", 1...1024, help: "The password so far.")
        code = members.optional(
            "code",
            .secret(1...64),
            help: "The second factor, where the account has one: a code, or a recovery code."
        )
        new = members.secretText("new_password", 1...1024, help: "The password from now on.")
    }
}

/// An account that was just made.
package struct NewAccountReply: ReplyBody {
    let view: AccountView

    private struct Account: ReplyBody {
        let view: AccountView

        func write(_ members: inout MemberWriter) {
            members.id("id", view.id, help: "The account, for ever.")
            members.text("email", view.email, help: "The address as it was typed.")
            members.text("username", view.username, help: "The user name.")
            members.boolean("confirmed", view.isConfirmed, help: "Whether the address is proven.")
            members.timestamp("created_at", view.createdAt, help: "When it was made.")
        }
        static var example: Self { Self(view: .sample) }
    }

    package func write(_ members: inout MemberWriter) {
        members.object("account", Account(view: view), help: "The account.")
    }
    package static var example: Self { Self(view: .sample) }
}

/// The answer where confirmation is required, whether or not the address was known (W6).
package struct ConfirmationSentReply: ReplyBody {
    package func write(_ members: inout MemberWriter) {
        members.text("status", "confirmation_sent", help: "Always `confirmation_sent`.")
    }
    package static var example: Self { Self() }
}

/// What a person told about himself.
struct ProfileReply: ReplyBody {
    let profile: AccountProfile

    func write(_ members: inout MemberWriter) {
        members.text("given_name", profile.givenName, help: "First name.")
        members.text("family_name", profile.familyName, help: "Last name.")
        members.text("address", profile.address, help: "Postal address.")
        members.text("phone_number", profile.phoneNumber, help: "Phone number.")
        members.text("birthdate", profile.birthdate, help: "As `2001-12-31`.")
    }
    static var example: Self { Self(profile: AccountProfile(givenName: "Ada")) }
}

/// `GET /v1/me`.
package struct MeReply: ReplyBody {
    let view: AccountView

    package func write(_ members: inout MemberWriter) {
        members.id("id", view.id, help: "The account.")
        members.text("email", view.email, help: "The address as it was typed.")
        members.text("username", view.username, help: "The user name.")
        members.boolean("confirmed", view.isConfirmed, help: "Whether the address is proven.")
        members.texts("roles", view.roles, help: "The names of its roles.")
        members.timestamp("created_at", view.createdAt, help: "When it was made.")
        members.timestamp("last_login_at", view.lastLoginAt, help: "The latest sign-in.")
        members.object("profile", ProfileReply(profile: view.profile), help: "What its owner told.")
    }
    package static var example: Self { Self(view: .sample) }
}

extension AccountView {
    static var sample: Self {
        AccountView(
            id: .sample,
            email: "ada@example.org",
            username: "ada",
            isConfirmed: true,
            roles: ["member"],
            createdAt: .sample,
            lastLoginAt: .sample,
            profile: AccountProfile(givenName: "Ada")
        )
    }
}

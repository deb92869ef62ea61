// Requests that make and change accounts of others, and what is answered to some of them.
import Accounts
import Primitives
import Sessions

/// `POST /v1/admin/users`.
package struct UserCreateRequest: RequestBody {
    let account: NewAccount

    package init(_ members: inout MemberReader) throws {
        account = NewAccount(
            email: members.text("email", 3...254, help: "The address, unique."),
            username: members.optionalText("username", 3...64, help: "A name, unique."),
            password: members.optional(
                "password",
                .secret(1...1024),
                help: "The first password; without one nobody signs in with a password."
            ),
            mustChangePassword: members.defaulted(
                "must_change_password",
                .boolean,
                default: true,
                help: "Whether that must be replaced at the first sign-in."
            ),
            isConfirmed: members.defaulted(
                "confirmed",
                .boolean,
                default: true,
                help: "Whether you vouch for the address."
            ),
            profile: members.optionalObject(
                "profile",
                ProfileRequest.self,
                help: "What is known of the person."
            )?.profile ?? AccountProfile()
        )
    }
}

/// `PATCH /v1/admin/users/{id}`: what is left out stays, what is `null` is taken away.
package struct UserChangeRequest: RequestBody {
    let edit: AccountEdit

    private struct Profile: RequestBody {
        let members: [AccountEdit.ProfileMember: MemberEdit<String>]

        init(_ members: inout MemberReader) throws {
            var edits: [AccountEdit.ProfileMember: MemberEdit<String>] = [:]
            edits[.givenName] = Self.edit(
                members.change("given_name", .text(1...100), help: "First name.")
            )
            edits[.familyName] = Self.edit(
                members.change("family_name", .text(1...100), help: "Last name.")
            )
            edits[.address] = Self.edit(
                members.change(
                    "address",
                    .text(1...500, allowsLines: true),
                    help: "Postal address."
                )
            )
            edits[.phoneNumber] = Self.edit(
                members.change("phone_number", .text(3...32), help: "Phone number.")
            )
            let birthdate = members.change("birthdate", .text(10...10), help: "As `2001-12-31`.")
            if case .set(let day) = birthdate, !ProfileRequest.isDay(day) {
                members.complain("birthdate", "malformed", "must be a day, as 2001-12-31")
            }
            edits[.birthdate] = Self.edit(birthdate)
            self.members = edits
        }

        static func edit(_ change: Change<String>) -> MemberEdit<String> {
            switch change {
            case .keep: .keep
            case .clear: .clear
            case .set(let value): .set(value)
            }
        }
    }

    package init(_ members: inout MemberReader) throws {
        edit = AccountEdit(
            email: members.optionalText("email", 3...254, help: "Another address, unique."),
            username: Profile.edit(
                members.change("username", .text(3...64), help: "Another user name, unique.")
            ),
            isConfirmed: members.optional(
                "confirmed",
                .boolean,
                help: "Whether the address is proven; not by itself for another address."
            ),
            profile: members.optionalObject(
                "profile",
                Profile.self,
                help: "What is known of the person, member by member."
            )?.members ?? [:]
        )
    }
}

/// What can be done to many.
enum UserBulkAction: String, CaseIterable, Sendable {
    case disable
    case enable
    case delete
    case endSessions = "end-sessions"
}

/// `POST /v1/admin/users/bulk`.
package struct UserBulkRequest: RequestBody {
    let action: UserBulkAction
    let ids: [AccountID]

    package init(_ members: inout MemberReader) throws {
        action = members.required("action", .choice(UserBulkAction.self), help: "What to do.")
        ids = members.required("ids", .list(.id(), 1...100), help: "To whom, in this order.")
    }
}

/// What came of one account of many.
struct UserBulkResult: ReplyBody {
    let id: AccountID
    /// Why it was not done; nil where it was.
    let refusal: ProblemCode?

    func write(_ members: inout MemberWriter) {
        members.id("id", id, help: "The account.")
        members.integer(
            "status",
            Int64(refusal?.status ?? 204),
            help: "What a call for it alone would have answered."
        )
        members.text("code", refusal?.rawValue, help: "The code of the problem; null if done.")
    }
    static var example: Self { Self(id: .sample, refusal: nil) }
}

/// What came of many, in the order of the request.
package struct UserBulkReply: ReplyBody {
    let results: [UserBulkResult]

    package func write(_ members: inout MemberWriter) {
        members.objects("results", results, help: "One for each id, in the order of the ids.")
    }
    package static var example: Self { Self(results: [.example]) }
}

/// A session in which the caller acts as somebody else.
package struct ImpersonationReply: ReplyBody {
    let impersonation: Impersonation

    package func write(_ members: inout MemberWriter) {
        members.text("token_type", "Bearer", help: "Always `Bearer` (RFC 6750).")
        // The token leaves here, for him who acts; there is no refresh token.
        members.text(
            "access_token",
            String(decoding: impersonation.accessToken.exposed, as: UTF8.self),
            help: "A JWT of RFC 9068 whose `act` names you (RFC 8693)."
        )
        members.integer(
            "expires_in",
            impersonation.lifetime.wholeSeconds,
            help: "Seconds until token and session end; neither can be renewed."
        )
        members.id("session_id", impersonation.sessionID, help: "The session.")
    }
    package static var example: Self {
        Self(
            impersonation: Impersonation(
                sessionID: .sample,
                accessToken: Secret("header.payload.signature"),
                lifetime: .minutes(15)
            )
        )
    }
}

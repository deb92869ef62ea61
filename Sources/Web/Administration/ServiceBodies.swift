// Requests and replies about accounts of services and their keys. A key is in one answer only.
import Access
import Accounts
import Primitives

/// `?limit&cursor&state` of services.
package struct ServiceQuery: QueryParameters {
    let page: PageRequest
    let state: AccountState?

    package init(_ members: inout MemberReader) throws {
        page = members.page()
        state = members.optional("state", .choice(AccountState.self), help: "In this state.")
    }
}

/// `POST /v1/admin/service-accounts`.
package struct ServiceRequest: RequestBody {
    let name: String

    package init(_ members: inout MemberReader) throws {
        name = members.text("name", 3...64, help: "Unique among user names, those of people too.")
    }
}

/// An account of a service.
package struct ServiceReply: ReplyBody {
    let summary: AccountSummary

    package func write(_ members: inout MemberWriter) {
        members.id("id", summary.id, help: "The account, for ever; roles are given to it.")
        members.text("name", summary.username, help: "Its name; null once it is deleted.")
        members.choice("state", summary.state, help: "Whether its keys may be used.")
        members.timestamp("created_at", summary.createdAt, help: "When it was made.")
    }

    package static var example: Self {
        Self(
            summary: AccountSummary(
                id: .sample,
                kind: .service,
                email: nil,
                username: "billing",
                state: .active,
                isConfirmed: false,
                createdAt: .sample,
                lastLoginAt: nil
            )
        )
    }
}

/// A page of services.
package struct ServicePageReply: ReplyBody {
    let page: Page<ServiceReply>

    package func write(_ members: inout MemberWriter) { members.page(page) }
    package static var example: Self { Self(page: Page([.example], nextCursor: nil)) }
}

/// `POST /v1/admin/service-accounts/{id}/keys`.
package struct APIKeyRequestBody: RequestBody {
    let request: APIKeyRequest

    package init(_ members: inout MemberReader) throws {
        request = APIKeyRequest(
            name: members.text("name", 1...100, help: "What it is for."),
            permissions: members.optional(
                "permissions",
                .list(.heldPermission, 1...APIKeys.permissionLimit),
                help: "What it may be used for, of all that its account may; else for all of it."
            ),
            expiresAt: members.optional(
                "expires_at",
                .timestamp,
                help: "Until when; else for ever."
            )
        )
    }
}

/// A key, without itself.
package struct APIKeyReply: ReplyBody {
    let view: APIKeyView

    package func write(_ members: inout MemberWriter) { members.key(view) }
    package static var example: Self { Self(view: .sample) }
}

/// A page of keys.
package struct APIKeyPageReply: ReplyBody {
    let page: Page<APIKeyReply>

    package func write(_ members: inout MemberWriter) { members.page(page) }
    package static var example: Self { Self(page: Page([.example], nextCursor: nil)) }
}

/// A key that was just made, with itself.
package struct NewAPIKeyReply: ReplyBody {
    let view: APIKeyView
    let text: Secret

    package func write(_ members: inout MemberWriter) {
        members.key(view)
        members.text(
            "key",
            // This is the one answer that shows it, to who makes the call or makes it again.
            String(decoding: text.exposed, as: UTF8.self),
            help: "The key; send it as a bearer token. It is in this answer alone, and for a day in"
                + " that to the same call with the same `Idempotency-Key`, kept sealed."
        )
    }

    package static var example: Self { Self(view: .sample, text: Secret("wwk_example")) }
}

extension MemberWriter {
    /// What lists and single answers say of a key.
    fileprivate mutating func key(_ view: APIKeyView) {
        id("id", view.id, help: "The key.")
        text("prefix", APIKey.beginning(of: view.id), help: "How it begins.")
        text("name", view.name, help: "What it is for.")
        texts(
            "permissions",
            view.permissions ?? [],
            help: "What it is narrowed to; empty for all that its account may."
        )
        timestamp("created_at", view.createdAt, help: "When it was made.")
        id("created_by", view.createdBy, help: "By whom.")
        timestamp("expires_at", view.expiresAt, help: "Until when; null for ever.")
        timestamp("last_used_at", view.lastUsedAt, help: "When it was last shown, to the minute.")
        timestamp("revoked_at", view.revokedAt, help: "When it was taken back; null if not.")
    }
}

extension APIKeyView {
    static var sample: Self {
        APIKeyView(
            id: .sample,
            name: "nightly export",
            permissions: ["orders:read"],
            createdAt: .sample,
            createdBy: .sample,
            expiresAt: nil,
            lastUsedAt: .sample,
            revokedAt: nil
        )
    }
}

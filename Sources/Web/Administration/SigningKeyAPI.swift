// The operations on signing keys. Nothing here ever holds a private part.
import Access
import HTTPTypes
import Primitives
import Tokens

/// Seeing, making and removing signing keys.
package enum SigningKeyAPI {
    static let list = Operation<ListQuery, SigningKeyPageReply>(
        "keys.list",
        .get,
        "/v1/admin/keys",
        summary: "The signing keys, those that sign last first.",
        tag: "Administration",
        gate: .permission(.keysRead)
    )
    static let rotate = Operation<RotateKeyRequest, SigningKeyReply>(
        "keys.rotate",
        .post,
        "/v1/admin/keys/rotate",
        summary: "Make a new signing key; it takes over once everybody can know it.",
        tag: "Administration",
        gate: .permission(.keysWrite),
        proof: .recent(.trust),
        success: 201,
        problems: [.limitReached],
        traits: [.idempotent, .mayBeMinimal],
        bodyIsOptional: true
    )
    static let remove = Operation<NoInput, NoReply>(
        "keys.remove",
        .delete,
        "/v1/admin/keys/{id}",
        summary: "Trust a signing key no longer: its tokens end everywhere, at once.",
        tag: "Administration",
        gate: .permission(.keysWrite),
        proof: .recent(.trust),
        success: 204,
        problems: [.notFound, .inUse]
    )

    /// All of them.
    static let operations: [OperationInfo] = [list.info, rotate.info, remove.info]
}

/// `POST /v1/admin/keys/rotate`.
package struct RotateKeyRequest: RequestBody {
    let atOnce: Bool

    package init(_ members: inout MemberReader) throws {
        atOnce = members.defaulted(
            "at_once",
            .boolean,
            default: false,
            help: "Sign with it now, before readers of the JWKS can know it: for emergencies."
        )
    }
}

/// One signing key.
package struct SigningKeyReply: ReplyBody {
    let view: KeyView

    package func write(_ members: inout MemberWriter) {
        members.id("id", view.id, help: "Its `kid`.")
        members.choice(
            "state",
            view.state,
            help: "`next`: published; `active`: signs; `replaced`: checks only; `retired`: refused."
        )
        members.timestamp("created_at", view.createdAt, help: "When it was made and published.")
        members.timestamp("active_from", view.activeFrom, help: "From when on it signs.")
        members.timestamp("retired_at", view.retiredAt, help: "Since when it is refused.")
    }

    package static var example: Self {
        Self(
            view: KeyView(
                id: .sample,
                use: KeyUse.accessToken.rawValue,
                state: .active,
                createdAt: .sample,
                activeFrom: .sample,
                retiredAt: nil
            )
        )
    }
}

/// A page of signing keys.
package struct SigningKeyPageReply: ReplyBody {
    let page: Page<SigningKeyReply>

    package func write(_ members: inout MemberWriter) { members.page(page) }
    package static var example: Self { Self(page: Page([.example], nextCursor: nil)) }
}

extension WebServices {
    func bindSigningKeys(_ bindings: inout Bindings) {
        bindings.bind(SigningKeyAPI.list) { query, context in
            let page = try await keys.signingKeys(query.page, now: context.now)
            let items = page.items.map { SigningKeyReply(view: $0) }
            return Answer(SigningKeyPageReply(page: Page(items, nextCursor: page.nextCursor)))
        }
        bindings.bind(SigningKeyAPI.rotate) { request, context in
            let view = try await keys.makeSigningKey(
                atOnce: request.atOnce,
                by: context.claims.accountID,
                context.trace
            )
            return Answer(SigningKeyReply(view: view))
        }
        bindings.bind(SigningKeyAPI.remove) { _, context in
            let id: KeyID = try context.id("id")
            try await keys.removeSigningKey(id, by: context.claims.accountID, context.trace)
            return .done
        }
    }
}

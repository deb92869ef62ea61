// What the command line takes and shows of administration, by the declarations of the API: its
// options are read as the members of a request are, with the same complaints, and its JSON is the
// answer of the same operation. So the two cannot come apart. Must not reach a store.
package import Access
package import Accounts
package import Primitives
package import Tokens

/// Members of requests and answers, for the command line.
package enum TerminalForms {
    /// Which accounts, as in the query of `users.list`.
    ///
    /// - Throws: `ValidationRefusal`.
    package static func users(
        _ form: [String: [String]]
    ) throws -> (filter: AccountFilter, page: PageRequest) {
        let query = try MemberReader.decode(UserQuery.self, form: form)
        return (query.filter, query.page)
    }

    /// Which part of a list, as in the query of all lists.
    ///
    /// - Throws: `ValidationRefusal`.
    package static func page(_ form: [String: [String]]) throws -> PageRequest {
        try MemberReader.decode(ListQuery.self, form: form).page
    }

    /// An account that is to be made, as in the body of `users.create`.
    ///
    /// - Throws: `ValidationRefusal`.
    package static func newUser(_ members: [String: JSONValue]) throws -> NewAccount {
        try MemberReader.decode(UserCreateRequest.self, json: members).account
    }

    /// A role that is to be made, as in the body of `roles.create`.
    ///
    /// - Throws: `ValidationRefusal`.
    package static func newRole(
        _ members: [String: JSONValue]
    ) throws -> (name: String, change: RoleChange) {
        let request = try MemberReader.decode(RoleRequest.self, json: members)
        return (request.name, request.change)
    }

    /// A role that is to be given, as in the body of `assignments.create`.
    ///
    /// - Throws: `ValidationRefusal`.
    package static func assignment(
        _ members: [String: JSONValue]
    ) throws -> (role: RoleID, scope: RoleScope, expiresAt: Timestamp?) {
        let request = try MemberReader.decode(AssignmentRequest.self, json: members)
        return (request.role, request.scope, request.expiresAt)
    }

    /// A page of accounts.
    package static func json(_ page: Page<AccountSummary>) -> String {
        let items = page.items.map { UserItemReply(summary: $0) }
        return text(UserPageReply(page: Page(items, nextCursor: page.nextCursor)))
    }

    /// An account; with the password that was made for it, which no answer of the API holds.
    package static func json(_ detail: AccountDetail, password: Secret? = nil) -> String {
        let account = text(UserReply(detail: detail))
        guard let password else { return account }
        var more: [UInt8] = []
        // Shown once, to the one who asked for it.
        JSONText.append(String(decoding: password.exposed, as: UTF8.self), to: &more)
        return account.dropLast() + ",\"password\":" + String(decoding: more, as: UTF8.self) + "}"
    }

    /// A page of roles.
    package static func json(_ page: Page<RoleView>) -> String {
        let items = page.items.map { RoleReply(view: $0) }
        return text(RolePageReply(page: Page(items, nextCursor: page.nextCursor)))
    }

    /// A role.
    package static func json(_ role: RoleView) -> String { text(RoleReply(view: role)) }

    /// A role that was given.
    package static func json(_ given: RightsChange<Assignment>) -> String {
        text(AssignmentReply(assignment: given.value, version: given.version))
    }

    /// A page of organisations.
    package static func json(_ page: Page<OrganisationView>) -> String {
        let items = page.items.map { OrganisationReply(view: $0) }
        return text(OrganisationPageReply(page: Page(items, nextCursor: page.nextCursor)))
    }

    /// An organisation.
    package static func json(_ organisation: OrganisationView) -> String {
        text(OrganisationReply(view: organisation))
    }

    /// A page of API keys.
    package static func json(_ page: Page<APIKeyView>) -> String {
        let items = page.items.map { APIKeyReply(view: $0) }
        return text(APIKeyPageReply(page: Page(items, nextCursor: page.nextCursor)))
    }

    /// A page of signing keys.
    package static func json(_ page: Page<KeyView>) -> String {
        let items = page.items.map { SigningKeyReply(view: $0) }
        return text(SigningKeyPageReply(page: Page(items, nextCursor: page.nextCursor)))
    }

    private static func text(_ body: some ReplyBody) -> String {
        String(decoding: MemberWriter.encode(body), as: UTF8.self)
    }
}

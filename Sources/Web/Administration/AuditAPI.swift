// The operation that shows the audit log. Reading changes nothing, so nothing is recorded.
import Access
import Audit
import HTTPTypes
import Primitives

/// Reading the audit log.
package enum AuditAPI {
    static let list = Operation<AuditQuery, AuditPageReply>(
        "audit.list",
        .get,
        "/v1/admin/audit",
        summary: "Who did what to whom, newest first; in one organisation, to its members.",
        tag: "Administration",
        gate: .delegated(.auditRead)
    )

    /// All of them.
    static let operations: [OperationInfo] = [list.info]
}

/// `?account&actor&action&from&to&limit&cursor`.
package struct AuditQuery: QueryParameters {
    let filter: AuditFilter
    let page: PageRequest

    package init(_ members: inout MemberReader) throws {
        filter = AuditFilter(
            account: members.optional("account", .id(), help: "What was done to this account."),
            actor: members.optional("actor", .id(), help: "What this account did."),
            action: members.optional(
                "action",
                .choice(AuditAction.self),
                help: "What was done."
            ),
            from: members.optional("from", .timestamp, help: "From this instant on."),
            to: members.optional("to", .timestamp, help: "Before this instant.")
        )
        page = members.entryPage()
        if let from = filter.from, let to = filter.to, from > to {
            members.complain("to", "wrong-order", "must not be before `from`")
        }
    }
}

extension MemberReader {
    /// The two members of a list that is ordered by ids.
    mutating func entryPage() -> PageRequest {
        let page = page()
        if let cursor = page.cursor, cursor.bytes.count != 16 {
            complain("cursor", "invalid-cursor", "is not a `next_cursor` of this list")
        }
        return page
    }
}

/// One entry of the audit log.
package struct AuditEntryReply: ReplyBody {
    let entry: AuditEntry

    package func write(_ members: inout MemberWriter) {
        members.id("id", entry.id, help: "The entry.")
        members.timestamp("at", entry.at, help: "When.")
        members.text("action", entry.action, help: "What was done; stable.")
        members.id("actor_id", entry.actor, help: "Who did it; null where nobody is known.")
        members.id("account_id", entry.account, help: "The account it was done to.")
        members.id("session_id", entry.session, help: "The session it was done in or to.")
        members.text(
            "ip_address",
            entry.address,
            help: "From where; `terminal` for a command, `system` for what a node did by itself."
        )
        members.id("request_id", entry.request, help: "The `X-Request-Id` of the request.")
        members.anything("detail", entry.detail, help: "More about it, by action.")
    }

    package static var example: Self { Self(entry: .sample) }
}

/// A page of the audit log.
package struct AuditPageReply: ReplyBody {
    let page: Page<AuditEntryReply>

    package func write(_ members: inout MemberWriter) { members.page(page) }
    package static var example: Self { Self(page: Page([.example], nextCursor: nil)) }
}

extension AuditEntry {
    static var sample: Self {
        AuditEntry(
            id: .sample,
            at: .sample,
            action: AuditAction.signedIn.rawValue,
            actor: .sample,
            account: .sample,
            session: .sample,
            address: "203.0.113.7",
            request: .sample,
            detail: "{\"factors\":\"password\",\"transport\":\"body\"}"
        )
    }
}

extension WebServices {
    func bindAudit(_ bindings: inout Bindings) {
        bindings.bind(AuditAPI.list) { query, context in
            var filter = query.filter
            filter.organisation = context.caller?.realm.organisationID
            let page = try await insight.audit.entries(filter, query.page)
            let items = page.items.map { AuditEntryReply(entry: $0) }
            return Answer(AuditPageReply(page: Page(items, nextCursor: page.nextCursor)))
        }
    }
}

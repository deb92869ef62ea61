// The second person (row 178): where `administration.two_people` names an operation, a request for
// it is carried out once another administrator has approved that very request. Nobody sends it
// differently: it is refused with the id of what waits, and the same bytes sent again find what was
// said of them. An approval opens one attempt, whatever comes of that, so that two nodes, a retry
// or a crash never make two of it; and none while who gave it is disabled: then it waits again. The
// terminal needs nobody. Times are the database's (H13). Why so: decision 20.
internal import Audit
package import Postgres
package import Primitives

/// A request, as far as a second person must know it.
package struct ApprovableRequest: Sendable {
    /// Who sends it.
    package let account: AccountID
    /// SHA-256 of all that makes it another request.
    package let digest: [UInt8]
    /// The organisation of the delegate who makes it; nil for who may do it everywhere.
    package let organisation: OrganisationID?
    /// The operation.
    package let operation: String
    /// Its method.
    package let method: String
    /// Its path and query, as sent.
    package let target: String
    /// Its `If-Match`; empty where it has none.
    package let ifMatch: String
    /// Its body, as sent; empty where it has none.
    package let body: String

    /// A request.
    package init(
        account: AccountID,
        digest: [UInt8],
        organisation: OrganisationID?,
        operation: String,
        method: String,
        target: String,
        ifMatch: String,
        body: String
    ) {
        self.account = account
        self.digest = digest
        self.organisation = organisation
        self.operation = operation
        self.method = method
        self.target = target
        self.ifMatch = ifMatch
        self.body = body
    }
}

/// What became of a request that needs a second person.
package enum ApprovalState: String, Sendable, CaseIterable {
    case waiting
    case given
    case refused
    case used
    case expired
}

/// A request that needs a second person, as administrators see it.
package struct ApprovalView: Sendable {
    /// It.
    package let id: ApprovalID
    /// What became of it.
    package let state: ApprovalState
    /// Who sent it.
    package let account: AccountID
    /// The organisation of the delegate who makes it; nil for who may do it everywhere.
    package let organisation: OrganisationID?
    /// The operation.
    package let operation: String
    /// Its method.
    package let method: String
    /// Its path and query.
    package let target: String
    /// Its `If-Match`; empty where it has none.
    package let ifMatch: String
    /// Its body; nil in lists.
    package let body: String?
    /// When it was sent first.
    package let createdAt: Timestamp
    /// Until when it can be approved and carried out.
    package let expiresAt: Timestamp
    /// Who has approved or refused it.
    package let decidedBy: AccountID?
    /// When.
    package let decidedAt: Timestamp?

    /// A request.
    package init(
        id: ApprovalID,
        state: ApprovalState,
        account: AccountID,
        organisation: OrganisationID?,
        operation: String,
        method: String,
        target: String,
        ifMatch: String,
        body: String?,
        createdAt: Timestamp,
        expiresAt: Timestamp,
        decidedBy: AccountID?,
        decidedAt: Timestamp?
    ) {
        self.id = id
        self.state = state
        self.account = account
        self.organisation = organisation
        self.operation = operation
        self.method = method
        self.target = target
        self.ifMatch = ifMatch
        self.body = body
        self.createdAt = createdAt
        self.expiresAt = expiresAt
        self.decidedBy = decidedBy
        self.decidedAt = decidedAt
    }
}

/// Why a request is not carried out, or not approved.
package enum ApprovalRefusal: Refusal {
    /// Another person must approve it.
    case required(ApprovalView)
    /// As many requests of this account as may be wait already.
    case tooManyWait
    /// There is none of that id within the caller's reach.
    case notFound
    /// It is the caller's own.
    case own
    /// It was decided or used, or its time is over.
    case closed(ApprovalState)

    package var code: ProblemCode {
        switch self {
        case .required: .approvalRequired
        case .tooManyWait: .limitReached
        case .notFound: .notFound
        case .own: .selfChangeRefused
        case .closed: .approvalClosed
        }
    }

    package var detail: String? {
        switch self {
        case .required(let view) where view.state == .refused:
            "Approval \(view.id) was refused; the same request can be made after \(view.expiresAt)."
        case .required(let view):
            "Another person must give approval \(view.id) before \(view.expiresAt)."
        case .tooManyWait:
            "\(Approvals.limit) requests of this account wait for approval already."
        case .own: "Nobody approves a request of his own."
        case .closed(let state): "It is \(state.rawValue)."
        case .notFound: nil
        }
    }
}

/// Requests that need a second person.
package struct Approvals: Sendable {
    /// The most requests of one account that wait at a time; a few more where they come at the same
    /// instant.
    package static let limit = 20
    /// How long a request can be approved and carried out.
    package static let lifetime: Duration = .hours(1)

    private let operations: Set<String>
    let database: any PostgresExecutor
    private let entropy: Entropy

    /// Those for `operations`, by name.
    package init(
        for operations: Set<String>,
        database: any PostgresExecutor,
        entropy: Entropy
    ) {
        self.operations = operations
        self.database = database
        self.entropy = entropy
    }

    /// Whether an operation needs a second person.
    package func areNeeded(for operation: String) -> Bool { operations.contains(operation) }

    /// Uses the approval of a request; returns where there is one, and then never again.
    ///
    /// - Throws: `ApprovalRefusal.required`, once the request waits for one.
    package func use(for request: ApprovableRequest, _ trace: RequestTrace) async throws {
        // Twice: what was not approved yet can be while it is looked at.
        for _ in 0..<2 {
            let used = try await database.first(
                ApprovalStore.use(
                    request.account,
                    request.digest,
                    AuditBinds(trace, entropy: entropy)
                )
            )
            if used != nil { return }
            let known = try await ask(request, trace)
            guard known.state == .given else { throw ApprovalRefusal.required(known) }
        }
        throw ApprovalFault()
    }

    /// What waits for the approval of a request, from now on or already.
    private func ask(
        _ request: ApprovableRequest,
        _ trace: RequestTrace
    ) async throws -> ApprovalView {
        let asked = try await database.first(
            ApprovalStore.ask(
                ApprovalID(at: trace.now, entropy: entropy),
                request.account,
                request.digest,
                request.organisation,
                request.operation,
                request.method,
                request.target,
                request.ifMatch,
                request.body,
                AuditBinds(trace, entropy: entropy)
            )
        )
        if let asked { return asked }
        let known = try await database.first(
            ApprovalStore.findRequest(request.account, request.digest)
        )
        guard let known else { throw ApprovalRefusal.tooManyWait }
        return known
    }

    /// Requests of the last day, newest first.
    package func list(
        _ state: ApprovalState?,
        within realm: Realm,
        _ request: PageRequest
    ) async throws -> Page<ApprovalView> {
        let rows = try await database.rows(
            ApprovalStore.list(
                request.cursor.flatMap { ApprovalID(bytes: $0.bytes) } ?? .beyond,
                realm.organisationID,
                state?.rawValue,
                request.rowLimit
            )
        )
        return Page(rows, of: request) { $0.id.bytes }
    }

    /// One request.
    package func find(_ id: ApprovalID, within realm: Realm) async throws -> ApprovalView {
        let found = try await database.first(ApprovalStore.find(id, realm.organisationID))
        guard let found else { throw ApprovalRefusal.notFound }
        return found
    }

    /// Approves a request of somebody else; once more by the same person changes nothing.
    package func give(
        _ id: ApprovalID,
        by account: AccountID,
        within realm: Realm,
        _ trace: RequestTrace
    ) async throws -> ApprovalView {
        let given = try await database.first(
            ApprovalStore.give(
                id,
                account,
                realm.organisationID,
                AuditBinds(trace, entropy: entropy)
            )
        )
        if let given { return given }
        let view = try await find(id, within: realm)
        if view.account == account { throw ApprovalRefusal.own }
        guard view.state == .given, view.decidedBy == account else {
            throw ApprovalRefusal.closed(view.state)
        }
        return view
    }

    /// Refuses a request, also one that was approved and is not used yet; also one of his own.
    package func refuse(
        _ id: ApprovalID,
        by account: AccountID,
        within realm: Realm,
        _ trace: RequestTrace
    ) async throws -> ApprovalView {
        let refused = try await database.first(
            ApprovalStore.refuse(
                id,
                account,
                realm.organisationID,
                AuditBinds(trace, entropy: entropy)
            )
        )
        if let refused { return refused }
        let view = try await find(id, within: realm)
        guard view.state == .refused else { throw ApprovalRefusal.closed(view.state) }
        return view
    }
}

/// Given, taken back and given again while a request was looking: it may be sent once more.
struct ApprovalFault: Fault {
    var isTransient: Bool { true }
    var description: String { "an approval changed again and again" }
}

// Where an operation needs a second person: looked at when the gate is passed and the input is
// read, so that what waits for approval is a request that its sender may make (row 178).
internal import Access
internal import HTTPTypes
internal import Primitives
internal import Tokens

extension OperationInfo {
    /// Whether `administration.two_people` may name it: what of administration needs a recent
    /// sign-in, but for the approving itself and what may say a password.
    package var canNeedTwoPeople: Bool {
        // What is approved is read by somebody else, and a new account's password is not for him.
        let never = [ApprovalAPI.give.info.name, UserAPI.create.info.name]
        return proof != .none && gate.isAdministration && !never.contains(name)
    }
}

extension Approvals {
    /// Returns where the operation needs nobody else, or the approval of this request could be
    /// used, which it is then.
    ///
    /// - Throws: `ApprovalRefusal.required`; `permission-denied` for an API key: whoever has one
    ///   has a second account, and would be both people.
    func check(_ info: OperationInfo, _ context: RequestContext, body: [UInt8]) async throws {
        guard areNeeded(for: info.name) else { return }
        guard !context.claims.isKey else { throw GateRefusal.permissionDenied }
        let ifMatch = context.headers[.ifMatch] ?? ""
        let query = context.query.map { "?\($0)" } ?? ""
        try await use(
            for: ApprovableRequest(
                account: context.claims.accountID,
                // Of another version it would be another change.
                digest: RequestDigest.of(
                    info,
                    context,
                    body: body,
                    ifMatch: ifMatch
                ),
                organisation: context.caller?.delegatedBy,
                operation: info.name,
                method: context.method.rawValue,
                target: context.path + query,
                ifMatch: ifMatch,
                body: String(decoding: body, as: UTF8.self)
            ),
            context.trace
        )
    }
}

// By what two requests of one account are told to be the same: what was asked for, in which
// organisation, with what. Header fields that do not change the work are no part of it.
internal import Access
internal import Crypto
internal import HTTPTypes
internal import Primitives
internal import Tokens

/// The digest of a request, as its account means it.
enum RequestDigest {
    /// SHA-256 of the operation, the organisation, the API key it is made with, path, query, the
    /// version it changes where that is given, and body.
    static func of(
        _ info: OperationInfo,
        _ context: RequestContext,
        body: [UInt8],
        ifMatch: String? = nil
    ) -> [UInt8] {
        var hash = SHA256()
        let realm = context.caller?.realm.organisationID?.description ?? ""
        // Two API keys of one account may be narrowed differently: neither is told what the other
        // was. The sessions of an account are as good as one another.
        let credential = context.claims.isKey ? context.claims.tokenID.description : ""
        var parts = [info.name, realm, credential, context.path, context.query ?? ""]
        if let ifMatch { parts.append(ifMatch) }
        // Each part behind its length: no two requests run together into the same bytes.
        for part in parts { hash.update(data: Array("\(part.utf8.count):\(part)".utf8)) }
        hash.update(data: body)
        return Array(hash.finalize())
    }
}

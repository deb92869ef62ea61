// Who acts for the account of a token (`act`, RFC 8693 section 4.1), with what he is judged by: a
// token in which somebody acts is good only as long as he may act, so it names the generation of
// his signature and the version of his rights beside those of the account (row 177).
package import Primitives

/// Somebody who acts for another.
package struct TokenActor: Hashable, Sendable {
    /// `sub`: his own account.
    package let accountID: AccountID
    /// `sid`: the session of his in which he began.
    package let sessionID: SessionID
    /// `sgn`: the generation of his signature when he began.
    package let signatureGeneration: Int64
    /// `rlv`: the version of his rights when he began.
    package let rightsVersion: Int64

    /// Somebody who acts for another.
    package init(
        accountID: AccountID,
        sessionID: SessionID,
        signatureGeneration: Int64,
        rightsVersion: Int64
    ) {
        self.accountID = accountID
        self.sessionID = sessionID
        self.signatureGeneration = signatureGeneration
        self.rightsVersion = rightsVersion
    }

    /// `act` as it is written in a token.
    var json: String {
        "{\"sub\":\"\(accountID)\",\"sid\":\"\(sessionID)\","
            + "\"sgn\":\(signatureGeneration),\"rlv\":\(rightsVersion)}"
    }
}

extension AccessClaims {
    /// The account of whoever acts; nil where the owner does.
    package var actorID: AccountID? { actor?.accountID }
}

// Who changes something, and how far he may: what the gate has found out. Between the gate and the
// change he may be disabled, signed out or demoted, so what he came with goes along, and `Grants`
// looks at it again under the lock on his signature (W1, W11, decision 19).
package import Primitives

/// Who changes something, and how far he may.
package struct Grantor: Sendable {
    /// What he showed at the gate.
    package struct Credential: Sendable {
        /// The generation of his account's signature that it is of.
        let generation: Int64
        /// The session that his token belongs to; nil for a key.
        let session: SessionID?
        /// The API key; nil for a token.
        let key: APIKeyID?

        /// A token of a session.
        package static func token(of session: SessionID, _ generation: Int64) -> Credential {
            Credential(generation: generation, session: session, key: nil)
        }

        /// An API key.
        package static func key(_ key: APIKeyID, _ generation: Int64) -> Credential {
            Credential(generation: generation, session: nil, key: key)
        }
    }

    /// Whose account it is; nil for the operator at the terminal, who has none, also in journals.
    package let actor: AccountID?
    /// What his key is narrowed to; nil for all that the account may.
    package let narrowedTo: [String]?
    /// How far the permission reaches by which he came.
    package let realm: Realm
    /// What he showed; nil for nothing, and then only his account is looked at.
    let credential: Credential?
    /// The permission by which he came; nil where none is to be looked at again.
    let permission: AdminPermission?

    /// Who gives.
    package init(
        account: AccountID,
        narrowedTo: [String]?,
        realm: Realm,
        credential: Credential? = nil,
        permission: AdminPermission? = nil
    ) {
        self.init(
            actor: account,
            narrowedTo: narrowedTo,
            realm: realm,
            credential: credential,
            permission: permission
        )
    }

    private init(
        actor: AccountID?,
        narrowedTo: [String]?,
        realm: Realm,
        credential: Credential?,
        permission: AdminPermission?
    ) {
        self.actor = actor
        self.narrowedTo = narrowedTo
        self.realm = realm
        self.credential = credential
        self.permission = permission
    }

    /// The operator at the terminal: whoever has the database holds all there is, and is bound by
    /// the last administrator alone (W12).
    package static let terminal = Grantor(
        actor: nil,
        narrowedTo: nil,
        realm: .everywhere,
        credential: nil,
        permission: nil
    )

    /// The same without a realm, for a change that looks at realm and permission itself.
    var anywhere: Grantor {
        Grantor(
            actor: actor,
            narrowedTo: narrowedTo,
            realm: .everywhere,
            credential: credential,
            permission: nil
        )
    }

    /// Whose account it is, for what the terminal cannot do; a bug where it does.
    package var account: AccountID {
        guard let actor else { preconditionFailure("the operator at the terminal has no account") }
        return actor
    }
}

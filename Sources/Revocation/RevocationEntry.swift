// What can be revoked, and one revocation of it. Revocations are idempotent and commute: all that
// matters is which of them a node has seen (revocation.md section 0), so there is no order here.
package import Primitives

/// The kinds of revocation; the raw value is `revocation_log.kind`.
package enum RevocationKind: Int16, Sendable, CaseIterable {
    /// One access token, by `jti`.
    case token = 1
    /// One session, by `sid`.
    case session = 2
    /// All tokens of an account whose signature generation is below `version`.
    case signature = 3
    /// The state of an account: disabled, deleted.
    case accountState = 4
    /// What a role permits.
    case role = 5
    /// All tokens of a client issued before `version`, in milliseconds since the epoch.
    case client = 6
    /// Whether an organisation may be acted in: what is known of it as of an older generation than
    /// `version` is read anew. No token is refused for it.
    case tenant = 7
    /// All tokens signed by one key, by `kid`.
    case signingKey = 8
    /// Every token issued before `version`, in milliseconds since the epoch.
    case global = 9
    /// What an account may do: compared with the rights version its tokens carry.
    case rights = 10
    /// Sessions of an account, some of which were ended: PostgreSQL knows which, as of `version`.
    case sessions = 11
    /// The rules of gateways; the one subject is all of them.
    case routeRules = 12

    /// Whether what it names is revoked up to a version only, and not altogether.
    package var hasVersions: Bool {
        switch self {
        case .token, .session, .signingKey: false
        case .signature, .accountState, .role, .client, .tenant, .global, .rights, .sessions,
            .routeRules:
            true
        }
    }

    /// The kind of a row of the log, where this version can tell what such a row covers.
    ///
    /// What it cannot judge it must not ignore: the node answers nobody while there is one (W10).
    init?(judged raw: Int16) { self.init(rawValue: raw) }
}

/// The name of something revocable: a kind and 16 bytes.
package struct RevocationSubject: Hashable, Sendable {
    /// What kind of thing.
    package let kind: RevocationKind
    /// The first eight bytes of its id.
    package let high: UInt64
    /// The last eight bytes of its id.
    package let low: UInt64

    /// The subject that `id` names.
    package init<K>(_ kind: RevocationKind, _ id: ID<K>) {
        self.kind = kind
        high = id.high
        low = id.low
    }

    /// The one subject of a kind that has only one: global.
    package init(only kind: RevocationKind) {
        self.kind = kind
        high = 0
        low = 0
    }

    /// The id as `revocation_log.subject` keeps it.
    package var bytes: [UInt8] { ID<Named.Entry>(high: high, low: low).bytes }
}

/// One revocation.
package struct RevocationEntry: Hashable, Sendable {
    /// What is revoked.
    package let subject: RevocationSubject
    /// The lowest version still good, where the kind has versions; else zero.
    package let version: Int64
    /// When the last token it can cover has expired, by the database's clock.
    package let expiresAt: Timestamp

    /// A revocation of `subject` below `version` that matters until `expiresAt`.
    package init(_ subject: RevocationSubject, version: Int64, expiresAt: Timestamp) {
        self.subject = subject
        self.version = version
        self.expiresAt = expiresAt
    }
}

// One key of the ring, open. Keys have one use each and never two (checklist row 268).
import Crypto
package import Primitives

/// What a key is for.
package enum KeyUse: String, Sendable, CaseIterable {
    /// Signs access tokens (ES256).
    case accessToken = "access-token"
    /// Authenticates refresh tokens (HMAC-SHA-256).
    case refreshToken = "refresh-token"
    /// Makes CSRF values (HMAC-SHA-256).
    case csrf

    /// The algorithm, by its JOSE name (RFC 7518 section 3.1).
    package var algorithm: String { self == .accessToken ? "ES256" : "HS256" }
}

/// A key and the times that govern it.
package struct RingKey: Sendable {
    /// Its `kid`.
    package let id: KeyID
    /// What it is for.
    package let use: KeyUse
    /// When it was made, and so published.
    package let createdAt: Timestamp
    /// From when on it may sign; published before, so that nobody meets an unknown key.
    package let activeFrom: Timestamp
    /// When it was taken out of use; its tokens are refused from then on.
    package let retiredAt: Timestamp?
    let material: Material

    enum Material: Sendable {
        case signing(P256.Signing.PrivateKey)
        case secret(SymmetricKey)
    }

    init(
        id: KeyID,
        use: KeyUse,
        createdAt: Timestamp,
        activeFrom: Timestamp,
        retiredAt: Timestamp?,
        privateBytes: [UInt8]
    ) throws {
        self.id = id
        self.use = use
        self.createdAt = createdAt
        self.activeFrom = activeFrom
        self.retiredAt = retiredAt
        material =
            switch use {
            case .accessToken:
                .signing(try P256.Signing.PrivateKey(rawRepresentation: privateBytes))
            case .refreshToken, .csrf: .secret(SymmetricKey(data: privateBytes))
            }
    }

    /// New private bytes for a key of this use.
    static func newPrivateBytes(for use: KeyUse, entropy: Entropy) -> [UInt8] {
        switch use {
        case .accessToken: Array(P256.Signing.PrivateKey().rawRepresentation)
        case .refreshToken, .csrf: entropy.bytes(32)
        }
    }

    /// The public point without its leading byte, x then y; nil for a secret key.
    var publicPoint: [UInt8]? {
        guard case .signing(let key) = material else { return nil }
        return Array(key.publicKey.rawRepresentation)
    }

    /// The context its private bytes are sealed in.
    static func sealContext(id: KeyID, use: KeyUse) -> String { "key/\(use.rawValue)/\(id)" }

    /// The first four bytes of the id: what a refresh token carries to name its key.
    ///
    /// They are the last ones of a UUIDv7, because the first are the time.
    var tag: UInt32 { Self.tag(of: id) }

    /// The tag of the key of an id.
    static func tag(of id: KeyID) -> UInt32 { UInt32(truncatingIfNeeded: id.low) }

    /// HMAC-SHA-256 of `message`; empty for a signing key, which no caller asks.
    func authenticate(_ message: [UInt8]) -> [UInt8] {
        guard case .secret(let key) = material else { return [] }
        return Array(HMAC<SHA256>.authenticationCode(for: message, using: key))
    }
}

// All keys that count at the moment, as one immutable value: which signs, which check, and the
// JWKS that tells the world. A new ring replaces the old one as a whole.
import Crypto
package import Primitives

/// A key that is alive and that this node cannot open: its master key is another one, or lacks a
/// version that others have been given.
package struct ClosedKey: Sendable {
    /// Its `kid`.
    package let id: KeyID
    /// What it is for; nil for a use of a newer version.
    package let use: KeyUse?
    /// From when on it is used by those who can open it.
    package let activeFrom: Timestamp
    /// Why it does not open.
    package let flaw: any Error
}

/// A key is needed that this node cannot open: whatever hangs by it is neither good nor bad (W10).
package enum KeyFault: Fault {
    case closed

    package var isTransient: Bool { true }
    package var description: String { "a key does not open with the configured master key" }
}

/// The keys of the cluster.
package struct KeyRing: Sendable {
    /// All keys that are not retired, newest first.
    package let keys: [RingKey]
    /// Those that are not retired either, and do not open.
    package let closed: [ClosedKey]
    /// Header segment of a token → the key it names.
    ///
    /// Only headers we would write ourselves are here, so that no other header is ever acted upon:
    /// not its `alg`, not its `jku` (RFC 8725 sections 3.1, 3.10).
    let checkers: [[UInt8]: (id: KeyID, key: P256.Signing.PublicKey)]
    let secrets: [KeyUse: [UInt32: RingKey]]
    /// Keys of access tokens that are retired.
    private let retired: Set<KeyID>

    /// A ring of `keys`.
    ///
    /// - Parameter retired: the keys of access tokens that are retired.
    package init(_ keys: [RingKey], closed: [ClosedKey] = [], retired: [KeyID] = []) {
        self.closed = closed
        self.retired = Set(retired)
        let live = keys.filter { $0.retiredAt == nil }.sorted { $0.activeFrom > $1.activeFrom }
        self.keys = live
        var checkers: [[UInt8]: (id: KeyID, key: P256.Signing.PublicKey)] = [:]
        var secrets: [KeyUse: [UInt32: RingKey]] = [:]
        for key in live {
            switch key.material {
            case .signing(let signing):
                checkers[Self.header(of: key.id)] = (key.id, signing.publicKey)
            case .secret: secrets[key.use, default: [:]][key.tag] = key
            }
        }
        self.checkers = checkers
        self.secrets = secrets
    }

    /// The key that is in use for `use` at `now`: the latest whose time has come.
    ///
    /// Where that does not open there is none: an older one is not what the other nodes use.
    package func current(_ use: KeyUse, at now: Timestamp) -> RingKey? {
        let latest = keys.first { $0.use == use && $0.activeFrom <= now }
        return currentClosed(use, at: now, since: latest?.activeFrom) == nil ? latest : nil
    }

    /// The key that is in use and does not open here.
    func currentClosed(
        _ use: KeyUse,
        at now: Timestamp,
        since start: Timestamp? = nil
    ) -> ClosedKey? {
        closed.first { key in
            key.use == use && key.activeFrom <= now && start.map { key.activeFrom >= $0 } ?? true
        }
    }

    /// Whether an access token names a key that does not open here.
    package func namesClosedKey(_ token: [UInt8]) -> Bool {
        guard !closed.isEmpty else { return false }
        let header = Array(token.prefix { $0 != UInt8(ascii: ".") })
        return closed.contains { $0.use == .accessToken && Self.header(of: $0.id) == header }
    }

    /// Whether a newer ring may hold the key that a token names.
    ///
    /// None ever will that is retired, nor one that is named as we do not name keys: what another
    /// issuer has signed is nothing to wait for.
    func mayLackKey(of token: [UInt8]) -> Bool {
        Self.keyID(of: token).map { !retired.contains($0) } ?? false
    }

    /// The key that a token names whose header is one that we would write; nil for any other.
    static func keyID(of token: [UInt8]) -> KeyID? {
        let header = Array(token.prefix { $0 != UInt8(ascii: ".") })
        guard let bytes = Base64URL.decode(header) else { return nil }
        let text = String(decoding: bytes, as: UTF8.self)
        guard text.hasPrefix(headerStart),
            let id = KeyID(text.dropFirst(headerStart.count).prefix(36)),
            Self.header(of: id) == header
        else { return nil }
        return id
    }

    private static let headerStart = "{\"alg\":\"ES256\",\"kid\":\""

    /// The key of an id.
    package func key(_ id: KeyID) -> RingKey? { keys.first { $0.id == id } }

    /// The base64url of `{"alg":"ES256","kid":"…","typ":"at+jwt"}` (RFC 9068 section 2.1).
    static func header(of id: KeyID) -> [UInt8] {
        var out: [UInt8] = []
        Base64URL.append(
            Array("\(headerStart)\(id)\",\"typ\":\"at+jwt\"}".utf8),
            to: &out
        )
        return out
    }

    /// The public keys as a JWK Set (RFC 7517 section 5), newest first.
    package var jwks: String {
        let items = keys.compactMap { key -> String? in
            guard let point = key.publicPoint else { return nil }
            let x = Base64URL.encode(point[0..<32])
            let y = Base64URL.encode(point[32..<64])
            return "{\"kty\":\"EC\",\"crv\":\"P-256\",\"use\":\"sig\",\"alg\":\"ES256\","
                + "\"kid\":\"\(key.id)\",\"x\":\"\(x)\",\"y\":\"\(y)\"}"
        }
        return "{\"keys\":[\(items.joined(separator: ","))]}"
    }
}

// API keys: what a service shows instead of a password. One carries its id, 32 random bytes and a
// short checksum, by which a scanner of leaked secrets and a typing error are told from a key
// without a query. PostgreSQL keeps the SHA-256 alone: of 256 random bits that is enough (W7).
internal import Crypto
package import Primitives

/// An API key.
package struct APIKey: Hashable, Sendable {
    /// What it is called; not a secret.
    package let id: APIKeyID
    /// What `api_keys.digest` holds.
    package let digest: [UInt8]

    /// How every key begins, and no token does.
    package static let prefix = Array("wwk_".utf8)
    private static let secretBytes = 32
    private static let checkBytes = 3
    /// The characters behind the prefix: 48 bytes of body, and three of checksum.
    private static let textBytes = 64 + 4

    /// Whether `credential` says that it is one; not whether it is.
    package static func isMeant(by credential: some Collection<UInt8>) -> Bool {
        credential.starts(with: prefix)
    }

    /// Reads a key; nil for anything that is not of its form or has another checksum.
    package init?(_ text: [UInt8]) {
        guard text.count == Self.prefix.count + Self.textBytes, Self.isMeant(by: text),
            let body = Base64URL.decode(text[Self.prefix.count..<(Self.prefix.count + 64)]),
            let check = Base64URL.decode(text[(Self.prefix.count + 64)...]),
            constantTimeEqual(check, Self.checksum(body)), let id = APIKeyID(bytes: body.prefix(16))
        else { return nil }
        self.init(id: id, body: body)
    }

    private init(id: APIKeyID, body: [UInt8]) {
        self.id = id
        digest = Array(SHA256.hash(data: body))
    }

    /// Makes a key; its text is for the answer that gives it away, and for no table of keys.
    package static func make(_ id: APIKeyID, entropy: Entropy) -> (key: APIKey, text: Secret) {
        let body = id.bytes + entropy.bytes(secretBytes)
        var text = prefix
        Base64URL.append(body, to: &text)
        Base64URL.append(checksum(body), to: &text)
        return (APIKey(id: id, body: body), Secret(text))
    }

    /// How the key of an id begins, for whoever has several and wonders which is which.
    package static func beginning(of id: APIKeyID) -> String {
        String(decoding: prefix, as: UTF8.self) + Base64URL.encode(id.bytes.prefix(12))
    }

    private static func checksum(_ body: [UInt8]) -> [UInt8] {
        Array(SHA256.hash(data: prefix + body).prefix(checkBytes))
    }
}

// Refresh tokens: opaque to everyone but us. One carries its session, its generation, the session's
// nonce and a MAC over all of it, so that a forged one is refused without a query, and the child of
// a token can be derived again instead of being stored (architecture.md section 3). The database
// keeps only a digest of the nonce; without the MAC key a dump of it makes no token (S0-T11).
import Crypto
package import Primitives

/// A refresh token, read or about to be written.
package struct RefreshToken: Hashable, Sendable {
    /// The session it continues.
    package let sessionID: SessionID
    /// Its place in the chain: each exchange raises it by one.
    package let generation: Int64
    /// 16 random bytes that only tokens of this session carry.
    package let nonce: [UInt8]

    /// The prefix that tells scanners of leaked secrets what this is.
    package static let prefix = "wwr_"
    private static let bodyCount = 4 + 16 + 8 + 16

    /// A token of a session.
    package init(sessionID: SessionID, generation: Int64, nonce: [UInt8]) {
        self.sessionID = sessionID
        self.generation = generation
        self.nonce = nonce
    }

    /// The token that replaces this one.
    ///
    /// There is only one.
    package var child: RefreshToken {
        RefreshToken(sessionID: sessionID, generation: generation + 1, nonce: nonce)
    }

    /// What `sessions.nonce_digest` holds.
    package var nonceDigest: [UInt8] { Array(SHA256.hash(data: Array("nonce".utf8) + nonce)) }

    /// The text of it under the ring's current key; nil where the ring has no such key.
    ///
    /// The same token gets the same text on every node.
    package func text(ring: KeyRing, at now: Timestamp) -> String? {
        guard let key = ring.current(.refreshToken, at: now) else { return nil }
        var body: [UInt8] = []
        for shift in [24, 16, 8, 0] as [UInt32] {
            body.append(UInt8(truncatingIfNeeded: key.tag >> shift))
        }
        body += sessionID.bytes
        for shift in stride(from: 56, through: 0, by: -8) {
            body.append(UInt8(truncatingIfNeeded: UInt64(generation) >> UInt64(shift)))
        }
        body += nonce
        return Self.prefix + Base64URL.encode(body + key.authenticate(body))
    }

    /// Reads one and checks its MAC, in constant time and without a query; nil for anything we did
    /// not write.
    ///
    /// - Throws: `KeyFault` where its key does not open here, so that nobody can tell.
    package init?(_ text: String, ring: KeyRing) throws(KeyFault) {
        guard text.utf8.count <= 256, text.hasPrefix(Self.prefix),
            let bytes = Base64URL.decode(text.utf8.dropFirst(Self.prefix.utf8.count)),
            bytes.count == Self.bodyCount + 32
        else { return nil }
        let body = Array(bytes[0..<Self.bodyCount])
        let tag = body[0..<4].reduce(0) { $0 << 8 | UInt32($1) }
        if ring.closed.contains(where: { $0.use == .refreshToken && RingKey.tag(of: $0.id) == tag })
        {
            throw .closed
        }
        guard let key = ring.secrets[.refreshToken]?[tag],
            constantTimeEqual(key.authenticate(body), bytes[Self.bodyCount...]),
            let session = SessionID(bytes: body[4..<20])
        else { return nil }
        let generation = body[20..<28].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        self.init(
            sessionID: session,
            generation: Int64(truncatingIfNeeded: generation),
            nonce: Array(body[28..<44])
        )
    }
}

/// The value a browser's script sends back to show that it can read our cookies: a MAC of the
/// session id, so that it belongs to one session and needs no storage (checklist row 145).
package enum CSRFValue {
    /// The value for a session; nil where the ring has no key for it.
    package static func make(for session: SessionID, ring: KeyRing, at now: Timestamp) -> String? {
        ring.current(.csrf, at: now).map { Base64URL.encode($0.authenticate(session.bytes)) }
    }

    /// Whether `value` is the one for `session`, under any key of the ring.
    package static func isValid(_ value: String, for session: SessionID, ring: KeyRing) -> Bool {
        guard let given = Base64URL.decode(Array(value.utf8)) else { return false }
        return ring.secrets[.csrf, default: [:]].values.contains {
            constantTimeEqual($0.authenticate(session.bytes), given)
        }
    }
}

// Signs tokens as the cluster does, with its own key, opened by its master key: for tokens that no
// node would mint, such as expired ones.
import Primitives

@testable import Tokens

/// The signing key of a cluster.
struct TokenForge: Sendable {
    let key: RingKey
    let issuer: String

    /// Opens the key that `cluster` signs with.
    init(_ cluster: Cluster) async throws {
        let row = try await cluster.sql(
            """
            SELECT id || ' ' || encode(sealed, 'hex') || ' ' || master_key_version
              FROM keys WHERE use = 'access-token' AND retired_at IS NULL
             ORDER BY active_from LIMIT 1
            """
        )
        let parts = row.split(separator: " ").map(String.init)
        guard parts.count == 3, let id = KeyID(parts[0]), let version = Int(parts[2]) else {
            throw ClusterError("no signing key: \(row)")
        }
        let digits = Array(parts[1].utf8)
        let sealed = stride(from: 0, to: digits.count, by: 2).compactMap {
            UInt8(String(decoding: digits[$0..<($0 + 2)], as: UTF8.self), radix: 16)
        }
        let bytes = try MasterKey(Secret(cluster.masterKey)).open(
            sealed,
            version: version,
            context: RingKey.sealContext(id: id, use: .accessToken)
        )
        key = try RingKey(
            id: id,
            use: .accessToken,
            createdAt: id.createdAt,
            activeFrom: id.createdAt,
            retiredAt: nil,
            privateBytes: bytes
        )
        issuer = cluster.plan.publicURL
    }

    /// What `token` says.
    func read(_ token: String) throws -> AccessClaims {
        try AccessTokenChecker(issuer: issuer, audiences: [issuer]).check(
            token.utf8,
            ring: KeyRing([key]),
            horizon: .seconds(86_400)
        )
    }

    /// `token` with other claims, signed anew.
    func change(_ token: String, _ edit: (inout AccessClaims) -> Void) throws -> String {
        var claims = try read(token)
        edit(&claims)
        return try AccessTokenWriter.sign(claims, issuer: issuer, with: key)
    }

    /// `token` as it will be when its life is over.
    func expired(_ token: String) throws -> String {
        try change(token) { claims in
            claims.issuedAt = claims.issuedAt + .seconds(-1000)
            claims.expiresAt = claims.expiresAt + .seconds(-1000)
        }
    }
}

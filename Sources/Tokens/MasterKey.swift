// The key that seals the keys. It lives in a file or the environment, never in a store, so that a
// dump of PostgreSQL and Redis holds nothing usable (W7). Several versions may be given while
// `watchword keys rewrap` moves the ring from one to the next; the highest seals.
import Crypto
import FoundationEssentials
package import Primitives

/// Why a master key is refused.
///
/// The text never holds any part of it.
package enum MasterKeyError: Error, CustomStringConvertible, Equatable {
    /// Not `version:base64url` or `base64url`, or the wrong length.
    case malformed
    /// One that is printed in a manual, or has too little variety to be random.
    case sample
    /// Two keys of one version.
    case duplicateVersion(Int)
    /// A row is sealed with a version that was not given.
    case unknownVersion(Int)
    /// A row does not open: it was changed, moved, or sealed with another key.
    case cannotOpen

    package var description: String {
        switch self {
        case .malformed:
            "the master key must be VERSION:KEY, where KEY is 32 random bytes in base64url"
                + " (make one with: watchword keys generate)"
        case .sample: "the master key is a sample or is not random; make one of your own"
        case .duplicateVersion(let version): "the master key version \(version) is given twice"
        case .unknownVersion(let version):
            "a key is sealed with master key version \(version), which is not configured"
        case .cannotOpen: "a sealed key does not open with the master key that is configured"
        }
    }
}

/// The versions of the master key.
package struct MasterKey: Sendable {
    /// The version that seals: the highest.
    package let currentVersion: Int
    private let versions: [Int: SymmetricKey]

    /// Reads `VERSION:KEY` entries separated by commas or white space; a lone `KEY` is version 1.
    package init(_ secret: Secret) throws(MasterKeyError) {
        var versions: [Int: SymmetricKey] = [:]
        // Read here and nowhere else; the key stays inside SymmetricKey from now on.
        let entries = secret.exposed.split { $0 == UInt8(ascii: ",") || $0 <= 32 }
        for entry in entries {
            let parts = entry.split(separator: UInt8(ascii: ":"), maxSplits: 1)
            let version = parts.count == 2 ? Int(String(decoding: parts[0], as: UTF8.self)) : 1
            guard let version, (1...32_767).contains(version), let text = parts.last,
                let key = Base64URL.decode(text), key.count == 32
            else { throw .malformed }
            // Fewer than 17 different values among 32 random bytes: once in about 10^18 keys.
            let isPrintable = key.allSatisfy { $0 >= 0x20 && $0 < 0x7F }
            guard Set(key).count >= 17, !isPrintable else { throw .sample }
            guard versions[version] == nil else { throw .duplicateVersion(version) }
            versions[version] = SymmetricKey(data: key)
        }
        guard let highest = versions.keys.max() else { throw .malformed }
        currentVersion = highest
        self.versions = versions
    }

    /// The text of a new key, of version 1 unless said otherwise.
    package static func generate(version: Int = 1, entropy: Entropy) -> String {
        "\(version):\(Base64URL.encode(entropy.bytes(32)))"
    }

    /// Seals `bytes` under the current version, bound to `context` (checklist row 271).
    package func seal(_ bytes: [UInt8], context: String) throws -> [UInt8] {
        guard let key = versions[currentVersion] else {
            throw MasterKeyError.unknownVersion(currentVersion)
        }
        let box = try AES.GCM.seal(bytes, using: key, authenticating: Array(context.utf8))
        guard let combined = box.combined else { throw MasterKeyError.cannotOpen }
        return Array(combined)
    }

    /// Opens what `seal` made with that version and that context.
    package func open(
        _ sealed: [UInt8],
        version: Int,
        context: String
    ) throws(MasterKeyError) -> [UInt8] {
        guard let key = versions[version] else { throw .unknownVersion(version) }
        do {
            let box = try AES.GCM.SealedBox(combined: sealed)
            return Array(try AES.GCM.open(box, using: key, authenticating: Array(context.utf8)))
        } catch {
            throw .cannotOpen
        }
    }
}

// The marks of cursors: keys of their own, derived from the master key (RFC 5869), so that all
// nodes have the same and none is stored. A cursor outlives a change of the master key's version as
// long as the old version is there.
extension MasterKey: CursorMarks {
    /// The mark by the version that seals.
    package func mark(_ bytes: [UInt8], in list: String) -> [UInt8] {
        mark(bytes, in: list, version: currentVersion)
    }

    /// Whether it is a mark by any version.
    package func isMark(_ mark: [UInt8], of bytes: [UInt8], in list: String) -> Bool {
        versions.keys.contains { constantTimeEqual(self.mark(bytes, in: list, version: $0), mark) }
    }

    private func mark(_ bytes: [UInt8], in list: String, version: Int) -> [UInt8] {
        guard let master = versions[version] else {
            preconditionFailure("a version of the master key that is not there")
        }
        let key = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: master,
            info: Array("watchword cursor \(list)".utf8),
            outputByteCount: 32
        )
        let code = HMAC<SHA256>.authenticationCode(for: bytes, using: key)
        return Array(code.prefix(CursorSeal.markLength))
    }
}

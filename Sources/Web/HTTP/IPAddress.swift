// IP addresses and networks, parsed strictly by inet_pton: no zone, no port, no octal, no short
// forms. An IPv4 address written inside IPv6 (`::ffff:1.2.3.4`) is the IPv4 address, so that a rule
// about one cannot be dodged by spelling the other.
#if canImport(Glibc)
internal import Glibc
#else
internal import Musl
#endif

/// An IPv4 or IPv6 address.
package struct IPAddress: Hashable, Sendable, CustomStringConvertible {
    /// Four or sixteen bytes, in network order.
    package let bytes: [UInt8]

    /// 127.0.0.1, which also stands for the peer of a Unix socket.
    package static let loopback = IPAddress(unchecked: [127, 0, 0, 1])

    fileprivate init(unchecked bytes: [UInt8]) { self.bytes = bytes }

    /// Reads one address; nil for anything else, white space included.
    package init?(_ text: some StringProtocol) {
        guard text.utf8.count <= 45 else { return nil }
        let string = String(text)
        var four = [UInt8](repeating: 0, count: 4)
        if inet_pton(AF_INET, string, &four) == 1 {
            bytes = four
            return
        }
        var all = [UInt8](repeating: 0, count: 16)
        guard inet_pton(AF_INET6, string, &all) == 1 else { return nil }
        let isMapped = all[0..<10].allSatisfy { $0 == 0 } && all[10] == 0xFF && all[11] == 0xFF
        bytes = isMapped ? Array(all[12...]) : all
    }

    /// The canonical text (RFC 5952 for IPv6).
    package var description: String {
        var out = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let family = bytes.count == 4 ? AF_INET : AF_INET6
        let size = socklen_t(out.count)
        let wrote = bytes.withUnsafeBytes { inet_ntop(family, $0.baseAddress, &out, size) != nil }
        precondition(wrote, "inet_ntop writes every address")
        return String(decoding: out.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// A block of addresses in CIDR form.
package struct IPNetwork: Hashable, Sendable, CustomStringConvertible {
    private let base: IPAddress
    private let prefixBits: Int

    /// Reads `10.0.0.0/8`, `fd00::/8`, or one address; nil when bits beyond the prefix are set,
    /// which is more often a slip than a wish.
    ///
    /// `::ffff:10.0.0.0/104` is `10.0.0.0/8`: the prefix counts the bits of what was written.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let base = IPAddress(parts[0]) else { return nil }
        let all = base.bytes.count * 8
        var bits = all
        if parts.count == 2 {
            guard let given = Int(parts[1]), String(given) == parts[1], given >= 0 else {
                return nil
            }
            bits = given - Self.bitsBefore(base, writtenAs: parts[0])
            // A shorter prefix of a mapped address cuts the ones that say that it is mapped.
            guard (0...all).contains(bits) else { return nil }
        }
        self.base = base
        prefixBits = bits
        for bit in bits..<max(bits, all) where base.bytes[bit / 8] >> (7 - bit % 8) & 1 == 1 {
            return nil
        }
    }

    private init(of address: IPAddress, bits: Int) {
        var bytes = address.bytes
        for bit in bits..<(bytes.count * 8) { bytes[bit / 8] &= ~(0x80 >> UInt8(bit % 8)) }
        base = IPAddress(unchecked: bytes)
        prefixBits = bits
    }

    /// The block that was probably meant by a text which is none; nil where nobody can tell.
    package static func closest(to text: String) -> IPNetwork? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPAddress(parts[0]), let given = Int(parts[1]) else {
            return nil
        }
        let before = bitsBefore(address, writtenAs: parts[0])
        let bits = given >= before ? given - before : given
        guard (0...(address.bytes.count * 8)).contains(bits) else { return nil }
        return IPNetwork(of: address, bits: bits)
    }

    /// How many bits of a written address come before those that are kept: 96 of a mapped one.
    private static func bitsBefore(_ address: IPAddress, writtenAs text: Substring) -> Int {
        address.bytes.count == 4 && text.utf8.contains(UInt8(ascii: ":")) ? 96 : 0
    }

    /// The block as it is written; one address without a prefix.
    package var description: String {
        prefixBits == base.bytes.count * 8 ? base.description : "\(base)/\(prefixBits)"
    }

    /// Whether `address` is in the block.
    package func contains(_ address: IPAddress) -> Bool {
        guard address.bytes.count == base.bytes.count else { return false }
        let whole = prefixBits / 8
        guard address.bytes[..<whole] == base.bytes[..<whole] else { return false }
        let rest = prefixBits % 8
        guard rest > 0 else { return true }
        return address.bytes[whole] >> (8 - rest) == base.bytes[whole] >> (8 - rest)
    }
}

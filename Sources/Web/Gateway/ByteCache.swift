// A bounded memory from byte strings to values, for one event loop: no lock, and no copy to look
// something up. Found by a hash that is keyed per process, compared whole in constant time.

/// Values by the bytes they belong to, in two generations: when the young one is full it becomes
/// the old one, and what is asked for again moves back.
struct ByteCache<Value> {
    private struct Entry {
        let bytes: [UInt8]
        let value: Value
    }
    private var young: [Int: Entry] = [:]
    private var old: [Int: Entry] = [:]
    private let generationLimit: Int
    private let hashedBytes: Int

    /// A cache of at most `limit` values.
    ///
    /// - Parameter hashedBytes: how many bytes, from the last one, the hash is made of; all are
    /// compared.
    init(limit: Int, hashedBytes: Int) {
        generationLimit = max(1, limit / 2)
        self.hashedBytes = hashedBytes
    }

    /// How many are remembered.
    var count: Int { young.count + old.count }

    /// The value of `bytes`.
    mutating func find(_ bytes: UnsafeRawBufferPointer) -> Value? {
        let key = hash(bytes)
        if let entry = young[key] { return Self.equal(entry.bytes, bytes) ? entry.value : nil }
        guard let entry = old[key], Self.equal(entry.bytes, bytes) else { return nil }
        insert(entry, key)
        return entry.value
    }

    /// Remembers `value`.
    mutating func insert(_ value: Value, for bytes: [UInt8]) {
        let key = bytes.withUnsafeBytes { hash($0) }
        insert(Entry(bytes: bytes, value: value), key)
    }

    private mutating func insert(_ entry: Entry, _ key: Int) {
        if young.count >= generationLimit, young[key] == nil {
            old = young
            young = [:]
        }
        young[key] = entry
    }

    /// Swift's hasher is SipHash with a key drawn at start.
    private func hash(_ bytes: UnsafeRawBufferPointer) -> Int {
        var hasher = Hasher()
        let from = max(0, bytes.count - hashedBytes)
        hasher.combine(bytes: UnsafeRawBufferPointer(rebasing: bytes[from...]))
        return hasher.finalize()
    }

    private static func equal(_ left: [UInt8], _ right: UnsafeRawBufferPointer) -> Bool {
        guard left.count == right.count else { return false }
        return left.withUnsafeBytes { left in
            var difference: UInt64 = 0
            var at = 0
            while at + 8 <= left.count {
                difference |=
                    left.loadUnaligned(fromByteOffset: at, as: UInt64.self)
                    ^ right.loadUnaligned(fromByteOffset: at, as: UInt64.self)
                at += 8
            }
            while at < left.count {
                difference |= UInt64(left[at] ^ right[at])
                at += 1
            }
            return difference == 0
        }
    }
}

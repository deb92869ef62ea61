// One block of bytes out of any sequence of them. A generic loop over a sequence is compiled once,
// for every sequence, where its caller is another module: hundreds of nanoseconds for each byte.
// A loop over a block is compiled for bytes.

extension Sequence<UInt8> {
    /// Lends the bytes, without a copy where they lie in one piece.
    func withBlock<R>(_ body: (UnsafeBufferPointer<UInt8>) -> R) -> R {
        withContiguousStorageIfAvailable(body) ?? Array(self).withUnsafeBufferPointer(body)
    }
}

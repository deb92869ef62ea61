// A request's body, not yet read. Whoever reads it names the largest size it takes.
package import HTTPTypes
internal import Primitives

/// Reads a body once.
package struct IncomingBody: Sendable {
    /// Whether the request announced a body at all.
    package let isPresent: Bool
    /// The announced length; nil when it is chunked or absent.
    package let length: Int?
    private let pieces: @Sendable (Int) async throws -> [UInt8]

    /// A body that `collect` reads, failing with `body-too-large` beyond the limit given to it.
    package init(
        headers: HTTPFields,
        collect: @escaping @Sendable (Int) async throws -> [UInt8]
    ) {
        length = headers[.contentLength].flatMap { Int($0) }
        isPresent = (length ?? 0) > 0 || headers.contains(.transferEncoding)
        pieces = collect
    }

    /// The whole body.
    ///
    /// - Throws: `body-too-large` when it has more than `limit` bytes; `request-timeout` or
    ///   `malformed-request` when it does not arrive as it should.
    package func collect(_ limit: Int) async throws -> [UInt8] {
        guard isPresent else { return [] }
        if let length, length > limit { throw WebRefusal(.bodyTooLarge) }
        return try await pieces(limit)
    }
}

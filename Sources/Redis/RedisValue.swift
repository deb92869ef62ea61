// A reply of Redis as a value (RESP2). Error replies are not values: they are thrown.

/// One reply.
package enum RedisValue: Sendable, Equatable {
    /// The nil bulk string or the nil array.
    case null
    case integer(Int64)
    case bulk([UInt8])
    case status(String)
    case array([RedisValue])

    /// The number; nil for other replies.
    ///
    /// A bulk string of digits is one too.
    package var integer: Int64? {
        switch self {
        case .integer(let value): value
        case .bulk(let bytes): Int64(String(decoding: bytes, as: UTF8.self))
        case .null, .status, .array: nil
        }
    }

    /// The bytes of a bulk string; nil for other replies.
    package var bytes: [UInt8]? {
        if case .bulk(let bytes) = self { bytes } else { nil }
    }

    /// The text of a bulk string (invalid UTF-8 is mended) or status; nil for other replies.
    package var text: String? {
        switch self {
        case .bulk(let bytes): String(decoding: bytes, as: UTF8.self)
        case .status(let text): text
        case .null, .integer, .array: nil
        }
    }

    /// The elements; nil for other replies.
    package var array: [RedisValue]? {
        if case .array(let elements) = self { elements } else { nil }
    }
}

// hiredis as the decoder of RESP2: bytes in, values out. It owns the C reader and nothing else.
// The reply objects are ours, not hiredis': so the number of elements and the size of a reply are
// bounded before memory is taken, and nothing is copied twice. Depth is bounded by hiredis (7).
internal import CRedis
internal import NIOCore

/// Turns a stream of bytes into replies.
///
/// Confined to one event loop.
///
/// `@safe`: the two pointers are made here, never handed out, and freed with the object.
@safe final class ReplyReader {
    /// The largest reply, in bytes on the wire.
    static let replyBytesLimit = 16 << 20
    /// The largest number of elements of one array.
    static let elementsLimit: Int32 = 1 << 20
    /// hiredis moves its buffer as it consumes it; small bites keep that cheap.
    private static let biteBytes = 16 << 10

    /// A reply as it grows; the parent owns its children.
    fileprivate final class Node {
        enum Content {
            case value(RedisValue)
            case failure(String)
            case array([Node])
        }
        var content: Content
        init(_ content: Content) { self.content = content }
    }

    private let reader: UnsafeMutablePointer<redisReader>
    private let functions: UnsafeMutablePointer<redisReplyObjectFunctions>
    /// Bytes fed since the last complete reply.
    private var pendingBytes = 0

    /// A reader at the start of a stream.
    init() throws(RedisError) {
        unsafe functions = .allocate(capacity: 1)
        unsafe functions.initialize(to: Self.objectFunctions)
        guard let reader = unsafe redisReaderCreateWithFunctions(functions) else {
            unsafe functions.deallocate()
            throw RedisError(.connection("no memory for a reader"))
        }
        unsafe self.reader = reader
    }

    deinit {
        unsafe redisReaderFree(reader)
        unsafe functions.deallocate()
    }

    /// Consumes `buffer` and hands every complete reply to `body`, in order, until it says false.
    func read(
        _ buffer: ByteBuffer,
        _ body: (Result<RedisValue, RedisError>) -> Bool
    ) throws(RedisError) {
        var rest = buffer
        while let bite = rest.readSlice(length: min(rest.readableBytes, Self.biteBytes)),
            bite.readableBytes > 0
        {
            let fed = unsafe bite.withUnsafeReadableBytes { bytes in
                unsafe redisReaderFeed(reader, bytes.baseAddress, bytes.count)
            }
            guard fed == REDIS_OK else { throw violation() }
            pendingBytes += bite.readableBytes
            while let reply = try nextReply() {
                pendingBytes = unsafe reader.pointee.len - reader.pointee.pos
                guard body(reply) else { return }
            }
            guard pendingBytes <= Self.replyBytesLimit else {
                throw RedisError(.protocolViolation("a reply is too large"))
            }
        }
    }

    private func nextReply() throws(RedisError) -> Result<RedisValue, RedisError>? {
        var object: UnsafeMutableRawPointer?
        guard unsafe redisReaderGetReply(reader, &object) == REDIS_OK else { throw violation() }
        guard let object = unsafe object else { return nil }
        // The reader gave up the root with its reply; this takes over the count of its creation.
        let node = unsafe Unmanaged<Node>.fromOpaque(object).takeRetainedValue()
        do throws(RedisError) {
            return .success(try Self.value(of: node))
        } catch {
            return .failure(error)
        }
    }

    private func violation() -> RedisError {
        let text = unsafe withUnsafeBytes(of: reader.pointee.errstr) { bytes in
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        return RedisError(.protocolViolation(text.isEmpty ? "unreadable reply" : text))
    }

    /// An error anywhere in a reply makes the whole reply an error.
    private static func value(of node: Node) throws(RedisError) -> RedisValue {
        switch node.content {
        case .value(let value): return value
        case .failure(let text): throw RedisError(reply: text)
        case .array(let nodes):
            var elements: [RedisValue] = []
            elements.reserveCapacity(nodes.count)
            for node in nodes { elements.append(try value(of: node)) }
            return .array(elements)
        }
    }

    // hiredis calls these while it parses, on the thread that called redisReaderGetReply. A root is
    // retained for the reader and released by `nextReply` or `freeObject`; a child is retained by
    // its parent's array alone, and its address stays valid as long as the root does.
    private static var objectFunctions: redisReplyObjectFunctions {
        unsafe redisReplyObjectFunctions(
            createString: { task, text, length in
                let bytes = unsafe UnsafeRawBufferPointer(start: text, count: length)
                let content: Node.Content =
                    switch unsafe task?.pointee.type {
                    case REDIS_REPLY_ERROR:
                        unsafe .failure(String(decoding: bytes, as: UTF8.self))
                    case REDIS_REPLY_STATUS:
                        unsafe .value(.status(String(decoding: bytes, as: UTF8.self)))
                    default: unsafe .value(.bulk(Array(bytes)))
                    }
                return unsafe ReplyReader.attach(content, task)
            },
            createArray: { task, count in
                // A null result makes hiredis report an error and drop the partial reply.
                guard count <= ReplyReader.elementsLimit else { return nil }
                return unsafe ReplyReader.attach(.array([]), task)
            },
            createInteger: { task, number in
                unsafe ReplyReader.attach(.value(.integer(Int64(number))), task)
            },
            createNil: { task in unsafe ReplyReader.attach(.value(.null), task) },
            freeObject: { object in
                guard let object = unsafe object else { return }
                unsafe Unmanaged<Node>.fromOpaque(object).release()
            }
        )
    }

    fileprivate static func attach(
        _ content: Node.Content,
        _ task: UnsafePointer<redisReadTask>?
    ) -> UnsafeMutableRawPointer {
        let node = Node(content)
        guard let parent = unsafe task?.pointee.parent?.pointee.obj else {
            return unsafe Unmanaged.passRetained(node).toOpaque()
        }
        let owner = unsafe Unmanaged<Node>.fromOpaque(parent).takeUnretainedValue()
        if case .array(var nodes) = owner.content {
            owner.content = .array([])
            nodes.append(node)
            owner.content = .array(nodes)
        }
        return unsafe Unmanaged.passUnretained(node).toOpaque()
    }
}

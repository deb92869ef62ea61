// Commands and scripts. Every argument goes out with its length in front, so no byte in it (NUL,
// CR, LF) can end it or start another command: there is no format string and no inline command.
internal import Crypto
internal import NIOCore
internal import Primitives

/// One argument of a command.
package enum RedisArgument: Sendable, Equatable, ExpressibleByStringLiteral,
    ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral
{
    case text(String)
    case number(Int)
    case bytes([UInt8])

    /// An argument of the UTF-8 of `text`.
    package init(_ text: String) { self = .text(text) }
    /// An argument of the decimal digits of `number`.
    package init(_ number: Int) { self = .number(number) }
    /// An argument of these bytes.
    package init(_ bytes: [UInt8]) { self = .bytes(bytes) }
    package init(stringLiteral value: String) { self = .text(value) }
    package init(integerLiteral value: Int) { self = .number(value) }

    /// How many bytes the argument may take, for the bound on commands.
    fileprivate var byteCount: Int {
        switch self {
        case .text(let text): text.utf8.count
        case .number: 20
        case .bytes(let bytes): bytes.count
        }
    }

    fileprivate func write(to buffer: inout ByteBuffer) {
        switch self {
        case .text(let text):
            buffer.writeLength("$", text.utf8.count)
            buffer.writeString(text)
        case .number(let number):
            let digits = String(number)
            buffer.writeLength("$", digits.utf8.count)
            buffer.writeString(digits)
        case .bytes(let bytes):
            buffer.writeLength("$", bytes.count)
            buffer.writeBytes(bytes)
        }
        buffer.writeStaticString("\r\n")
    }
}

/// One command for Redis.
package struct RedisCommand: Sendable, Equatable {
    private let words: [RedisArgument]

    /// A command of a name and its arguments.
    package init(_ name: String, _ arguments: RedisArgument...) {
        self.init(name, arguments: arguments)
    }

    /// A command of a name and a list of arguments.
    package init(_ name: String, arguments: [RedisArgument]) {
        words = [.text(name)] + arguments
    }

    /// About how many bytes it takes on the wire; never too few.
    var byteCount: Int { words.reduce(16) { $0 + $1.byteCount + 26 } }

    /// Appends the command as RESP2.
    func write(to buffer: inout ByteBuffer) {
        buffer.writeLength("*", words.count)
        for word in words { word.write(to: &buffer) }
    }
}

/// A Lua script that Redis keeps and runs by its digest.
package struct RedisScript: Sendable, Equatable {
    /// What it is called in logs.
    package let name: String
    /// The Lua text.
    package let source: String
    /// The lower-case hexadecimal SHA-1 of the text: the name Redis gives it, not a protection.
    package let sha1: String

    /// A script of this text.
    package init(name: String, source: String) {
        self.name = name
        self.source = source
        sha1 = Hex.encode(Insecure.SHA1.hash(data: Array(source.utf8)))
    }

    /// The command that runs it.
    func command(keys: [String], arguments: [RedisArgument]) -> RedisCommand {
        RedisCommand(
            "EVALSHA",
            arguments: [.text(sha1), .number(keys.count)] + keys.map(RedisArgument.text)
                + arguments
        )
    }

    /// The command that makes Redis keep it.
    var loading: RedisCommand { RedisCommand("SCRIPT", "LOAD", .text(source)) }
}

extension ByteBuffer {
    fileprivate mutating func writeLength(_ sign: StaticString, _ length: Int) {
        writeStaticString(sign)
        if length < 10 {
            writeInteger(UInt8(ascii: "0") + UInt8(length))
        } else {
            writeString(String(length))
        }
        writeStaticString("\r\n")
    }
}

// The characters HTTP allows where, as one table each (RFC 9110 section 5.6.2, RFC 9112 section 3).

/// Which bytes may stand where in a request head.
package enum HeadRules {
    private static let tokens: [Bool] = {
        var table = [Bool](repeating: false, count: 256)
        let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
        for byte in (letters + "!#$%&'*+-.^_`|~").utf8 { table[Int(byte)] = true }
        return table
    }()

    /// The methods that the parser behind the guard knows, and names as they came: `M-SEARCH` it
    /// calls `MSEARCH`, and a rule for one would not be found for the other.
    package static let methods: Set<String> = [
        "ACL", "BIND", "CHECKOUT", "COPY", "DELETE", "GET", "HEAD", "LINK", "LOCK",
        "MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL", "MOVE", "NOTIFY", "OPTIONS", "PATCH", "POST",
        "PROPFIND", "PROPPATCH", "PURGE", "PUT", "REBIND", "REPORT", "SEARCH", "SOURCE",
        "SUBSCRIBE", "TRACE", "UNBIND", "UNLINK", "UNLOCK", "UNSUBSCRIBE",
    ]

    /// Whether `byte` may stand in a method or a field name.
    package static func isToken(_ byte: UInt8) -> Bool { tokens[Int(byte)] }

    /// Whether `byte` may stand in a field value.
    package static func isFieldValue(_ byte: UInt8) -> Bool {
        byte == 0x09 || (byte >= 0x20 && byte != 0x7F)
    }

    /// Whether `byte` may stand in a request target: visible ASCII without what no URL holds.
    package static func isTarget(_ byte: UInt8) -> Bool {
        byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: "#") && byte != UInt8(ascii: "\"")
            && byte != UInt8(ascii: "<") && byte != UInt8(ascii: ">")
    }

    /// Whether `byte` may stand in `Host`: a name, an address in brackets, a port.
    package static func isHost(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"),
            UInt8(ascii: "_"), UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "]"):
            true
        default: false
        }
    }
}

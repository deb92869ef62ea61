// Reads `redis://[user:password@]host[:port][/db]`, `rediss://…[?ca=FILE]` and
// `unix://[user:password@]/path[?db=N]`. Strict: what it does not understand it refuses, since a
// mistyped option that is ignored may be the one that made the connection safe.
internal import Primitives

extension RedisConfiguration {
    /// Reads a URL; host names are not looked up.
    package init(url: String) throws(Malformed) {
        guard let (scheme, afterScheme) = url.splitOnce("://") else {
            throw Malformed("A Redis URL starts with redis://, rediss:// or unix://.")
        }
        let (beforeQuery, query) = afterScheme.splitOnce("?") ?? (afterScheme, "")
        let authorityEnd = beforeQuery.firstIndex(of: "/") ?? beforeQuery.endIndex
        var authority = beforeQuery[..<authorityEnd]
        let path = beforeQuery[authorityEnd...]
        var login: Substring?
        if let at = authority.lastIndex(of: "@") {
            login = authority[..<at]
            authority = authority[authority.index(after: at)...]
        }
        switch scheme {
        case "redis", "rediss":
            self.init(address: try Self.tcp(authority))
            if scheme == "rediss" { tls = TLS() }
            if path.count > 1 { database = try Self.number(of: path.dropFirst()) }
        case "unix":
            guard authority.isEmpty, path.count > 1 else {
                throw Malformed("A unix:// Redis URL needs an absolute path: unix:///run/x.sock.")
            }
            self.init(address: .unix(path: try Self.decoded(path)))
        default:
            throw Malformed("A Redis URL starts with redis://, rediss:// or unix://.")
        }
        if let login { try readLogin(login) }
        try readOptions(query)
    }

    private mutating func readLogin(_ login: Substring) throws(Malformed) {
        guard let (name, secret) = login.splitOnce(":") else {
            throw Malformed("A Redis URL with a user needs a password too: user:password@host.")
        }
        user = name.isEmpty ? nil : try Self.decoded(name)
        password = Secret(try Self.decoded(secret))
    }

    private mutating func readOptions(_ query: Substring) throws(Malformed) {
        for option in query.split(separator: "&") {
            let (name, value) = option.splitOnce("=") ?? (option, "")
            switch name {
            case "db": database = try Self.number(of: value)
            case "ca" where tls != nil: tls = TLS(authorityFile: try Self.decoded(value))
            case "ca": throw Malformed("The option \"ca\" of a Redis URL needs rediss://.")
            default:
                throw Malformed("A Redis URL has an unknown option; \"db\" and \"ca\" are known.")
            }
        }
    }

    private static func number(of text: Substring) throws(Malformed) -> Int {
        guard let number = Int(text), (0...65_535).contains(number), text.first != "+" else {
            throw Malformed("The database of a Redis URL is a number from 0.")
        }
        return number
    }

    private static func tcp(_ authority: Substring) throws(Malformed) -> Address {
        var host = authority
        var port: Substring?
        if authority.first == "[" {
            guard let (inner, rest) = authority.dropFirst().splitOnce("]"),
                rest.isEmpty || rest.first == ":"
            else { throw Malformed("The IPv6 address of a Redis URL is not closed by \"]\".") }
            host = inner
            port = rest.isEmpty ? nil : rest.dropFirst()
        } else if let (name, digits) = authority.splitOnce(":") {
            host = name
            port = digits
        }
        guard !host.isEmpty else { throw Malformed("A Redis URL needs a host.") }
        guard let port else { return .tcp(host: String(host), port: 6379) }
        guard let number = Int(port), (1...65_535).contains(number), port.first != "+" else {
            throw Malformed("The port of a Redis URL is a number from 1 to 65535.")
        }
        return .tcp(host: String(host), port: number)
    }

    private static func decoded(_ text: Substring) throws(Malformed) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(Hex.value(of:)),
                let low = rest.popFirst().flatMap(Hex.value(of:))
            else { throw Malformed("A \"%\" in a Redis URL needs two hexadecimal digits.") }
            bytes.append(high << 4 | low)
        }
        guard let decoded = String(validating: bytes, as: UTF8.self) else {
            throw Malformed("A Redis URL decodes to bytes that are not UTF-8.")
        }
        return decoded
    }
}

extension RedisConfiguration.Malformed {
    fileprivate init(_ description: String) { self.description = description }
}

extension StringProtocol where SubSequence == Substring {
    /// The text before and after the first `separator`; nil when it does not occur.
    fileprivate func splitOnce(_ separator: String) -> (Substring, Substring)? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(separator) {
                return (self[..<start], self[index(start, offsetBy: separator.count)...])
            }
            start = index(after: start)
        }
        return nil
    }
}

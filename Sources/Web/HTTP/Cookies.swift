// Cookies as RFC 6265 spells them, strictly: a pair that is not well-formed is dropped, a name that
// comes twice can be seen to (a sibling domain may have planted one), and what we set always has
// its prefix, Secure, HttpOnly and SameSite written out.
package import HTTPTypes
internal import Primitives

/// The cookies of one request.
package struct Cookies: Sendable {
    /// The most pairs looked at.
    package static let maximumPairs = 64

    private let pairs: [(name: Substring, value: Substring)]

    /// Reads every `Cookie` line.
    package init(_ headers: HTTPFields) {
        var pairs: [(name: Substring, value: Substring)] = []
        for line in headers[values: .cookie] {
            for piece in line.split(separator: ";") {
                let pair = piece.drop { $0 == " " || $0 == "\t" }
                guard let equals = pair.firstIndex(of: "="), pairs.count < Self.maximumPairs else {
                    continue
                }
                let name = pair[..<equals]
                var value = pair[pair.index(after: equals)...]
                while let last = value.last, last == " " || last == "\t" { value.removeLast() }
                guard !name.isEmpty, name.utf8.allSatisfy(Self.isToken),
                    value.utf8.allSatisfy(Self.isCookieOctet)
                else { continue }
                pairs.append((name, value))
            }
        }
        self.pairs = pairs
    }

    /// Every value sent under `name`, in order; more than one means that somebody else set one too.
    package func values(_ name: String) -> [String] {
        pairs.filter { $0.name == name }.map { String($0.value) }
    }

    /// The value of `name`; nil when it is absent or was sent more than once (row 254).
    package func only(_ name: String) -> String? {
        let found = values(name)
        return found.count == 1 ? found[0] : nil
    }

    static func isToken(_ byte: UInt8) -> Bool { HeadRules.isToken(byte) }

    static func isCookieOctet(_ byte: UInt8) -> Bool {
        byte > 0x20 && byte < 0x7F && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: ",")
            && byte != UInt8(ascii: ";") && byte != UInt8(ascii: "\\")
    }
}

/// A cookie to be set.
package struct SetCookie: Hashable, Sendable {
    /// When browsers send the cookie along on requests from other sites.
    package enum SameSite: String, Sendable {
        case strict = "Strict"
        case lax = "Lax"
    }

    /// What the name promises (RFC 6265bis section 4.1.3).
    package enum Prefix: String, Sendable {
        /// Secure, for this host alone, for every path.
        case host = "__Host-"
        /// Secure.
        case secure = "__Secure-"
        /// Nothing: plain HTTP on localhost, in development.
        case none = ""
    }

    /// The whole name, prefix included.
    package let name: String
    /// The text of the header field.
    package let field: String

    /// A cookie; `lifetime` nil means until the browser closes.
    package init(
        _ prefix: Prefix,
        _ name: String,
        value: String,
        path: String = "/",
        sameSite: SameSite,
        isReadable: Bool = false,
        lifetime: Duration?
    ) {
        precondition(!name.isEmpty && name.utf8.allSatisfy(Cookies.isToken), "bad cookie name")
        precondition(value.utf8.allSatisfy(Cookies.isCookieOctet), "bad cookie value")
        precondition(prefix != .host || path == "/", "__Host- cookies have the path /")
        precondition(path.hasPrefix("/") && path.utf8.allSatisfy(Cookies.isCookieOctet), "bad path")
        self.name = prefix.rawValue + name
        var text = "\(self.name)=\(value); Path=\(path); SameSite=\(sameSite.rawValue)"
        if let lifetime { text += "; Max-Age=\(max(0, lifetime.wholeSeconds))" }
        if prefix != .none { text += "; Secure" }
        if !isReadable { text += "; HttpOnly" }
        field = text
    }

    /// The same cookie, emptied and expired.
    package static func clearing(
        _ prefix: Prefix,
        _ name: String,
        path: String = "/",
        sameSite: SameSite
    ) -> Self {
        Self(prefix, name, value: "", path: path, sameSite: sameSite, lifetime: .zero)
    }
}

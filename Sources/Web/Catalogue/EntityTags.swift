// Entity tags from version numbers: `"v7"` (RFC 9110 section 8.8.3), and the two conditions on
// them. Only strong tags are made. A tag that is not ours matches nothing, and is no mistake.
internal import HTTPTypes
internal import Primitives

/// What `If-Match` or `If-None-Match` holds.
enum EntityTags: Equatable {
    case any
    case list([Tag])

    struct Tag: Equatable {
        let isWeak: Bool
        let opaque: String

        /// The version that a tag of ours names.
        var version: Int64? {
            guard opaque.utf8.first == UInt8(ascii: "v"), let number = Int64(opaque.dropFirst()),
                opaque == "v\(number)"
            else { return nil }
            return number
        }
    }

    /// The tag of a version.
    static func field(_ version: Int64) -> String { "\"v\(version)\"" }

    /// Reads all lines of a field; nil where there are none.
    ///
    /// - Throws: `malformed-request` for anything but `*` or a list of tags.
    init?(_ name: HTTPField.Name, _ headers: HTTPFields) throws(WebRefusal) {
        let lines = headers[values: name]
        guard !lines.isEmpty else { return nil }
        let text = lines.joined(separator: ",")
        if text == "*" {
            self = .any
            return
        }
        guard let tags = Self.parse(Array(text.utf8)), !tags.isEmpty else {
            throw WebRefusal(.malformedRequest, "\(name) must be * or a list of entity tags.")
        }
        self = .list(tags)
    }

    private static func parse(_ bytes: [UInt8]) -> [Tag]? {
        var tags: [Tag] = []
        var rest = bytes[...]
        while true {
            // Empty members of a list are to be read over (RFC 9110 section 5.6.1.2).
            rest = rest.drop { $0 == 0x20 || $0 == 0x09 || $0 == UInt8(ascii: ",") }
            guard !rest.isEmpty else { return tags }
            let isWeak = rest.starts(with: "W/".utf8)
            if isWeak { rest = rest.dropFirst(2) }
            guard rest.first == UInt8(ascii: "\"") else { return nil }
            rest = rest.dropFirst()
            guard let end = rest.firstIndex(of: UInt8(ascii: "\"")),
                rest[..<end].allSatisfy({ $0 > 0x20 && $0 != 0x7F })
            else { return nil }
            tags.append(Tag(isWeak: isWeak, opaque: String(decoding: rest[..<end], as: UTF8.self)))
            rest = rest[rest.index(after: end)...].drop { $0 == 0x20 || $0 == 0x09 }
            guard rest.isEmpty || rest.first == UInt8(ascii: ",") else { return nil }
        }
    }

    /// The versions that strong tags of ours name (section 13.1.1: weak ones match nothing).
    var expected: ExpectedVersion {
        switch self {
        case .any: .any
        case .list(let tags): .oneOf(tags.filter { !$0.isWeak }.compactMap(\.version))
        }
    }

    /// Whether the copy with `tag` is among them, strong or weak (section 13.1.2).
    func includes(_ tag: String) -> Bool {
        switch self {
        case .any: true
        case .list(let tags): tags.contains { "\"\($0.opaque)\"" == tag }
        }
    }
}

extension OperationInfo {
    /// The version that a change says it is made to; nil where none is taken.
    ///
    /// - Throws: `version-required`, or `malformed-request`.
    func expectedVersion(_ headers: HTTPFields) throws(WebRefusal) -> ExpectedVersion? {
        let isNeeded = traits.contains(.needsVersion)
        guard isNeeded || traits.contains(.takesVersion) else { return nil }
        guard let tags = try EntityTags(.ifMatch, headers) else {
            if isNeeded { throw WebRefusal(.versionRequired) }
            return .any
        }
        return tags.expected
    }

    /// 304 in place of what the caller has already (RFC 9110 section 15.4.5).
    func notModified(_ reply: Reply, _ headers: HTTPFields) throws(WebRefusal) -> Reply {
        guard answersNotModified, reply.status.code == 200, let tag = reply.headers[.eTag],
            let known = try EntityTags(.ifNoneMatch, headers), known.includes(tag)
        else { return reply }
        return Reply(304, headers: [.eTag: tag])
    }
}

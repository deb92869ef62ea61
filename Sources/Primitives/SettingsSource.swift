// Reads settings, one line each, and remembers every declaration and every complaint, so that the
// manual and the checks come from the same lines as the values. It asks a closure for the text and
// so knows nothing of files, variables or flags. A bad value never stops the reading: the default
// stands in, the complaint is kept, and whoever starts the process refuses on any complaint.

/// Hands out the values of settings to the structs that declare them.
///
/// Not `Sendable`: it lives for the few lines of the composition root that read the settings.
package final class SettingsSource {
    let lookup: (String) -> RawSetting?

    /// Every setting read so far, in order.
    package internal(set) var declarations: [SettingDeclaration] = []

    /// Everything found wrong so far.
    package private(set) var complaints: [SettingComplaint] = []

    /// A source that asks `lookup` for the text of a dotted name.
    package init(lookup: @escaping (String) -> RawSetting?) { self.lookup = lookup }

    /// A source without values: what is read from it are the defaults, and the declarations are
    /// the manual.
    package static func recording() -> SettingsSource { SettingsSource { _ in nil } }

    /// Adds a complaint found elsewhere, so that all are reported together.
    package func complain(_ complaint: SettingComplaint) { complaints.append(complaint) }

    /// A length of time.
    package func duration(
        _ name: String,
        default standard: Duration,
        within limits: ClosedRange<Duration>,
        help: String
    ) -> Duration {
        read(
            Field(
                name,
                .duration,
                standard,
                "\(SettingText.text(of: limits.lowerBound)) to "
                    + SettingText.text(of: limits.upperBound),
                help
            ),
            write: SettingText.text(of:)
        ) { text throws(Refused) in
            guard let value = SettingText.duration(text) else {
                throw Refused("must be a duration such as 10s, 15m or 14d")
            }
            return try Self.check(value, limits, SettingText.text(of:))
        }
    }

    /// A whole number.
    package func integer(
        _ name: String,
        default standard: Int,
        within limits: ClosedRange<Int>,
        help: String
    ) -> Int {
        let words = "\(limits.lowerBound) to \(limits.upperBound)"
        let field = Field(name, .integer, standard, words, help)
        return read(field, write: String.init) { text throws(Refused) in
            guard let value = Int(text) else { throw Refused("must be a whole number") }
            return try Self.check(value, limits, String.init)
        }
    }

    /// A size in bytes.
    package func bytes(
        _ name: String,
        default standard: Int,
        within limits: ClosedRange<Int>,
        help: String
    ) -> Int {
        let words =
            "\(SettingText.text(ofBytes: limits.lowerBound)) to "
            + SettingText.text(ofBytes: limits.upperBound)
        return read(
            Field(name, .bytes, standard, words, help),
            write: SettingText.text(ofBytes:)
        ) { text throws(Refused) in
            guard let value = SettingText.bytes(text) else {
                throw Refused("must be a size such as 512B, 64KiB or 10MiB")
            }
            return try Self.check(value, limits, SettingText.text(ofBytes:))
        }
    }

    /// `true` or `false`, and nothing else: "yes" is not guessed at.
    package func boolean(_ name: String, default standard: Bool, help: String) -> Bool {
        let field = Field(name, .boolean, standard, nil, help)
        return read(field, write: String.init) { text throws(Refused) in
            guard let value = Bool(text) else { throw Refused("must be true or false") }
            return value
        }
    }

    /// Any text of at most `longest` characters, without control characters.
    package func text(
        _ name: String,
        default standard: String,
        longest: Int = 1000,
        help: String
    ) -> String {
        read(
            Field(name, .text, standard, "at most \(longest) characters", help),
            write: { $0 }
        ) { text throws(Refused) in
            guard text.count <= longest else {
                throw Refused("must have at most \(longest) characters")
            }
            return try Self.printable(text)
        }
    }

    /// A secret; nil where none is set.
    ///
    /// Never read from a flag, where `ps` would show it (checklist row 284).
    package func secret(_ name: String, help: String) -> Secret? {
        let field = Field<Secret?>(name, .secret, nil, nil, help)
        return read(field, write: { $0 == nil ? "" : "••••" }) { text throws(Refused) in
            .some(Secret(text))
        }
    }

    /// One of the cases of `Choice`.
    package func choice<Choice>(
        _ name: String,
        _ type: Choice.Type,
        default standard: Choice,
        help: String
    ) -> Choice where Choice: CaseIterable & RawRepresentable<String> {
        let words = Choice.allCases.map(\.rawValue)
        return read(
            Field(name, .choice(words), standard, words.joined(separator: ", "), help),
            write: { $0.rawValue }
        ) { text throws(Refused) in
            guard let value = Choice(rawValue: text) else {
                throw Refused("must be one of \(words.joined(separator: ", "))")
            }
            return value
        }
    }

    /// Words separated by commas; spaces around them do not count, empty ones are refused.
    package func list(
        _ name: String,
        default standard: [String],
        atMost limit: Int = 100,
        help: String
    ) -> [String] {
        read(
            Field(name, .list, standard, "at most \(limit) entries", help),
            write: { $0.joined(separator: ",") }
        ) { text throws(Refused) in
            if text.isEmpty { return [] }
            let words = text.split(separator: ",", omittingEmptySubsequences: false)
                .map { String($0.trimmingSpaces) }
            guard words.count <= limit else { throw Refused("must have at most \(limit) entries") }
            guard !words.contains("") else { throw Refused("must not have an empty entry") }
            for word in words { _ = try Self.printable(word) }
            return words
        }
    }

    /// A URL with one of these schemes; empty where none is set and there is no default.
    package func url(
        _ name: String,
        default standard: String = "",
        schemes: [String] = ["https", "http"],
        help: String
    ) -> String {
        let words = schemes.map { $0 + "://" }.joined(separator: " or ")
        return read(
            Field(name, .url, standard, words, help),
            write: SettingText.withoutPassword
        ) { text throws(Refused) in
            guard let parts = SettingText.url(text), schemes.contains(parts.scheme) else {
                throw Refused("must be a URL that begins with \(words)", hidesValue: true)
            }
            return text
        }
    }

    /// A path in the file system.
    package func path(_ name: String, default standard: String, help: String) -> String {
        read(Field(name, .path, standard, nil, help), write: { $0 }) { text throws(Refused) in
            guard !text.isEmpty else { throw Refused("must not be empty") }
            return try Self.printable(text)
        }
    }
}

extension Substring {
    fileprivate var trimmingSpaces: Substring {
        var part = drop { $0 == " " }
        while part.last == " " { part.removeLast() }
        return part
    }
}

// How settings are written: durations, sizes and URLs as text, both ways. Strict, because a
// misread unit (`15` minutes or seconds?) is a security setting gone wrong.

/// Reads and writes the values of settings.
package enum SettingText {
    private static let durations: [(unit: String, microseconds: Int64)] = [
        ("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000),
        ("ms", 1000), ("us", 1),
    ]
    private static let sizes: [(unit: String, bytes: Int)] = [
        ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1),
    ]

    /// `15m`, `10s`, `14d`, `500ms` or plain seconds; nil for anything else, fractions and signs
    /// included.
    package static func duration(_ text: String) -> Duration? {
        let (digits, unit) = split(text)
        guard let count = Int64(digits) else { return nil }
        let factor =
            unit.isEmpty ? 1_000_000 : durations.first { $0.unit == unit }?.microseconds
        guard let factor else { return nil }
        let (micros, overflow) = count.multipliedReportingOverflow(by: factor)
        return overflow ? nil : .microseconds(micros)
    }

    /// The shortest exact spelling of `duration`: `15m`, not `900s`.
    package static func text(of duration: Duration) -> String {
        let micros = duration.wholeMicroseconds
        guard micros != 0 else { return "0s" }
        for (unit, factor) in durations where micros % factor == 0 {
            return "\(micros / factor)\(unit)"
        }
        return "\(micros)us"
    }

    /// `64KiB`, `10MiB`, `512B` or plain bytes; nil for anything else.
    package static func bytes(_ text: String) -> Int? {
        let (digits, unit) = split(text)
        guard let count = Int(digits) else { return nil }
        let factor = unit.isEmpty ? 1 : sizes.first { $0.unit == unit }?.bytes
        guard let factor else { return nil }
        let (bytes, overflow) = count.multipliedReportingOverflow(by: factor)
        return overflow ? nil : bytes
    }

    /// The shortest exact spelling of a size.
    package static func text(ofBytes bytes: Int) -> String {
        for (unit, factor) in sizes where bytes % factor == 0 && bytes >= factor {
            return "\(bytes / factor)\(unit)"
        }
        return "\(bytes)B"
    }

    /// The parts of `scheme://[user[:password]@]rest`; nil without a scheme, with nothing after
    /// it, or with white space or control characters anywhere.
    package static func url(_ text: String) -> (scheme: String, password: Substring?)? {
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7f }) else { return nil }
        guard let colon = text.firstIndex(of: ":") else { return nil }
        let scheme = text[..<colon].lowercased()
        let rest = text[text.index(after: colon)...]
        guard rest.hasPrefix("//"), rest.count > 2,
            scheme.utf8.allSatisfy({ isSchemeByte($0) }), scheme.first?.isLetter == true
        else { return nil }
        let authority = rest.dropFirst(2).prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        guard let at = authority.lastIndex(of: "@") else { return (scheme, nil) }
        let user = authority[..<at]
        guard let mark = user.firstIndex(of: ":") else { return (scheme, nil) }
        return (scheme, user[user.index(after: mark)...])
    }

    /// The URL with dots for its password, in the user part or as `password=` in the query.
    package static func withoutPassword(_ text: String) -> String {
        var shown = text
        if let password = url(text)?.password {
            shown.replaceSubrange(password.startIndex..<password.endIndex, with: "••••")
        }
        guard let question = shown.firstIndex(of: "?") else { return shown }
        let query = shown[shown.index(after: question)...].split(
            separator: "&",
            omittingEmptySubsequences: false
        ).map { $0.lowercased().hasPrefix("password=") ? "password=••••" : String($0) }
        return shown[...question] + query.joined(separator: "&")
    }

    private static func isSchemeByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
            true
        default: false
        }
    }

    private static func split(_ text: String) -> (digits: Substring, unit: Substring) {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        return (digits, text[digits.endIndex...])
    }
}

// An instant in whole microseconds, the precision PostgreSQL keeps, so that a value survives the
// round trip and compares equal (`Foundation.Date`, a `Double`, promises neither). Always UTC:
// there is no time zone anywhere in the type, which is what keeps S4-T9 from coming back.

/// Microseconds since 1970-01-01T00:00:00Z.
package struct Timestamp: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Microseconds since the Unix epoch; negative before it.
    package let microseconds: Int64

    /// An instant so many microseconds after the Unix epoch.
    package init(microseconds: Int64) { self.microseconds = microseconds }

    /// An instant so many seconds after the Unix epoch.
    package init(seconds: Int64) { microseconds = seconds * 1_000_000 }

    /// Whole seconds since the epoch, rounded down (`NumericDate` of RFC 7519 section 2).
    package var seconds: Int64 {
        microseconds >= 0 ? microseconds / 1_000_000 : -((-microseconds + 999_999) / 1_000_000)
    }

    package static func < (left: Self, right: Self) -> Bool {
        left.microseconds < right.microseconds
    }

    /// The instant so much later.
    package static func + (left: Self, right: Duration) -> Self {
        Self(microseconds: left.microseconds + right.wholeMicroseconds)
    }

    /// The instant so much earlier.
    package static func - (left: Self, right: Duration) -> Self {
        Self(microseconds: left.microseconds - right.wholeMicroseconds)
    }

    /// The time from one instant to another.
    package static func - (left: Self, right: Self) -> Duration {
        .microseconds(left.microseconds - right.microseconds)
    }

    /// RFC 3339 in UTC with six digits of fraction: `2026-11-21T06:07:08.123456Z`.
    package var description: String {
        let second = seconds
        let micro = microseconds - second * 1_000_000
        let (day, inDay) = second.floored(by: 86_400)
        let date = CivilDate(daysSinceEpoch: day)
        var out: [UInt8] = []
        out.reserveCapacity(27)
        out.appendDecimal(date.year, width: 4)
        out.append(UInt8(ascii: "-"))
        out.appendDecimal(Int64(date.month), width: 2)
        out.append(UInt8(ascii: "-"))
        out.appendDecimal(Int64(date.day), width: 2)
        out.append(UInt8(ascii: "T"))
        out.appendDecimal(inDay / 3600, width: 2)
        out.append(UInt8(ascii: ":"))
        out.appendDecimal(inDay / 60 % 60, width: 2)
        out.append(UInt8(ascii: ":"))
        out.appendDecimal(inDay % 60, width: 2)
        out.append(UInt8(ascii: "."))
        out.appendDecimal(micro, width: 6)
        out.append(UInt8(ascii: "Z"))
        return String(decoding: out, as: UTF8.self)
    }

    /// The form HTTP wants in `Date` (RFC 9110 section 5.6.7): `Sat, 21 Nov 2026 06:07:08 GMT`.
    package var httpDate: String {
        let (day, inDay) = seconds.floored(by: 86_400)
        let date = CivilDate(daysSinceEpoch: day)
        let names = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        let months = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ]
        var out = Array(names[Int(day.floored(by: 7).rest)].utf8)
        out.append(contentsOf: ", ".utf8)
        out.appendDecimal(Int64(date.day), width: 2)
        out.append(contentsOf: " \(months[date.month - 1]) ".utf8)
        out.appendDecimal(date.year, width: 4)
        out.append(UInt8(ascii: " "))
        out.appendDecimal(inDay / 3600, width: 2)
        out.append(UInt8(ascii: ":"))
        out.appendDecimal(inDay / 60 % 60, width: 2)
        out.append(UInt8(ascii: ":"))
        out.appendDecimal(inDay % 60, width: 2)
        out.append(contentsOf: " GMT".utf8)
        return String(decoding: out, as: UTF8.self)
    }
}

/// A day of the proleptic Gregorian calendar.
package struct CivilDate: Hashable, Sendable {
    /// The year, astronomical numbering.
    package let year: Int64
    /// The month, 1 to 12.
    package let month: Int
    /// The day of the month, 1 to 31.
    package let day: Int

    /// The date so many days after 1970-01-01 (the era arithmetic of 400-year cycles).
    package init(daysSinceEpoch: Int64) {
        let shifted = daysSinceEpoch + 719_468
        let (era, dayOfEra) = shifted.floored(by: 146_097)
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        day = Int(dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
        month = Int(shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9)
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    /// `2026-11-21`.
    package var description: String {
        var out: [UInt8] = []
        out.appendDecimal(year, width: 4)
        out.append(UInt8(ascii: "-"))
        out.appendDecimal(Int64(month), width: 2)
        out.append(UInt8(ascii: "-"))
        out.appendDecimal(Int64(day), width: 2)
        return String(decoding: out, as: UTF8.self)
    }
}

extension Int64 {
    fileprivate func floored(by divisor: Int64) -> (quotient: Int64, rest: Int64) {
        let rest = ((self % divisor) + divisor) % divisor
        return ((self - rest) / divisor, rest)
    }
}

extension [UInt8] {
    /// Appends a number that is not negative, with zeros in front up to `width` digits.
    package mutating func appendDecimal(_ value: Int64, width: Int) {
        var digits: [UInt8] = []
        var rest = Swift.max(0, value)
        repeat {
            digits.append(UInt8(ascii: "0") + UInt8(rest % 10))
            rest /= 10
        } while rest > 0
        while digits.count < width { digits.append(UInt8(ascii: "0")) }
        append(contentsOf: digits.reversed())
    }
}

extension Duration {
    /// The whole microseconds, rounded towards zero.
    package var wholeMicroseconds: Int64 {
        let parts = components
        return parts.seconds * 1_000_000 + parts.attoseconds / 1_000_000_000_000
    }

    /// The whole seconds, rounded towards zero.
    package var wholeSeconds: Int64 { components.seconds }

    /// The duration as seconds with fraction, for metrics.
    package var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }

    /// So many minutes.
    package static func minutes(_ count: Int64) -> Duration { .seconds(count * 60) }
    /// So many hours.
    package static func hours(_ count: Int64) -> Duration { .seconds(count * 3600) }
    /// So many days of 24 hours.
    package static func days(_ count: Int64) -> Duration { .seconds(count * 86_400) }
}

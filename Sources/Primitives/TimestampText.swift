// Instants as clients write them: RFC 3339 in UTC. Strict, because an instant that was guessed from
// a sloppy text selects the wrong rows: no offsets, no leap seconds, no days that no month has.

extension Timestamp {
    /// Reads `2026-11-21T06:07:08Z`, with up to six digits of fraction; nil for anything else.
    ///
    /// Years 1970 to 9999 (RFC 3339 section 5.6, with the offset `Z` alone).
    package init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        guard (20...27).contains(bytes.count), bytes.count != 21, bytes.last == UInt8(ascii: "Z"),
            bytes[4] == 0x2D, bytes[7] == 0x2D, bytes[10] == 0x54, bytes[13] == 0x3A,
            bytes[16] == 0x3A, bytes.count == 20 || bytes[19] == 0x2E,
            let year = Self.number(bytes[0..<4]), let month = Self.number(bytes[5..<7]),
            let day = Self.number(bytes[8..<10]), let hour = Self.number(bytes[11..<13]),
            let minute = Self.number(bytes[14..<16]), let second = Self.number(bytes[17..<19]),
            year >= 1970, hour < 24, minute < 60, second < 60,
            let days = CivilDate.daysSinceEpoch(year: year, month: month, day: day)
        else { return nil }
        var micro: Int64 = 0
        if bytes.count > 20 {
            guard let digits = Self.number(bytes[20..<(bytes.count - 1)]) else { return nil }
            micro = digits
            for _ in bytes.count..<27 { micro *= 10 }
        }
        let seconds = days * 86_400 + hour * 3600 + minute * 60 + second
        self.init(microseconds: seconds * 1_000_000 + micro)
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int64? {
        var value: Int64 = 0
        for digit in digits {
            guard (0x30...0x39).contains(digit) else { return nil }
            value = value * 10 + Int64(digit - 0x30)
        }
        return value
    }
}

extension CivilDate {
    /// Days from 1970-01-01 to a date; nil for one that the calendar does not have.
    static func daysSinceEpoch(year: Int64, month: Int64, day: Int64) -> Int64? {
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let days = era * 146_097 + dayOfEra - 719_468
        let date = CivilDate(daysSinceEpoch: days)
        guard date.year == year, Int64(date.month) == month, Int64(date.day) == day else {
            return nil
        }
        return days
    }
}

// Instants as clients write them.
import Primitives
import Testing

@Suite struct TimestampTextTests {
    @Test func `an instant survives its text`() {
        for micro in [0, 1, 999_999, 951_782_399_999_999, 1_795_241_228_123_456] as [Int64] {
            let instant = Timestamp(microseconds: micro)
            #expect(Timestamp(instant.description) == instant)
        }
        #expect(Timestamp("2024-02-29T00:00:00Z") == Timestamp(seconds: 1_709_164_800))
        #expect(
            Timestamp("1970-01-01T00:00:01.5Z") == Timestamp(microseconds: 1_500_000)
        )
    }

    @Test func `text that is nearly an instant is refused`() {
        for text in [
            "", "2026-11-21", "2026-11-21T06:07:08", "2026-11-21T06:07:08+00:00",
            "2026-11-21 06:07:08Z", "2026-11-21t06:07:08Z", "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z",
            "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00.1234567Z", "1969-12-31T23:59:59Z",
            "+026-01-01T00:00:00Z", "2026-01-01T00:00:00,5Z",
        ] {
            #expect(Timestamp(text) == nil, "\(text)")
        }
    }
}

// The tables that are cut by time, and how long their pieces are kept.
import Postgres
import Primitives

extension Settings {
    /// Every partitioned table.
    var partitionedTables: [PartitionedTable] {
        [
            PartitionedTable(
                "sessions",
                key: .uuid,
                width: .days(7),
                ahead: 4,
                keep: .days(1),
                spentWhen: "expires_at < $now"
            ),
            PartitionedTable(
                "login_history",
                key: .uuid,
                width: .days(7),
                ahead: 4,
                keep: retention.loginHistory
            ),
            PartitionedTable(
                "audit_events",
                key: .uuid,
                width: .days(28),
                ahead: 2,
                keep: retention.audit
            ),
            PartitionedTable(
                "revocation_log",
                key: .time,
                width: .hours(6),
                ahead: 4,
                keep: .minutes(5),
                // A minute later than the last token that it covers has ended (W2).
                spentWhen: "expires_at + interval '1 minute' < $now"
            ),
        ]
    }
}
